package protocol

import "slices"

// FieldType is what a field holds. Source: data/field.
type FieldType string

// The 44 field types, grouped as in the protocol.
const (
	FieldText         FieldType = "text"
	FieldTextarea     FieldType = "textarea"
	FieldEmail        FieldType = "email"
	FieldURL          FieldType = "url"
	FieldPhone        FieldType = "phone"
	FieldPassword     FieldType = "password"
	FieldMarkdown     FieldType = "markdown"
	FieldHTML         FieldType = "html"
	FieldRichtext     FieldType = "richtext"
	FieldNumber       FieldType = "number"
	FieldCurrency     FieldType = "currency"
	FieldPercent      FieldType = "percent"
	FieldDate         FieldType = "date"
	FieldDatetime     FieldType = "datetime"
	FieldTime         FieldType = "time"
	FieldBoolean      FieldType = "boolean"
	FieldToggle       FieldType = "toggle"
	FieldSelect       FieldType = "select"
	FieldMultiselect  FieldType = "multiselect"
	FieldRadio        FieldType = "radio"
	FieldCheckboxes   FieldType = "checkboxes"
	FieldLookup       FieldType = "lookup"
	FieldMasterDetail FieldType = "master_detail"
	FieldTree         FieldType = "tree"
	FieldImage        FieldType = "image"
	FieldFile         FieldType = "file"
	FieldAvatar       FieldType = "avatar"
	FieldVideo        FieldType = "video"
	FieldAudio        FieldType = "audio"
	FieldFormula      FieldType = "formula"
	FieldSummary      FieldType = "summary"
	FieldAutonumber   FieldType = "autonumber"
	FieldLocation     FieldType = "location"
	FieldAddress      FieldType = "address"
	FieldCode         FieldType = "code"
	FieldJSON         FieldType = "json"
	FieldColor        FieldType = "color"
	FieldRating       FieldType = "rating"
	FieldSlider       FieldType = "slider"
	FieldSignature    FieldType = "signature"
	FieldQRCode       FieldType = "qrcode"
	FieldProgress     FieldType = "progress"
	FieldTags         FieldType = "tags"
	FieldVector       FieldType = "vector"
)

// Values lists the types in the protocol's order.
func (FieldType) Values() []string {
	return []string{
		"text", "textarea", "email", "url", "phone", "password",
		"markdown", "html", "richtext",
		"number", "currency", "percent",
		"date", "datetime", "time",
		"boolean", "toggle",
		"select", "multiselect", "radio", "checkboxes",
		"lookup", "master_detail", "tree",
		"image", "file", "avatar", "video", "audio",
		"formula", "summary", "autonumber",
		"location", "address", "code", "json", "color", "rating", "slider",
		"signature", "qrcode", "progress", "tags",
		"vector",
	}
}

// Valid reports whether t is one of the protocol's types.
func (t FieldType) Valid() bool { return slices.Contains(t.Values(), string(t)) }

// DeleteBehavior is what happens to a record when the one it refers to goes.
type DeleteBehavior string

// The delete behaviors.
const (
	DeleteSetNull  DeleteBehavior = "set_null"
	DeleteCascade  DeleteBehavior = "cascade"
	DeleteRestrict DeleteBehavior = "restrict"
)

// Values lists the behaviors in the protocol's order.
func (DeleteBehavior) Values() []string { return []string{"set_null", "cascade", "restrict"} }

// SelectOption is one choice of a select field. Its value is what the database
// stores. Source: data/field.
type SelectOption struct {
	Label   string `json:"label" doc:"Text shown to people; may be empty."`
	Value   string `json:"value" shape:"minlen=2,format=system" doc:"What is stored."`
	Color   string `json:"color,omitempty" doc:"Color of its badge."`
	Default *bool  `json:"default,omitempty" doc:"Chosen when nothing is."`
}

// Field is one property of an Object; its key in Object.Fields is its name,
// and the inner name repeats it. Only the type is required: nothing demands a
// reference of a lookup. Source: data/field.
type Field struct {
	Name        string    `json:"name,omitempty" shape:"format=identifier" doc:"Name, as the key says."`
	Label       string    `json:"label,omitempty" doc:"Name shown to people."`
	Type        FieldType `json:"type" doc:"What the field holds."`
	Description string    `json:"description,omitempty" doc:"Help shown to people."`
	Format      string    `json:"format,omitempty" doc:"Display format."`
	ColumnName  string    `json:"columnName,omitempty" doc:"Column in the database; the key when absent."`

	Required     bool `json:"required" default:"false" doc:"A record must have a value."`
	Searchable   bool `json:"searchable" default:"false" doc:"Searches look at it."`
	Multiple     bool `json:"multiple" default:"false" doc:"Holds a list of values, stored as JSON."`
	Unique       bool `json:"unique" default:"false" doc:"No two records have the same value."`
	DefaultValue any  `json:"defaultValue,omitempty" doc:"Value of a record that gives none."`

	MaxLength *float64 `json:"maxLength,omitempty" doc:"Longest text, in characters."`
	MinLength *float64 `json:"minLength,omitempty" doc:"Shortest text, in characters."`
	Precision *float64 `json:"precision,omitempty" doc:"Digits in all."`
	Scale     *float64 `json:"scale,omitempty" doc:"Digits after the point."`
	Min       *float64 `json:"min,omitempty" doc:"Smallest number."`
	Max       *float64 `json:"max,omitempty" doc:"Largest number."`

	Options []SelectOption `json:"options,omitzero" doc:"Choices of a select field."`

	Reference               string         `json:"reference,omitempty" doc:"Object that a lookup refers to."`
	ReferenceFilters        []string       `json:"referenceFilters,omitzero" doc:"Filters of the lookup's dialog."`
	WriteRequiresMasterRead *bool          `json:"writeRequiresMasterRead,omitempty" doc:"Writing needs read access to the master record."`
	DeleteBehavior          DeleteBehavior `json:"deleteBehavior" default:"set_null" doc:"What happens when the record referred to goes."`

	Expression        string             `json:"expression,omitempty" doc:"Formula of a formula field."`
	SummaryOperations *SummaryOperations `json:"summaryOperations,omitempty" doc:"Roll-up of a summary field."`

	FieldDisplay

	CurrencyConfig       *CurrencyConfig       `json:"currencyConfig,omitempty" doc:"Settings of a currency field."`
	VectorConfig         *VectorConfig         `json:"vectorConfig,omitempty" doc:"Settings of a vector field."`
	FileAttachmentConfig *FileAttachmentConfig `json:"fileAttachmentConfig,omitempty" doc:"Settings of a file field."`
	EncryptionConfig     *EncryptionConfig     `json:"encryptionConfig,omitempty" doc:"How the values are encrypted."`
	MaskingRule          *MaskingRule          `json:"maskingRule,omitempty" doc:"How the values are masked."`
	AuditTrail           bool                  `json:"auditTrail" default:"false" doc:"Record every change of a value."`
	Dependencies         []string              `json:"dependencies,omitzero" doc:"Fields that this one depends on."`
	Cached               *ComputedFieldCache   `json:"cached,omitempty" doc:"How computed values are cached."`
	DataQuality          *DataQualityRules     `json:"dataQuality,omitempty" doc:"What makes the data good."`

	Group               string `json:"group,omitempty" doc:"Group in forms and layouts."`
	ConditionalRequired string `json:"conditionalRequired,omitempty" doc:"Formula that makes the field required."`
	Hidden              bool   `json:"hidden" default:"false" doc:"Not shown by default."`
	Readonly            bool   `json:"readonly" default:"false" doc:"Not editable by people."`
	Sortable            bool   `json:"sortable" default:"true" doc:"Lists can be sorted by it."`
	InlineHelpText      string `json:"inlineHelpText,omitempty" doc:"Help below the field."`
	TrackFeedHistory    *bool  `json:"trackFeedHistory,omitempty" doc:"Show changes in the feed."`
	CaseSensitive       *bool  `json:"caseSensitive,omitempty" doc:"Compare text with regard to case."`
	AutonumberFormat    string `json:"autonumberFormat,omitempty" doc:"Format of an autonumber, such as INV-{0000}."`
	Index               bool   `json:"index" default:"false" doc:"The database indexes it."`
	ExternalID          bool   `json:"externalId" default:"false" doc:"Seed sets match records by it."`
}

// SummaryOperations is the roll-up that a summary field shows.
type SummaryOperations struct {
	Object   string          `json:"object" doc:"Child object."`
	Field    string          `json:"field" doc:"Field of the child object."`
	Function SummaryFunction `json:"function" doc:"How its values are combined."`
}

// SummaryFunction combines the values of child records.
type SummaryFunction string

// Values lists the functions in the protocol's order.
func (SummaryFunction) Values() []string { return []string{"count", "sum", "min", "max", "avg"} }

// FieldDisplay holds the settings of one kind of field each: code, rating,
// location, address, color, slider and barcode. Source: data/field.
type FieldDisplay struct {
	Language          string            `json:"language,omitempty" doc:"Code: programming language."`
	Theme             string            `json:"theme,omitempty" doc:"Code: theme of the editor."`
	LineNumbers       *bool             `json:"lineNumbers,omitempty" doc:"Code: show line numbers."`
	MaxRating         *float64          `json:"maxRating,omitempty" doc:"Rating: most stars."`
	AllowHalf         *bool             `json:"allowHalf,omitempty" doc:"Rating: allow half stars."`
	DisplayMap        *bool             `json:"displayMap,omitempty" doc:"Location: show a map."`
	AllowGeocoding    *bool             `json:"allowGeocoding,omitempty" doc:"Location: find coordinates of an address."`
	AddressFormat     AddressFormat     `json:"addressFormat,omitempty" doc:"Address: layout."`
	ColorFormat       ColorFormat       `json:"colorFormat,omitempty" doc:"Color: notation."`
	AllowAlpha        *bool             `json:"allowAlpha,omitempty" doc:"Color: allow transparency."`
	PresetColors      []string          `json:"presetColors,omitzero" doc:"Color: colors on offer."`
	Step              *float64          `json:"step,omitempty" doc:"Slider: step."`
	ShowValue         *bool             `json:"showValue,omitempty" doc:"Slider: show the value."`
	Marks             map[string]string `json:"marks,omitzero" doc:"Slider: labels at values."`
	BarcodeFormat     BarcodeFormat     `json:"barcodeFormat,omitempty" doc:"Barcode: symbology."`
	QRErrorCorrection QRErrorCorrection `json:"qrErrorCorrection,omitempty" doc:"Barcode: error correction of a QR code."`
	DisplayValue      *bool             `json:"displayValue,omitempty" doc:"Barcode: show the text below."`
	AllowScanning     *bool             `json:"allowScanning,omitempty" doc:"Barcode: scan with a camera."`
}

// AddressFormat is the layout of an address.
type AddressFormat string

// Values lists the layouts in the protocol's order.
func (AddressFormat) Values() []string { return []string{"us", "uk", "international"} }

// ColorFormat is the notation of a color.
type ColorFormat string

// Values lists the notations in the protocol's order.
func (ColorFormat) Values() []string { return []string{"hex", "rgb", "rgba", "hsl"} }

// BarcodeFormat is the symbology of a barcode.
type BarcodeFormat string

// Values lists the symbologies in the protocol's order.
func (BarcodeFormat) Values() []string {
	return []string{"qr", "ean13", "ean8", "code128", "code39", "upca", "upce"}
}

// QRErrorCorrection is the error correction level of a QR code.
type QRErrorCorrection string

// Values lists the levels in the protocol's order.
func (QRErrorCorrection) Values() []string { return []string{"L", "M", "Q", "H"} }
