// Package adoption describes databases that were there before the reconciler:
// it writes the object definitions that a database already fulfils, so that
// deploying them changes nothing or only adds.
//
// It reads schemas and no rows. What definitions cannot express stays foreign,
// and is listed with the reason: a table whose key is not id, a column of a type
// that no field has, a name that is none. Names come from strangers: only those
// of the protocol's pattern reach a file, or become the name of one.
package adoption

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// ErrReconciled says that a database has a journal: it is deployed to already.
var ErrReconciled = errors.New("the database is deployed to already, and has nothing to adopt")

// Schema is what a database has: what definitions can express, and the rest.
type Schema struct {
	Digest  string // schema digest of all its tables; equal ones have equal structure
	Objects []Object
	Foreign []Foreign // by kind, table and name

	tables []schema.Table
}

// Object is a table that can be adopted. Its name is the table's in lower case.
type Object struct {
	Name    string
	Fields  []Field          // in the table's order
	Indexes []protocol.Index // by name
}

// Field is a column that can be adopted.
type Field struct {
	Key string
	protocol.Field
}

// Foreign is something that definitions cannot express. It stays as it is.
type Foreign struct {
	Kind  string `json:"kind"`  // table, column, index, view or trigger
	Table string `json:"table"` // of a view its own name
	Name  string `json:"name"`
	Why   string `json:"why"`
}

// String is one line: "column order.total: no field has the type DECIMAL(10,2)".
func (f Foreign) String() string {
	name := f.Name
	if f.Table != f.Name {
		name = f.Table + "." + f.Name
	}
	return f.Kind + " " + name + ": " + f.Why
}

// Read describes the database of conn. It writes nothing to it.
func Read(ctx context.Context, conn database.Conn) (Schema, error) {
	master, err := schema.ReadMaster(ctx, conn)
	if err != nil {
		return Schema{}, err
	}
	return describe(ctx, master)
}

// describe inspects a private copy of a schema.
func describe(ctx context.Context, master schema.Master) (Schema, error) {
	if master.Reconciled {
		return Schema{}, ErrReconciled
	}
	scratch, err := libsql.OpenMemory(ctx)
	if err != nil {
		return Schema{}, fmt.Errorf("inspect schema: %w", err)
	}
	defer scratch.Close()
	if err := master.Replay(ctx, scratch); err != nil {
		return Schema{}, err
	}
	tables, err := schema.Inspect(ctx, scratch)
	if err != nil {
		return Schema{}, err
	}
	s := Schema{Digest: schema.Digest(tables), tables: tables}
	targets, err := foreignKeys(ctx, scratch)
	if err != nil {
		return Schema{}, err
	}
	for _, t := range tables {
		if err := s.table(t, targets); err != nil {
			return Schema{}, err
		}
	}
	s.settleReferences()
	s.others(master, tables)
	slices.SortFunc(s.Foreign, func(a, b Foreign) int {
		return strings.Compare(a.Kind+"\x00"+a.Table+"\x00"+a.Name, b.Kind+"\x00"+b.Table+"\x00"+b.Name)
	})
	return s, nil
}

// foreignKeys gives the table that each column refers to, by table and column in
// lower case.
func foreignKeys(ctx context.Context, conn database.Conn) (map[[2]string]string, error) {
	rows, err := conn.Query(ctx, `SELECT lower(m.name), lower(f."from"), lower(f."table")
 FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`)
	if err != nil {
		return nil, fmt.Errorf("inspect foreign keys: %w", err)
	}
	targets := map[[2]string]string{}
	for _, row := range rows.Values {
		table, _ := row[0].(string)
		column, _ := row[1].(string)
		target, _ := row[2].(string)
		targets[[2]string{table, column}] = target
	}
	return targets, nil
}

// maxName bounds a table's name, which becomes that of a file.
const maxName = 100

// table adds a table, as an object or as foreign.
func (s *Schema) table(t schema.Table, targets map[[2]string]string) error {
	name := strings.ToLower(t.Name)
	switch {
	case name == plan.RegistryTable:
		return nil // the reconciler defines it itself
	case !schema.ValidName(name) || len(name) > maxName:
		return s.foreign("table", t.Name, t.Name, "its name is none that an object can have")
	case schema.IsReserved(name) || name[0] == '_':
		return s.foreign("table", t.Name, t.Name, "its name is reserved for the engine, a runtime or a tool")
	}
	if why := keyFault(t); why != "" {
		return s.foreign("table", t.Name, t.Name, why)
	}
	o := Object{Name: name}
	var left []Foreign
	for _, c := range t.Columns {
		if schema.IsSystemColumn(c.Name) {
			continue
		}
		field, why := fieldOf(t, c, targets[[2]string{name, strings.ToLower(c.Name)}])
		if why != "" {
			left = append(left, Foreign{"column", t.Name, c.Name, why})
			continue
		}
		o.Fields = append(o.Fields, field)
	}
	for _, i := range t.Indexes {
		index, why := o.indexOf(t, i)
		if why != "" {
			left = append(left, Foreign{"index", t.Name, i.Name, why})
			continue
		}
		o.Indexes = append(o.Indexes, index)
	}
	why, err := o.adds(t)
	if err != nil {
		return err
	}
	if why != "" {
		return s.foreign("table", t.Name, t.Name, why)
	}
	s.Objects, s.Foreign = append(s.Objects, o), append(s.Foreign, left...)
	return nil
}

func (s *Schema) foreign(kind, table, name, why string) error {
	s.Foreign = append(s.Foreign, Foreign{kind, table, name, why})
	return nil
}

// settleReferences takes a field that refers to a table which is no object for
// what it is without it.
func (s *Schema) settleReferences() {
	for _, o := range s.Objects {
		for i := range o.Fields {
			f := &o.Fields[i]
			if _, known := s.object(f.Reference); f.Reference != "" && !known {
				f.Type, f.Reference = protocol.FieldText, ""
			}
		}
	}
}

// others adds what is no ordinary table.
func (s *Schema) others(master schema.Master, tables []schema.Table) {
	for _, e := range master.Entries {
		switch {
		case e.Type == "view":
			s.Foreign = append(s.Foreign, Foreign{"view", e.Name, e.Name, "views are kept as they are"})
		case e.Type == "trigger":
			s.Foreign = append(s.Foreign, Foreign{"trigger", e.Table, e.Name, "triggers are kept as they are"})
		case e.Type == "table" && !slices.ContainsFunc(tables, func(t schema.Table) bool { return t.Name == e.Name }):
			s.Foreign = append(s.Foreign, Foreign{"table", e.Name, e.Name, "it is a virtual table, or belongs to one"})
		}
	}
}

// keyFault says why a table does not have the columns that every object has.
func keyFault(t schema.Table) string {
	if len(t.PrimaryKey) != 1 || !strings.EqualFold(t.PrimaryKey[0], "id") {
		if len(t.PrimaryKey) == 0 {
			return "it has no primary key, and an object's is (id)"
		}
		return fmt.Sprintf("its primary key is (%s), and an object's is (id)", strings.Join(t.PrimaryKey, ", "))
	}
	want, _ := schema.Desired([]schema.Object{{Object: protocol.Object{Name: "x"}}}, schema.Options{})
	for _, c := range want[0].Columns {
		live, ok := t.Column(c.Name)
		if ok && !c.Accepts(*live) {
			return fmt.Sprintf("its column %s is %s, and an object's is %s", c.Name, live.Definition(), c.Definition())
		}
	}
	return ""
}

// adds says why deploying the object to its own table would do more than add.
// It is the last word on every guess.
func (o Object) adds(t schema.Table) (string, error) {
	want, faults := schema.Desired([]schema.Object{{Object: o.protocol()}}, schema.Options{})
	for _, f := range faults {
		if !f.Warning {
			return f.Message, nil
		}
	}
	compared, err := diff.Compute(diff.Live{Tables: []schema.Table{t}}, diff.Desired{Tables: want})
	if err != nil {
		return "", err
	}
	for _, c := range compared.Conflicts {
		return c.Message, nil
	}
	for _, c := range compared.Changes {
		if c.Class != diff.Additive {
			return "it would have to be changed: " + c.Describe(), nil
		}
	}
	return "", nil
}

// protocol is the object as a bundle has it.
func (o Object) protocol() protocol.Object {
	fields := map[string]protocol.Field{}
	for _, f := range o.Fields {
		fields[f.Key] = f.Field
	}
	return protocol.Object{Name: o.Name, Fields: fields, Indexes: o.Indexes}
}
