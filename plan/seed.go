package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// SeedSet is a seed set of a bundle.
type SeedSet struct {
	protocol.Dataset
	// Overwrite changes rows whatever they hold. Without it upsert and update
	// leave a row alone once somebody else has changed it. The key is ours,
	// not the protocol's.
	Overwrite bool `json:"overwrite,omitempty"`
}

// SeedInput is what seed sets are compiled from.
type SeedInput struct {
	Sets    []SeedSet         // of the tenant's environment, in the bundle's order
	Objects []schema.Object   // of the bundle
	Tables  []schema.Table    // as the bundle wants them
	Applied map[string]string // SeedPlan.Digests of the deployment before
}

// SeedPlan is what a deployment does about seed data.
type SeedPlan struct {
	Seeds   []Seed
	Issues  []SeedIssue       // known before anything runs
	Digests map[string]string // of every set, by name
}

// Seed loads one record, or what had to wait of one, in up to five steps:
//
//   - Find gives one row when there is something to write: the id and the
//     values of the row that SQL changes, each a SQL literal by column, or
//     NULLs when SQL inserts. It gives none for a row that the set's mode, or
//     somebody's change, says to leave alone.
//   - The query of each of References gives NULL when nothing has the key.
//   - SQL writes the row. It decides again by itself, so that it can also be
//     run without the others.
//   - Row, after it, gives the id and every value of the row that SQL wrote,
//     its times left out.
//   - Note, right after SQL, remembers in _reconciler_seed what SQL wrote,
//     and does nothing when SQL wrote nothing.
type Seed struct {
	Set        string          `json:"set"`
	Object     string          `json:"object"`
	Record     int             `json:"record"` // zero-based, in its set
	Key        string          `json:"key"`    // the record's external id
	Table      string          `json:"table"`
	Find       string          `json:"find"`
	References []SeedReference `json:"references,omitempty"`
	SQL        string          `json:"sql"`
	Note       string          `json:"note"`
	Row        string          `json:"row"`
	// Fields has the field of each column of the table whose name is another.
	Fields map[string]string `json:"fields,omitempty"`
}

// SeedReference is a value that names a row by its key.
type SeedReference struct {
	Field    string `json:"field"`
	Required bool   `json:"required,omitempty"`
	SQL      string `json:"sql"`
	Missing  string `json:"missing"` // what to say when nothing has the key
}

// SeedIssue is a record of a seed set that cannot be loaded, and why. A
// warning is about a record that is loaded without the field's value.
type SeedIssue struct {
	Set     string `json:"set"`
	Object  string `json:"object"`
	Record  int    `json:"record"` // zero-based, in its set
	Key     string `json:"key,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Warning bool   `json:"warning,omitempty"`
}

// String is one line: `contact record 3 (ada@example.com), field account: no
// account has the name "Acme"`.
func (i SeedIssue) String() string {
	where := fmt.Sprintf("%s record %d", i.Set, i.Record+1)
	if i.Key != "" {
		where += fmt.Sprintf(" (%s)", i.Key)
	}
	if i.Field != "" {
		where += ", field " + i.Field
	}
	return where + ": " + i.Message
}

// Refusals are the issues whose record is not loaded; nil without any.
func Refusals(issues []SeedIssue) []SeedIssue {
	var refused []SeedIssue
	for _, i := range issues {
		if !i.Warning {
			refused = append(refused, i)
		}
	}
	return refused
}

// CompileSeeds turns seed sets into statements. A set is named after its
// object, the second one of an object "account/2" and so on; it runs when its
// digest is not the one in in.Applied. Sets run in the order given, but those
// of an object that others refer to come before those others; a reference
// that points forward all the same is filled in after everything else.
//
// Statements hold their values as literals and name no tenant and no time:
// now() and its like are left to the database. A record that cannot be loaded
// into any database gives issues, each with its field, and no statement. The
// same input gives the same output.
func CompileSeeds(in SeedInput) SeedPlan {
	c := newSeedCompiler(in)
	var late []Seed
	for _, set := range orderSets(c.sets, c.needs()) {
		compiled := c.compile(set)
		c.left[set.Object]--
		digest := set.digest(compiled.issues)
		c.plan.Digests[set.name] = digest
		if in.Applied[set.name] == digest {
			continue
		}
		c.plan.Seeds = append(c.plan.Seeds, compiled.seeds...)
		c.plan.Issues = append(c.plan.Issues, compiled.issues...)
		late = append(late, compiled.late...)
	}
	c.plan.Seeds = append(c.plan.Seeds, late...)
	return c.plan
}

// namedSet is a seed set with the name under which its digest is kept.
type namedSet struct {
	SeedSet
	name string
}

// digest is sha256 in hex over what the set says and which of its records
// cannot be loaded: a set that was loaded in part runs again when an object
// changes so that more, or less, of it fits.
func (s namedSet) digest(issues []SeedIssue) string {
	s.Env = nil // it has done its work
	text, err := json.Marshal(s.SeedSet)
	if err != nil {
		panic("seed set cannot be marshalled: " + err.Error()) // it came from JSON
	}
	for _, i := range issues {
		text = fmt.Appendf(text, "\n%d %s", i.Record, i.Field)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// seedCompiler compiles the sets of one bundle.
type seedCompiler struct {
	plan    SeedPlan
	sets    []namedSet
	objects map[string]schema.Object
	tables  map[string]*schema.Table // by object
	keys    map[string]string        // by object: the field that its sets match by
	left    map[string]int           // by object: sets that are still to come
}

func newSeedCompiler(in SeedInput) *seedCompiler {
	c := &seedCompiler{
		plan:    SeedPlan{Digests: map[string]string{}},
		objects: map[string]schema.Object{}, tables: map[string]*schema.Table{},
		keys: map[string]string{}, left: map[string]int{},
	}
	for _, o := range in.Objects {
		c.objects[o.Name] = o
	}
	for i := range in.Tables {
		c.tables[in.Tables[i].Object] = &in.Tables[i]
	}
	for _, set := range in.Sets {
		if c.left[set.Object]++; c.left[set.Object] == 1 {
			c.keys[set.Object] = set.ExternalID
			c.sets = append(c.sets, namedSet{set, set.Object})
		} else {
			c.sets = append(c.sets, namedSet{set, fmt.Sprintf("%s/%d", set.Object, c.left[set.Object])})
		}
	}
	return c
}

// compiledSet is what a set comes to.
type compiledSet struct {
	seeds  []Seed
	late   []Seed // after those of every set
	issues []SeedIssue
}

func (c *seedCompiler) compile(set namedSet) compiledSet {
	var out compiledSet
	seen := map[string]int{}
	for i, record := range set.Records {
		r := seedRecord{c: c, set: set, index: i, record: record, seen: seen}
		r.compile()
		out.issues = append(out.issues, r.issues...)
		if len(r.issues) == 0 {
			first, late := r.seeds()
			out.seeds, out.late = append(out.seeds, first), append(out.late, late...)
		}
	}
	return out
}
