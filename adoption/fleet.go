package adoption

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Tenant is a database of a fleet and whom it belongs to.
type Tenant struct {
	ID, Name string
	Plan     string // free, pro or enterprise; empty for the default
	URL      string
	// AuthToken is the reference to the secret that opens the database; empty for
	// none.
	AuthToken string
	Schema    *Schema // shared by tenants whose databases have the same text
}

// Group are the tenants whose databases have the same structure.
type Group struct {
	*Schema
	Tenants []Tenant // by id
	// Own are the definitions that these tenants have beside the app.
	Own []Definition
}

// Definition is an object of its own, or an extension of one of the app.
type Definition struct {
	Object
	Extends bool
}

// Fleet is what many databases have in common, and what they do not.
type Fleet struct {
	App    []Object // by name
	Groups []Group  // the largest first
}

// Divide groups tenants by the structure of their databases. The app has the
// objects of the largest group, but for what would have to be changed in a
// database of another one: definitions only ever add. What a tenant has beside
// the app, or in another form, is its own. The same tenants give the same fleet.
func Divide(tenants []Tenant) Fleet {
	f := Fleet{Groups: grouped(tenants)}
	if len(f.Groups) == 0 {
		return f
	}
	for _, o := range f.Groups[0].Objects {
		if shared, ok := f.shared(o); ok {
			f.App = append(f.App, shared)
		}
	}
	for i := range f.Groups {
		f.Groups[i].Own = f.own(f.Groups[i].Schema)
	}
	return f
}

func grouped(tenants []Tenant) []Group {
	byForm := map[string]int{}
	var groups []Group
	for _, t := range slices.SortedFunc(slices.Values(tenants), func(a, b Tenant) int { return strings.Compare(a.ID, b.ID) }) {
		form := t.Schema.form()
		at, ok := byForm[form]
		if !ok {
			at = len(groups)
			byForm[form], groups = at, append(groups, Group{Schema: t.Schema})
		}
		groups[at].Tenants = append(groups[at].Tenants, t)
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(len(b.Tenants), len(a.Tenants)), strings.Compare(a.Digest, b.Digest))
	})
	return groups
}

// form stands for all that definitions are made from.
func (s *Schema) form() string { return s.Digest + text(s.Objects) }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("definitions cannot be marshalled: " + err.Error()) // names, numbers and text
	}
	return string(b)
}

// shared is the part of an object that no database stands against; ok tells
// whether there is one.
func (f Fleet) shared(o Object) (shared Object, ok bool) {
	shared = Object{Name: o.Name}
	for _, g := range f.Groups {
		if _, isObject := g.object(o.Name); !isObject && g.live(o.Name) != nil {
			return shared, false
		}
	}
	for _, field := range o.Fields {
		if !slices.ContainsFunc(f.Groups, func(g Group) bool { return g.refuses(o.Name, field.Key) }) {
			shared.Fields = append(shared.Fields, field)
		}
	}
	for _, index := range o.Indexes {
		fits := !slices.ContainsFunc(index.Fields, func(key string) bool { _, there := shared.field(key); return !there && !schema.IsSystemColumn(key) })
		if fits && !slices.ContainsFunc(f.Groups, func(g Group) bool { return g.refusesIndex(shared, index) }) {
			shared.Indexes = append(shared.Indexes, index)
		}
	}
	return shared, true
}

// refuses tells that a table has a column of that name which no field fits.
func (s *Schema) refuses(object, key string) bool {
	o, ok := s.object(object)
	if !ok {
		return false // the table would be made
	}
	_, isField := o.field(key)
	_, there := s.live(object).Column(key)
	return there && !isField
}

// refusesIndex tells that an index could not be added: another has its name, or
// rows that are there may stand against its being unique.
func (s *Schema) refusesIndex(o Object, index protocol.Index) bool {
	name := nameOf(o.Name, index)
	for _, t := range s.tables {
		if _, taken := t.Index(name); taken && !strings.EqualFold(t.Name, o.Name) {
			return true
		}
	}
	own, ok := s.object(o.Name)
	if !ok {
		return false
	}
	_, taken := s.live(o.Name).Index(name)
	same := own.has(index)
	return taken && !same || index.Unique && !same
}

// own are the definitions of a database that the app does not have, or has in
// a form that is not the database's.
func (f Fleet) own(s *Schema) []Definition {
	var own []Definition
	for _, o := range s.Objects {
		at := slices.IndexFunc(f.App, func(a Object) bool { return a.Name == o.Name })
		if at < 0 {
			own = append(own, Definition{Object: o})
			continue
		}
		if e := f.App[at].extension(o, s.live(o.Name)); len(e.Fields)+len(e.Indexes) > 0 {
			own = append(own, Definition{Object: e, Extends: true})
		}
	}
	return own
}

// extension is what makes the app's object into one that a live table fulfils.
func (o Object) extension(have Object, live *schema.Table) Object {
	e := Object{Name: o.Name}
	for _, field := range have.Fields {
		shared, there := o.field(field.Key)
		column, _ := live.Column(field.Key)
		if !there || !shared.accepts(*column) {
			e.Fields = append(e.Fields, field)
		}
	}
	for _, field := range o.Fields {
		if _, there := have.field(field.Key); !there && field.Required && field.DefaultValue == nil {
			field.Required = false // rows that are there have no value for it
			e.Fields = append(e.Fields, field)
		}
	}
	for _, index := range have.Indexes {
		if !o.has(index) {
			e.Indexes = append(e.Indexes, index)
		}
	}
	for _, index := range o.Indexes { // one that is written at a field goes with the field that is replaced
		if _, replaced := e.field(index.Fields[0]); replaced && ofField(o.Name, index) && !e.has(index) {
			e.Indexes = append(e.Indexes, index)
		}
	}
	return e
}

func (f Field) accepts(live schema.Column) bool {
	want, _ := schema.Desired([]schema.Object{{Object: Object{Name: "x", Fields: []Field{f}}.protocol()}}, schema.Options{})
	column, ok := want[0].Column(f.Key)
	return ok && column.Accepts(live)
}

func (o Object) field(key string) (Field, bool) {
	at := slices.IndexFunc(o.Fields, func(f Field) bool { return f.Key == key })
	if at < 0 {
		return Field{}, false
	}
	return o.Fields[at], true
}

func (o Object) has(index protocol.Index) bool {
	return slices.ContainsFunc(o.Indexes, func(i protocol.Index) bool { return text(i) == text(index) })
}

// nameOf is the name that an index has in a database.
func nameOf(table string, index protocol.Index) string {
	if index.Name != "" {
		return index.Name
	}
	return schema.IndexName(table, index.Fields, index.Unique)
}

func (s *Schema) object(name string) (Object, bool) {
	at := slices.IndexFunc(s.Objects, func(o Object) bool { return o.Name == name })
	if at < 0 {
		return Object{}, false
	}
	return s.Objects[at], true
}

func (s *Schema) live(name string) *schema.Table {
	for i := range s.tables {
		if strings.EqualFold(s.tables[i].Name, name) {
			return &s.tables[i]
		}
	}
	return nil
}
