package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// ListView is a list of records. Source: ui/view.
type ListView struct {
	Name             string         `json:"name,omitempty" shape:"minlen=2,format=snake" doc:"Name of the list."`
	Label            *Label         `json:"label,omitempty" doc:"Name shown to people."`
	Type             ListType       `json:"type" default:"grid" doc:"How records are shown."`
	Data             *ViewData      `json:"data,omitempty" doc:"Where its data comes from."`
	Columns          ListColumns    `json:"columns" doc:"Its columns."`
	Filter           []any          `json:"filter,omitzero" doc:"Which records it shows, as rules of any form."`
	Sort             *ListSort      `json:"sort,omitempty" doc:"Their order."`
	SearchableFields []string       `json:"searchableFields,omitzero" doc:"Fields that its search looks at."`
	FilterableFields []string       `json:"filterableFields,omitzero" doc:"Fields that people can filter by."`
	QuickFilters     []QuickFilter  `json:"quickFilters,omitzero" doc:"Filters of one click."`
	Resizable        *bool          `json:"resizable,omitempty" doc:"Columns can be resized."`
	Striped          *bool          `json:"striped,omitempty" doc:"Rows are striped."`
	Bordered         *bool          `json:"bordered,omitempty" doc:"Cells have borders."`
	Selection        *Selection     `json:"selection,omitempty" doc:"How records are selected."`
	Navigation       *Navigation    `json:"navigation,omitempty" doc:"What a click on a record does."`
	Pagination       *Pagination    `json:"pagination,omitempty" doc:"How it is cut into pages."`
	Kanban           *KanbanView    `json:"kanban,omitempty" doc:"Settings of type kanban."`
	Calendar         *CalendarView  `json:"calendar,omitempty" doc:"Settings of type calendar."`
	Gantt            *GanttView     `json:"gantt,omitempty" doc:"Settings of type gantt."`
	Gallery          *GalleryView   `json:"gallery,omitempty" doc:"Settings of type gallery."`
	Timeline         *TimelineView  `json:"timeline,omitempty" doc:"Settings of type timeline."`
	Description      *Label         `json:"description,omitempty" doc:"What it shows."`
	Sharing          *ListSharing   `json:"sharing,omitempty" doc:"Who may change it."`
	RowHeight        RowHeight      `json:"rowHeight,omitempty" doc:"Height of a row."`
	Grouping         *Grouping      `json:"grouping,omitempty" doc:"How records are grouped."`
	RowColor         *RowColor      `json:"rowColor,omitempty" doc:"How rows are colored."`
	HiddenFields     []string       `json:"hiddenFields,omitzero" doc:"Fields not shown."`
	FieldOrder       []string       `json:"fieldOrder,omitzero" doc:"Order of the fields."`
	RowActions       []string       `json:"rowActions,omitzero" doc:"Actions of one record."`
	BulkActions      []string       `json:"bulkActions,omitzero" doc:"Actions of several records."`
	VirtualScroll    *bool          `json:"virtualScroll,omitempty" doc:"Draw only what is visible."`
	Conditional      []RowFormat    `json:"conditionalFormatting,omitzero" doc:"Styles of some rows."`
	InlineEdit       *bool          `json:"inlineEdit,omitempty" doc:"Records can be edited in place."`
	ExportOptions    []ExportFormat `json:"exportOptions,omitzero" doc:"Formats it can be exported to."`
	UserActions      *UserActions   `json:"userActions,omitempty" doc:"What people may change."`
	Appearance       *Appearance    `json:"appearance,omitempty" doc:"What of it is shown."`
	Tabs             []ViewTab      `json:"tabs,omitzero" doc:"Tabs above it."`
	AddRecord        *AddRecord     `json:"addRecord,omitempty" doc:"How records are added."`
	ShowRecordCount  *bool          `json:"showRecordCount,omitempty" doc:"Show how many there are."`
	AllowPrinting    *bool          `json:"allowPrinting,omitempty" doc:"It can be printed."`
	EmptyState       *EmptyState    `json:"emptyState,omitempty" doc:"What is shown without records."`
	Aria             *Aria          `json:"aria,omitempty" doc:"For screen readers."`
}

// ListType is how a ListView shows records.
type ListType string

// Values lists the types in the protocol's order.
func (ListType) Values() []string {
	return []string{"grid", "kanban", "gallery", "calendar", "timeline", "gantt", "map"}
}

// ListColumns is a list of field names, or a list of ListColumn. The two are
// not mixed.
type ListColumns struct{ shape.Union }

// Alternatives lists the forms.
func (ListColumns) Alternatives() []any { return []any{[]string(nil), []ListColumn(nil)} }

// ListColumn is a column with what differs from its field.
type ListColumn struct {
	Field     string        `json:"field" doc:"Name of the field."`
	Label     *Label        `json:"label,omitempty" doc:"Name shown to people."`
	Width     *float64      `json:"width,omitempty" shape:"above=0" doc:"Width in pixels."`
	Align     Align         `json:"align,omitempty" doc:"Alignment of the text."`
	Hidden    *bool         `json:"hidden,omitempty" doc:"Not shown at first."`
	Sortable  *bool         `json:"sortable,omitempty" doc:"The list can be sorted by it."`
	Resizable *bool         `json:"resizable,omitempty" doc:"It can be resized."`
	Wrap      *bool         `json:"wrap,omitempty" doc:"Text is wrapped."`
	Type      string        `json:"type,omitempty" doc:"How values are drawn."`
	Pinned    Pin           `json:"pinned,omitempty" doc:"Side it stays on."`
	Summary   ColumnSummary `json:"summary,omitempty" doc:"What stands below it."`
	Link      *bool         `json:"link,omitempty" doc:"It opens the record."`
	Action    string        `json:"action,omitempty" doc:"Action that a click runs."`
}

// Align is the alignment of text.
type Align string

// Values lists the alignments in the protocol's order.
func (Align) Values() []string { return []string{"left", "center", "right"} }

// Pin is the side that a column stays on.
type Pin string

// Values lists the sides in the protocol's order.
func (Pin) Values() []string { return []string{"left", "right"} }

// ColumnSummary is what stands below a column.
type ColumnSummary string

// Values lists the summaries in the protocol's order.
func (ColumnSummary) Values() []string {
	return []string{
		"none", "count", "count_empty", "count_filled", "count_unique",
		"percent_empty", "percent_filled", "sum", "avg", "min", "max",
	}
}

// ListSort is a text such as "name desc", or a list of SortField.
type ListSort struct{ shape.Union }

// Alternatives lists the forms.
func (ListSort) Alternatives() []any { return []any{"", []SortField(nil)} }

// SortField is one field of an order.
type SortField struct {
	Field string    `json:"field" doc:"Field to sort by."`
	Order SortOrder `json:"order" doc:"Direction."`
}

// QuickFilter is a filter of one click.
type QuickFilter struct {
	Field    string        `json:"field" doc:"Field that is compared."`
	Label    string        `json:"label,omitempty" doc:"Name shown to people."`
	Operator QuickOperator `json:"operator" default:"equals" doc:"How."`
	Value    any           `json:"value,omitempty" doc:"What with."`
}

// QuickOperator is how a QuickFilter compares.
type QuickOperator string

// Values lists the operators in the protocol's order.
func (QuickOperator) Values() []string {
	return []string{"equals", "not_equals", "contains", "in", "is_null", "is_not_null"}
}
