package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// View is the lists and forms of an object. It has no name: a name key is
// dropped by the protocol, and the object is named by list.data. Source:
// ui/view.
type View struct {
	List      *ListView           `json:"list,omitempty" doc:"The list shown first."`
	Form      *FormView           `json:"form,omitempty" doc:"The form shown first."`
	ListViews map[string]ListView `json:"listViews,omitzero" doc:"Further lists by name."`
	FormViews map[string]FormView `json:"formViews,omitzero" doc:"Further forms by name."`
}

// ViewData is where a view takes its data from: an ObjectData, APIData or
// ValueData, told apart by provider. Source: ui/view.
type ViewData struct{ shape.Union }

// Tag names the property that tells the sources apart.
func (ViewData) Tag() string { return "provider" }

// Alternatives lists the sources.
func (ViewData) Alternatives() []any { return []any{ObjectData{}, APIData{}, ValueData{}} }

// ObjectData is the records of an object.
type ObjectData struct {
	Provider string `json:"provider" shape:"one=object" doc:"Always object."`
	Object   string `json:"object" doc:"The object."`
}

// APIData is what an endpoint answers.
type APIData struct {
	Provider string       `json:"provider" shape:"one=api" doc:"Always api."`
	Read     *HTTPRequest `json:"read,omitempty" doc:"Request that reads."`
	Write    *HTTPRequest `json:"write,omitempty" doc:"Request that writes."`
}

// ValueData is data written into the view.
type ValueData struct {
	Provider string `json:"provider" shape:"one=value" doc:"Always value."`
	Items    []any  `json:"items" doc:"The data."`
}

// HTTPRequest is a request to an endpoint.
type HTTPRequest struct {
	URL     string            `json:"url" doc:"URL of the endpoint."`
	Method  HTTPMethod        `json:"method" default:"GET" doc:"HTTP method."`
	Headers map[string]string `json:"headers,omitzero" doc:"HTTP headers."`
	Params  map[string]any    `json:"params,omitzero" doc:"Query parameters."`
	Body    any               `json:"body,omitempty" doc:"Body of the request."`
}

// HTTPMethod is the method of an HTTPRequest.
type HTTPMethod string

// Values lists the methods in the protocol's order.
func (HTTPMethod) Values() []string { return []string{"GET", "POST", "PUT", "PATCH", "DELETE"} }

// FormView is a form for one record. Source: ui/view.
type FormView struct {
	Type        FormType      `json:"type" default:"simple" doc:"How the form is laid out."`
	Data        *ViewData     `json:"data,omitempty" doc:"Where its data comes from."`
	Sections    []FormSection `json:"sections,omitzero" doc:"Its parts."`
	Groups      []FormSection `json:"groups,omitzero" doc:"Older key of sections."`
	DefaultSort []DefaultSort `json:"defaultSort,omitzero" doc:"Order of related lists."`
	Aria        *Aria         `json:"aria,omitempty" doc:"For screen readers."`
}

// FormType is how a form is laid out.
type FormType string

// Values lists the layouts in the protocol's order.
func (FormType) Values() []string {
	return []string{"simple", "tabbed", "wizard", "split", "drawer", "modal"}
}

// FormSection is one part of a form.
type FormSection struct {
	Label       *Label         `json:"label,omitempty" doc:"Name shown to people."`
	Collapsible bool           `json:"collapsible" default:"false" doc:"It can be folded."`
	Collapsed   bool           `json:"collapsed" default:"false" doc:"It is folded at first."`
	Columns     SectionColumns `json:"columns" default:"2" doc:"Columns of the layout."`
	Fields      []FormEntry    `json:"fields" doc:"Its fields."`
}

// SectionColumns is the number of columns of a section, written as text.
// Parsing makes it a number; the typed value stays as it was written.
type SectionColumns string

// Values lists the numbers.
func (SectionColumns) Values() []string { return []string{"1", "2", "3", "4"} }

// Transform makes the text a number.
func (SectionColumns) Transform(value any) any { return float64(value.(string)[0] - '0') }

// FormEntry is the name of a field, or a FormField.
type FormEntry struct{ shape.Union }

// Alternatives lists the forms.
func (FormEntry) Alternatives() []any { return []any{"", FormField{}} }

// FormField is a field in a form, with what differs there.
type FormField struct {
	Field       string `json:"field" doc:"Name of the field."`
	Label       *Label `json:"label,omitempty" doc:"Name shown to people."`
	Placeholder *Label `json:"placeholder,omitempty" doc:"Text of an empty field."`
	HelpText    *Label `json:"helpText,omitempty" doc:"Help shown to people."`
	Readonly    *bool  `json:"readonly,omitempty" doc:"Not editable here."`
	Required    *bool  `json:"required,omitempty" doc:"Must have a value here."`
	Hidden      *bool  `json:"hidden,omitempty" doc:"Not shown here."`
	ColSpan     *int64 `json:"colSpan,omitempty" shape:"min=1,max=4" doc:"Columns it takes."`
	Widget      string `json:"widget,omitempty" doc:"Component that shows it."`
	DependsOn   string `json:"dependsOn,omitempty" doc:"Field that decides its choices."`
	VisibleOn   string `json:"visibleOn,omitempty" doc:"Formula that decides whether it is shown."`
}

// DefaultSort is the order of a related list.
type DefaultSort struct {
	Field string    `json:"field" doc:"Field to sort by."`
	Order SortOrder `json:"order" default:"desc" doc:"Direction."`
}

// SortOrder is a direction of sorting.
type SortOrder string

// Values lists the directions in the protocol's order.
func (SortOrder) Values() []string { return []string{"asc", "desc"} }
