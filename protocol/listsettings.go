package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// Selection is how records of a list are selected.
type Selection struct {
	Type SelectionType `json:"type" default:"none" doc:"How many at one time."`
}

// SelectionType is how many records can be selected.
type SelectionType string

// Values lists the types in the protocol's order.
func (SelectionType) Values() []string { return []string{"none", "single", "multiple"} }

// Navigation is what a click on a record does.
type Navigation struct {
	Mode              NavigationMode `json:"mode" default:"page" doc:"Where the record opens."`
	View              string         `json:"view,omitempty" doc:"Form that shows it."`
	PreventNavigation bool           `json:"preventNavigation" default:"false" doc:"Do nothing."`
	OpenNewTab        bool           `json:"openNewTab" default:"false" doc:"Open a new tab."`
	Width             *Width         `json:"width,omitempty" doc:"Width of a drawer or modal."`
}

// Width is a text such as "50%", or a number of pixels.
type Width struct{ shape.Union }

// Alternatives lists the forms.
func (Width) Alternatives() []any { return []any{"", 0.0} }

// NavigationMode is where a record opens.
type NavigationMode string

// Values lists the modes in the protocol's order.
func (NavigationMode) Values() []string {
	return []string{"page", "drawer", "modal", "split", "popover", "new_window", "none"}
}

// Pagination is how a list is cut into pages.
type Pagination struct {
	PageSize        int64   `json:"pageSize" default:"25" shape:"above=0" doc:"Records on a page."`
	PageSizeOptions []int64 `json:"pageSizeOptions,omitzero" shape:"above=0" doc:"Sizes that people can choose."`
}

// KanbanView is the settings of a list of type kanban.
type KanbanView struct {
	GroupByField   string   `json:"groupByField" doc:"Field that makes the lanes."`
	SummarizeField string   `json:"summarizeField,omitempty" doc:"Field summed above a lane."`
	Columns        []string `json:"columns" doc:"Fields on a card."`
}

// CalendarView is the settings of a list of type calendar.
type CalendarView struct {
	StartDateField string `json:"startDateField" doc:"Field with the start."`
	EndDateField   string `json:"endDateField,omitempty" doc:"Field with the end."`
	TitleField     string `json:"titleField" doc:"Field with the title."`
	ColorField     string `json:"colorField,omitempty" doc:"Field that decides the color."`
}

// GanttView is the settings of a list of type gantt.
type GanttView struct {
	StartDateField    string `json:"startDateField" doc:"Field with the start."`
	EndDateField      string `json:"endDateField" doc:"Field with the end."`
	TitleField        string `json:"titleField" doc:"Field with the title."`
	ProgressField     string `json:"progressField,omitempty" doc:"Field with the progress."`
	DependenciesField string `json:"dependenciesField,omitempty" doc:"Field with what must end before."`
}

// GalleryView is the settings of a list of type gallery.
type GalleryView struct {
	CoverField    string   `json:"coverField,omitempty" doc:"Field with the image."`
	CoverFit      CoverFit `json:"coverFit" default:"cover" doc:"How the image fits."`
	CardSize      CardSize `json:"cardSize" default:"medium" doc:"Size of a card."`
	TitleField    string   `json:"titleField,omitempty" doc:"Field with the title."`
	VisibleFields []string `json:"visibleFields,omitzero" doc:"Fields on a card."`
}

// CoverFit is how an image fits a card.
type CoverFit string

// Values lists the ways in the protocol's order.
func (CoverFit) Values() []string { return []string{"cover", "contain"} }

// CardSize is the size of a card.
type CardSize string

// Values lists the sizes in the protocol's order.
func (CardSize) Values() []string { return []string{"small", "medium", "large"} }

// TimelineView is the settings of a list of type timeline.
type TimelineView struct {
	StartDateField string        `json:"startDateField" doc:"Field with the start."`
	EndDateField   string        `json:"endDateField,omitempty" doc:"Field with the end."`
	TitleField     string        `json:"titleField" doc:"Field with the title."`
	GroupByField   string        `json:"groupByField,omitempty" doc:"Field that makes the rows."`
	ColorField     string        `json:"colorField,omitempty" doc:"Field that decides the color."`
	Scale          TimelineScale `json:"scale" default:"week" doc:"Length of one unit."`
}

// TimelineScale is the length of one unit of a timeline.
type TimelineScale string

// Values lists the lengths in the protocol's order.
func (TimelineScale) Values() []string {
	return []string{"hour", "day", "week", "month", "quarter", "year"}
}

// ListSharing is who may change a list.
type ListSharing struct {
	Type     ListOwner `json:"type" default:"collaborative" doc:"Whose it is."`
	LockedBy string    `json:"lockedBy,omitempty" doc:"User who locked it."`
}

// ListOwner is whose a list is.
type ListOwner string

// Values lists the owners in the protocol's order.
func (ListOwner) Values() []string { return []string{"personal", "collaborative"} }

// RowHeight is the height of a row.
type RowHeight string

// Values lists the heights in the protocol's order.
func (RowHeight) Values() []string {
	return []string{"compact", "short", "medium", "tall", "extra_tall"}
}

// Grouping is how records are grouped.
type Grouping struct {
	Fields []GroupField `json:"fields" shape:"items=1" doc:"Fields to group by, outermost first."`
}

// GroupField is one field to group by.
type GroupField struct {
	Field     string    `json:"field" doc:"Name of the field."`
	Order     SortOrder `json:"order" default:"asc" doc:"Order of the groups."`
	Collapsed bool      `json:"collapsed" default:"false" doc:"Groups are folded at first."`
}

// RowColor is how rows are colored.
type RowColor struct {
	Field  string            `json:"field" doc:"Field that decides."`
	Colors map[string]string `json:"colors,omitzero" doc:"Color of each value."`
}

// RowFormat is the style of some rows.
type RowFormat struct {
	Condition string            `json:"condition" doc:"Formula that picks the rows."`
	Style     map[string]string `json:"style" doc:"CSS properties."`
}

// ExportFormat is a format that a list can be exported to.
type ExportFormat string

// Values lists the formats in the protocol's order.
func (ExportFormat) Values() []string { return []string{"csv", "xlsx", "pdf", "json"} }

// UserActions is what people may change of a list.
type UserActions struct {
	Sort          bool     `json:"sort" default:"true" doc:"The order."`
	Search        bool     `json:"search" default:"true" doc:"The search."`
	Filter        bool     `json:"filter" default:"true" doc:"The filter."`
	RowHeight     bool     `json:"rowHeight" default:"true" doc:"The height of a row."`
	AddRecordForm bool     `json:"addRecordForm" default:"false" doc:"Add records with a form."`
	Buttons       []string `json:"buttons,omitzero" doc:"Actions in the toolbar."`
}

// Appearance is what of a list is shown.
type Appearance struct {
	ShowDescription       bool       `json:"showDescription" default:"true" doc:"The description."`
	AllowedVisualizations []ListType `json:"allowedVisualizations,omitzero" doc:"Types people can switch to."`
}

// ViewTab is a tab above a list.
type ViewTab struct {
	Name      string `json:"name" shape:"minlen=2,format=snake" doc:"Name of the tab."`
	Label     *Label `json:"label,omitempty" doc:"Name shown to people."`
	Icon      string `json:"icon,omitempty" doc:"Icon shown to people."`
	View      string `json:"view,omitempty" doc:"List that it shows."`
	Filter    []any  `json:"filter,omitzero" doc:"Which records it shows."`
	Order     *int64 `json:"order,omitempty" shape:"min=0" doc:"Its place."`
	Pinned    bool   `json:"pinned" default:"false" doc:"People cannot remove it."`
	IsDefault bool   `json:"isDefault" default:"false" doc:"It is shown first."`
	Visible   bool   `json:"visible" default:"true" doc:"It is shown at all."`
}

// AddRecord is how records are added to a list.
type AddRecord struct {
	Enabled  bool        `json:"enabled" default:"true" doc:"Records can be added."`
	Position AddPosition `json:"position" default:"bottom" doc:"Where the button is."`
	Mode     AddMode     `json:"mode" default:"inline" doc:"How."`
	FormView string      `json:"formView,omitempty" doc:"Form for modes form and modal."`
}

// AddPosition is where the button to add records is.
type AddPosition string

// Values lists the places in the protocol's order.
func (AddPosition) Values() []string { return []string{"top", "bottom", "both"} }

// AddMode is how records are added.
type AddMode string

// Values lists the modes in the protocol's order.
func (AddMode) Values() []string { return []string{"inline", "form", "modal"} }

// EmptyState is what a list without records shows.
type EmptyState struct {
	Title   *Label `json:"title,omitempty" doc:"Title."`
	Message *Label `json:"message,omitempty" doc:"Text."`
	Icon    string `json:"icon,omitempty" doc:"Icon."`
}
