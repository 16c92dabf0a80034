// Package diff compares what a database has with what its bundle wants. It
// knows three sides: the live tables, the desired ones, and the record of
// what earlier deployments made (schema.Owned), so that whatever somebody
// else made is left alone.
package diff

import (
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Live is what one database has.
type Live struct {
	Tables      []schema.Table // every ordinary table, ours and foreign
	Owned       schema.Owned
	Definitions []Definition // the metadata rows that we wrote
	// Retire keeps what no definition has any more under a retired name.
	// Without it columns and tables are dropped with their values.
	Retire bool
	// Due are the retired names whose retention is over.
	Due []string
}

// Desired is what a bundle wants.
type Desired struct {
	Tables      []schema.Table
	Definitions []Definition
	// Gone are the apps of live definitions that the bundle does not have any
	// more. Their tables are kept as they are, but for those of DropApps.
	Gone []string
	// DropApps are apps that are not there and whose tables go, at once or
	// when they have been kept for some time.
	DropApps []string
}

// Definition is one entry of the metadata registry: an object, view, flow or
// permission set as JSON text with its checksum (sha256, hex).
type Definition struct {
	Type     protocol.EntityType
	Name     string
	Package  string
	Body     string
	Checksum string
	// Edited and Gone say of a live definition that somebody else changed its
	// row, or took it away: it is written again though it is the one desired.
	Edited, Gone bool
}

// Class says what a change can do to data and to the applications that use
// it. Higher classes are more dangerous.
type Class int

// The classes, mildest first.
const (
	Additive    Class = iota // adds a name; nothing that exists changes
	Widening                 // allows more than before
	Rewrite                  // copies a table or gives a name to something that had another
	Narrowing                // may fail on the rows that are there
	Destructive              // loses rows or values
)

var classNames = [...]string{"additive", "widening", "rewrite", "narrowing", "destructive"}

func (c Class) String() string { return classNames[c] }

// MarshalText gives the class its name in JSON and YAML.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote; an unknown name is Destructive.
func (c *Class) UnmarshalText(text []byte) error {
	*c = Destructive
	for i, name := range classNames {
		if name == string(text) {
			*c = Class(i)
		}
	}
	return nil
}

// Op is the kind of a structural change.
type Op string

// The structural changes that a plan knows.
const (
	RenameTable  Op = "rename_table"
	RenameColumn Op = "rename_column"
	AddTable     Op = "add_table"
	DropTable    Op = "drop_table"
	AddColumn    Op = "add_column"
	DropColumn   Op = "drop_column"
	AlterColumn  Op = "alter_column" // NOT NULL or DEFAULT
	RetypeColumn Op = "retype_column"
	AddIndex     Op = "add_index"
	DropIndex    Op = "drop_index"

	RetireTable   Op = "retire_table"
	RetireColumn  Op = "retire_column"
	RestoreTable  Op = "restore_table"  // a retired table takes its name again
	RestoreColumn Op = "restore_column" // likewise
	PurgeTable    Op = "purge_table"    // a retired table whose time has come
	PurgeColumn   Op = "purge_column"   // likewise
)

// Change is one difference in structure. Table is the name after renames.
type Change struct {
	Op    Op
	Class Class
	Table string
	Old   string // renames and restores: the name before
	// Kept is the retired name under which a column or table is kept: of
	// RetireTable and RetireColumn, and of RetypeColumn when its old values
	// stay beside the new ones.
	Kept string
	// Former is, for such a RetypeColumn, the retired column of the new type
	// that takes its name again; nil when a new one is made.
	Former *schema.RetiredColumn
	From   *schema.Column // the live column
	To     *schema.Column // the column as it will be
	Index  *schema.Index  // the index added or dropped
	New    *schema.Table  // AddTable: the table; DropTable, RetireTable: the live table
}

// Foreign is something in the database that is not ours.
type Foreign struct {
	Kind  string // table, column or index
	Table string
	Name  string
}

// Conflict is a difference that may not be planned: it would change what
// somebody else made.
type Conflict struct {
	Reason  string // AdoptionReview
	Table   string
	Column  string
	Message string
	Next    string
}

// Result is the whole comparison of one database with one bundle.
type Result struct {
	Changes   []Change
	Conflicts []Conflict
	Foreign   []Foreign
	Released  []schema.KeptTable // tables that stay although their app goes
	Reclaimed []schema.KeptTable // such tables that an object takes again
	Diff      protocol.DeployDiff
	Owned     schema.Owned   // as it will be after the changes
	Managed   []schema.Table // our part of the live tables, as they are
	Target    []schema.Table // our part of the tables, as they will be
	Before    string         // schema digest of what earlier deployments made
	After     string         // schema digest of what is desired
	Registry  []DefinitionChange
}

// DefinitionChange is one difference in the metadata registry. Before is nil
// for a new definition, After for one that goes.
type DefinitionChange struct{ Before, After *Definition }
