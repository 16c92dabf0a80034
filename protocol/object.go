package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// Object is one kind of record: a table and what belongs to it. Name and
// fields are required, everything else is optional, and fields may be empty.
// Source: data/object.
type Object struct {
	Name        string   `json:"name" shape:"format=identifier" doc:"Name of the object."`
	Label       string   `json:"label,omitempty" doc:"Name shown to people."`
	PluralLabel string   `json:"pluralLabel,omitempty" doc:"Name of several, shown to people."`
	Description string   `json:"description,omitempty" doc:"What the object is for."`
	Icon        string   `json:"icon,omitempty" doc:"Icon shown to people."`
	Tags        []string `json:"tags,omitzero" doc:"Words to find it by."`
	Active      bool     `json:"active" default:"true" doc:"It can be used."`
	IsSystem    bool     `json:"isSystem" default:"false" doc:"It must not be deleted."`
	Abstract    bool     `json:"abstract" default:"false" doc:"It has no records of its own."`

	Datasource string `json:"datasource" default:"default" doc:"Database that holds it."`
	TableName  string `json:"tableName,omitempty" doc:"Table in the database; the name when absent."`

	Fields  map[string]Field `json:"fields" shape:"key=identifier" doc:"Its fields by name."`
	Indexes []Index          `json:"indexes,omitzero" doc:"Indexes of its table."`

	Tenancy      *TenancyConfig      `json:"tenancy,omitempty" doc:"How its records belong to tenants."`
	SoftDelete   *SoftDeleteConfig   `json:"softDelete,omitempty" doc:"How deleted records are kept."`
	Versioning   *VersioningConfig   `json:"versioning,omitempty" doc:"How old versions are kept."`
	Partitioning *PartitioningConfig `json:"partitioning,omitempty" doc:"How its table is partitioned."`
	CDC          *CDCConfig          `json:"cdc,omitempty" doc:"How its changes are sent elsewhere."`

	Validations   []ValidationRule        `json:"validations,omitzero" doc:"Rules for its records."`
	StateMachines map[string]StateMachine `json:"stateMachines,omitzero" doc:"Lifecycles of its records."`

	DisplayNameField string              `json:"displayNameField,omitempty" doc:"Field that names a record."`
	RecordName       *RecordName         `json:"recordName,omitempty" doc:"How records are named."`
	TitleFormat      string              `json:"titleFormat,omitempty" doc:"Title of a record, such as {name}."`
	CompactLayout    []string            `json:"compactLayout,omitzero" doc:"Fields shown in short."`
	Search           *SearchConfig       `json:"search,omitempty" doc:"How records are found."`
	Enable           *ObjectCapabilities `json:"enable,omitempty" doc:"What the runtime offers for it."`
	RecordTypes      []string            `json:"recordTypes,omitzero" doc:"Names of its record types."`
	SharingModel     SharingModel        `json:"sharingModel,omitempty" doc:"Who sees its records by default."`
	KeyPrefix        string              `json:"keyPrefix,omitempty" shape:"maxlen=5" doc:"Prefix of record ids."`
}

// Index is an index of an object's table. The list of fields may be empty.
// Source: data/object.
type Index struct {
	Name    string    `json:"name,omitempty" doc:"Name of the index; made from its fields when absent."`
	Fields  []string  `json:"fields" doc:"Fields, in order."`
	Type    IndexType `json:"type" default:"btree" doc:"Kind of the index."`
	Unique  bool      `json:"unique" default:"false" doc:"No two records agree in all fields."`
	Partial string    `json:"partial,omitempty" doc:"SQL condition of the records indexed."`
}

// IndexType is the kind of an index.
type IndexType string

// The kinds of indexes.
const (
	IndexBTree    IndexType = "btree"
	IndexHash     IndexType = "hash"
	IndexGIN      IndexType = "gin"
	IndexGiST     IndexType = "gist"
	IndexFulltext IndexType = "fulltext"
)

// Values lists the kinds in the protocol's order.
func (IndexType) Values() []string { return []string{"btree", "hash", "gin", "gist", "fulltext"} }

// TenancyConfig says how records belong to tenants. Source: data/object.
type TenancyConfig struct {
	Enabled           bool            `json:"enabled" doc:"Records belong to tenants."`
	Strategy          TenancyStrategy `json:"strategy" doc:"How far they are kept apart."`
	TenantField       string          `json:"tenantField" default:"tenant_id" doc:"Field that names the tenant."`
	CrossTenantAccess bool            `json:"crossTenantAccess" default:"false" doc:"Some may see records of others."`
}

// TenancyStrategy is how far records of tenants are kept apart.
type TenancyStrategy string

// Values lists the strategies in the protocol's order.
func (TenancyStrategy) Values() []string { return []string{"shared", "isolated", "hybrid"} }

// SoftDeleteConfig says how deleted records are kept. Source: data/object.
type SoftDeleteConfig struct {
	Enabled       bool   `json:"enabled" doc:"Keep deleted records."`
	Field         string `json:"field" default:"deleted_at" doc:"Field with the time of deletion."`
	CascadeDelete bool   `json:"cascadeDelete" default:"false" doc:"Delete related records the same way."`
}

// VersioningConfig says how old versions of records are kept. Source:
// data/object.
type VersioningConfig struct {
	Enabled       bool               `json:"enabled" doc:"Keep old versions."`
	Strategy      VersioningStrategy `json:"strategy" doc:"What is kept of each."`
	RetentionDays *float64           `json:"retentionDays,omitempty" shape:"min=1" doc:"Days they are kept; for ever when absent."`
	VersionField  string             `json:"versionField" default:"version" doc:"Field with the version."`
}

// VersioningStrategy is what is kept of an old version.
type VersioningStrategy string

// Values lists the strategies in the protocol's order.
func (VersioningStrategy) Values() []string { return []string{"snapshot", "delta", "event-sourcing"} }

// PartitioningConfig says how a table is partitioned. Source: data/object.
type PartitioningConfig struct {
	Enabled  bool                 `json:"enabled" doc:"Partition the table."`
	Strategy PartitioningStrategy `json:"strategy" doc:"How."`
	Key      string               `json:"key" doc:"Field that it goes by."`
	Interval string               `json:"interval,omitempty" doc:"Length of a range, such as 1 month."`
}

// Refine checks that ranges have a length. Source: the refinement of the
// schema in data/object.
func (c PartitioningConfig) Refine(report shape.Reporter) {
	if c.Strategy == "range" && c.Interval == "" {
		report("interval is required when strategy is range")
	}
}

// PartitioningStrategy is how a table is partitioned.
type PartitioningStrategy string

// Values lists the strategies in the protocol's order.
func (PartitioningStrategy) Values() []string { return []string{"range", "hash", "list"} }

// CDCConfig says how changes are sent elsewhere. Source: data/object.
type CDCConfig struct {
	Enabled     bool          `json:"enabled" doc:"Send changes."`
	Events      []RecordEvent `json:"events" doc:"Which changes."`
	Destination string        `json:"destination" doc:"Where to."`
}

// RecordEvent is something that happens to a record.
type RecordEvent string

// Values lists the events in the protocol's order.
func (RecordEvent) Values() []string { return []string{"insert", "update", "delete"} }

// RecordName says how records are named. Source: data/object.
type RecordName struct {
	Type          RecordNameType `json:"type" doc:"Written by people or numbered."`
	DisplayFormat string         `json:"displayFormat,omitempty" doc:"Format of a number, such as T-{0000}."`
	StartNumber   *int64         `json:"startNumber,omitempty" shape:"min=0" doc:"First number."`
}

// RecordNameType is where a record's name comes from.
type RecordNameType string

// Values lists the types in the protocol's order.
func (RecordNameType) Values() []string { return []string{"text", "autonumber"} }

// SearchConfig says how records are found. Source: data/object.
type SearchConfig struct {
	Fields        []string `json:"fields" doc:"Fields that are searched."`
	DisplayFields []string `json:"displayFields,omitzero" doc:"Fields shown in results."`
	Filters       []string `json:"filters,omitzero" doc:"Filters of every search."`
}

// ObjectCapabilities is what the runtime offers for an object. Source:
// data/object.
type ObjectCapabilities struct {
	TrackHistory bool        `json:"trackHistory" default:"false" doc:"History of changes."`
	Searchable   bool        `json:"searchable" default:"true" doc:"Global search."`
	APIEnabled   bool        `json:"apiEnabled" default:"true" doc:"Generated APIs."`
	APIMethods   []APIMethod `json:"apiMethods,omitzero" doc:"Operations of the APIs; all when absent."`
	Files        bool        `json:"files" default:"false" doc:"Attached files."`
	Feeds        bool        `json:"feeds" default:"false" doc:"Comments and mentions."`
	Activities   bool        `json:"activities" default:"false" doc:"Tasks and events."`
	Trash        bool        `json:"trash" default:"true" doc:"Restoring deleted records."`
	MRU          bool        `json:"mru" default:"true" doc:"Recently used records."`
	Clone        bool        `json:"clone" default:"true" doc:"Copying records."`
}

// APIMethod is an operation of an object's API.
type APIMethod string

// Values lists the operations in the protocol's order.
func (APIMethod) Values() []string {
	return []string{
		"get", "list", "create", "update", "delete", "upsert", "bulk", "aggregate",
		"history", "search", "restore", "purge", "import", "export",
	}
}

// SharingModel is who sees the records of an object by default.
type SharingModel string

// Values lists the models in the protocol's order.
func (SharingModel) Values() []string { return []string{"private", "read", "read_write", "full"} }
