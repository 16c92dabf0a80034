package plan_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/golden"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// company has a field of every kind that seed data treats in its own way.
var company = []schema.Object{
	{Object: protocol.Object{Name: "account", Fields: map[string]protocol.Field{
		"name":    {Type: protocol.FieldText, Required: true},
		"status":  {Type: protocol.FieldSelect, Required: true, DefaultValue: "new"},
		"revenue": {Type: protocol.FieldCurrency},
		"active":  {Type: protocol.FieldBoolean},
		"since":   {Type: protocol.FieldDate},
		"opens":   {Type: protocol.FieldTime},
		"tags":    {Type: protocol.FieldTags},
		"score":   {Type: protocol.FieldFormula},
		"parent":  {Type: protocol.FieldTree},
		"owner":   {Type: protocol.FieldLookup, Reference: "user"},
		"lead":    {Type: protocol.FieldLookup},
		"partner": {Type: protocol.FieldLookup, Reference: "account", Multiple: true},
	}}},
	{Object: protocol.Object{Name: "contact", Fields: map[string]protocol.Field{
		"email":   {Type: protocol.FieldEmail, Required: true, ColumnName: "mail"},
		"account": {Type: protocol.FieldMasterDetail, Reference: "account", Required: true},
		"note":    {Type: protocol.FieldLookup, Reference: "note"},
	}}},
	{Object: protocol.Object{Name: "note", Fields: map[string]protocol.Field{
		"title":   {Type: protocol.FieldText},
		"contact": {Type: protocol.FieldLookup, Reference: "contact"},
	}}},
}

func compile(t testing.TB, sets []plan.SeedSet, applied map[string]string, o schema.Options) plan.SeedPlan {
	t.Helper()
	tables, faults := schema.Desired(company, o)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return plan.CompileSeeds(plan.SeedInput{Sets: sets, Objects: company, Tables: tables, Applied: applied})
}

// set reads records as JSON, one a line or comma.
func set(t testing.TB, object, externalID string, mode protocol.DatasetMode, records string) plan.SeedSet {
	t.Helper()
	s := plan.SeedSet{Dataset: protocol.Dataset{Object: object, ExternalID: externalID, Mode: mode}}
	d := json.NewDecoder(strings.NewReader("[" + records + "]"))
	d.UseNumber()
	if err := d.Decode(&s.Records); err != nil {
		t.Fatal(err)
	}
	return s
}

func issues(p plan.SeedPlan) []string {
	var lines []string
	for _, i := range p.Issues {
		lines = append(lines, i.String())
	}
	return lines
}

func TestCompileSeedsStatements(t *testing.T) {
	compiled := compile(t, []plan.SeedSet{
		set(t, "contact", "email", protocol.DatasetIgnore, `{"email": "o'hara@x.example", "account": "Acme"}`),
		set(t, "account", "name", protocol.DatasetUpsert, `{"name": "Acme", "status": "won", "since": {"dialect": "cel", "source": "daysAgo(3)"}, "parent": "Acme Group"}`),
		set(t, "account", "name", protocol.DatasetUpdate, `{"name": "Acme", "revenue": 1e6}`),
	}, nil, schema.Options{})
	var b strings.Builder
	for _, s := range compiled.Seeds {
		fmt.Fprintf(&b, "-- %s record %d (%s)\n%s;\n", s.Set, s.Record+1, s.Key, s.Find)
		for _, r := range s.References {
			fmt.Fprintf(&b, "%s; -- %s: %s\n", r.SQL, r.Field, r.Missing)
		}
		fmt.Fprintf(&b, "%s;\n%s;\n\n", s.SQL, s.Note)
	}
	golden.Equal(t, "testdata/seed.sql", b.String())
}

func TestCompileSeedsIssues(t *testing.T) {
	const id = "0123456789abcdef01234567"
	tests := []struct {
		name, record string
		want         []string // field: message
	}{
		{"a field that is not there", `{"name": "A", "colour": 1}`, []string{"field colour: account has no such field; add it, or take the value out"}},
		{"a computed field", `{"name": "A", "score": 1}`, []string{"field score: the field is computed and holds no value of its own; take the value out"}},
		{"text in a number", `{"name": "A", "revenue": "1 million"}`, []string{"field revenue: the value is not a number: 1 million"}},
		{"not a number in a number", `{"name": "A", "revenue": "NaN"}`, []string{"field revenue: the value is not a number: NaN"}},
		{"a boolean in a number", `{"name": "A", "revenue": true}`, []string{"field revenue: the value is not a number: true"}},
		{"a number that is too large", `{"name": "A", "revenue": 1e999}`, []string{"field revenue: the number is too large: 1e999"}},
		{"a number in a boolean", `{"name": "A", "active": 2}`, []string{"field active: the value is neither true nor false: 2"}},
		{"a list in a text", `{"name": "A", "status": ["x"]}`, []string{"field status: the value is a list and the field holds one value"}},
		{"an object in a text", `{"name": "A", "status": {"x": 1}}`, []string{"field status: the value is an object and the field holds one value"}},
		{"another dialect", `{"name": "A", "since": {"dialect": "js", "source": "today()"}}`, []string{"field since: the value is an object and the field holds one value"}},
		{
			"an unknown expression", `{"name": "A", "since": {"dialect": "cel", "source": "addMonths(today(), 1)"}}`,
			[]string{`field since: the expression "addMonths(today(), 1)" is not understood; use today(), now(), daysAgo(n) or daysFromNow(n)`},
		},
		{
			"an unknown expression as text", `{"name": "A", "since": "tomorrow()"}`,
			[]string{`field since: the expression "tomorrow()" is not understood; use today(), now(), daysAgo(n) or daysFromNow(n)`},
		},
		{"a time in a number", `{"name": "A", "revenue": {"dialect": "cel", "source": "now()"}}`, []string{`field revenue: the expression "now()" gives a time, which the field does not hold`}},
		{"an expression inside JSON", `{"name": "A", "tags": [{"dialect": "cel", "source": "now()"}]}`, []string{"field tags: an expression inside a JSON value is not understood; write the value itself"}},
		{"a NUL", `{"name": "A", "status": "a\u0000b"}`, []string{"field status: the text contains a NUL, at which the database would cut it"}},
		{"a key of an object that is not there", `{"name": "A", "owner": "admin"}`, []string{`field owner: the bundle has no object "user" to look "admin" up in; write an id, or take the value out`}},
		{"an id of an object that is not there", `{"name": "A", "owner": "` + id + `", "lead": "` + strings.Repeat("a2", 13) + `"}`, nil},
		{"a reference to nothing said", `{"name": "A", "lead": "admin"}`, []string{"field lead: the field does not say which object it refers to, so \"admin\" is not known; set `reference`, or write an id"}},
		{"a reference that is no key", `{"name": "A", "parent": ["B"]}`, []string{"field parent: the field refers to a record: write its key, {externalId: key}, or its id"}},
		{"one reference where there are several", `{"name": "A", "partner": "B"}`, []string{"field partner: the field refers to several records: write a list of at most 100"}},
		{
			"several things at once", `{"name": "A", "active": "perhaps", "revenue": "much"}`,
			[]string{"field active: the value is neither true nor false: perhaps", "field revenue: the value is not a number: much"},
		},
		{"nothing where a default is", `{"name": "A", "status": null}`, nil},
		{"nothing where nothing may be", `{"name": "A", "revenue": null, "owner": null}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, o := range []schema.Options{{}, {NullableRequired: true}} {
				compiled := compile(t, []plan.SeedSet{set(t, "account", "name", protocol.DatasetUpsert, test.record)}, nil, o)
				var want []string
				for _, w := range test.want {
					want = append(want, "account record 1 (A), "+w)
				}
				if diff := cmp.Diff(issues(compiled), want); diff != "" {
					t.Errorf("(-got +want)\n%s", diff)
				}
				if loads := len(compiled.Seeds) > 0; loads != (want == nil) {
					t.Errorf("got %d statements", len(compiled.Seeds))
				}
			}
		})
	}
}

func TestCompileSeedsFindsRecordsByTheirKey(t *testing.T) {
	tests := []struct {
		name string
		set  plan.SeedSet
		want []string
	}{
		{
			"an object that is not there", set(t, "order", "name", "upsert", `{"name": "A"}`),
			[]string{`order record 1: the bundle has no object "order"; add it, or take the seed set out`},
		},
		{
			"a key field that is not there", set(t, "contact", "name", "upsert", `{"email": "a"}`),
			[]string{"contact record 1, field name: contact has no such field to match records by; set externalId to one that it has"},
		},
		{
			"a key given twice", set(t, "account", "name", "upsert", `{"name": "A"}, {"name": "B"}, {"name": "A"}`),
			[]string{"account record 3 (A), field name: record 1 has the same value, and records are matched by it"},
		},
		{
			"a key that is no plain value", set(t, "account", "since", "upsert", `{"name": "A", "since": {"dialect": "cel", "source": "today()"}}`),
			[]string{"account record 1, field since: the record is matched by this field and has no text or number in it"},
		},
		{
			"nothing but an id", set(t, "note", "id", "upsert", `{"id": "n1"}, {"id": "n2", "title": "T"}`),
			[]string{"note record 1 (n1): the record has nothing but an id; give it a value"},
		},
		{
			"a new row without what it requires", set(t, "contact", "email", "ignore", `{"email": "a"}`),
			[]string{"contact record 1 (a), field account: the field is required and the record has no value for it"},
		},
		{"a change without what a new row requires", set(t, "contact", "email", "update", `{"email": "a"}`), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(issues(compile(t, []plan.SeedSet{test.set}, nil, schema.Options{})), test.want); diff != "" {
				t.Errorf("(-got +want)\n%s", diff)
			}
		})
	}
}

func TestCompileSeedsOrder(t *testing.T) {
	note := set(t, "note", "title", "upsert", `{"title": "N", "contact": "c"}`)
	contact := set(t, "contact", "email", "upsert", `{"email": "c", "account": "A"}`)
	second := set(t, "contact", "email", "upsert", `{"email": "c", "account": "`+strings.Repeat("f", 24)+`"}`)
	account := set(t, "account", "name", "upsert", `{"name": "A", "parent": "B"}, {"name": "B"}`)
	circle := set(t, "contact", "email", "upsert", `{"email": "c", "account": "A", "note": "N"}`)
	tests := []struct {
		name string
		sets []plan.SeedSet
		want string
	}{
		{"what is referred to comes first, its own references last", []plan.SeedSet{note, contact, second, account}, "account account contact contact/2 note account"},
		{"the order given, otherwise", []plan.SeedSet{account, contact, second, note}, "account account contact contact/2 note account"},
		{"a circle begins with what was given first", []plan.SeedSet{circle, note, account}, "account account contact note account contact"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var names []string
			for _, s := range compile(t, test.sets, nil, schema.Options{}).Seeds {
				names = append(names, s.Set)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestCompileSeedsRunsWhatHasChanged(t *testing.T) {
	a := set(t, "account", "name", "upsert", `{"name": "A"}`)
	b := set(t, "note", "title", "upsert", `{"title": "N"}, {"title": "O", "extra": 1}`)
	first := compile(t, []plan.SeedSet{a, b}, nil, schema.Options{})
	if got := len(first.Digests); got != 2 {
		t.Fatalf("got %d digests, want 2", got)
	}
	tests := []struct {
		name   string
		change func(sets []plan.SeedSet)
		want   string
	}{
		{"nothing", func([]plan.SeedSet) {}, ""},
		{"the environments", func(sets []plan.SeedSet) { sets[0].Env = []string{"prod"} }, ""},
		{"a value", func(sets []plan.SeedSet) { sets[0].Records = []map[string]any{{"name": "B"}} }, "account"},
		{"the mode", func(sets []plan.SeedSet) { sets[0].Mode = "insert" }, "account"},
		{"overwrite", func(sets []plan.SeedSet) { sets[0].Overwrite = true }, "account"},
		{"what can be loaded", func([]plan.SeedSet) { company[2].Fields["extra"] = protocol.Field{Type: protocol.FieldNumber} }, "note note"},
	}
	defer delete(company[2].Fields, "extra")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sets := []plan.SeedSet{a, b}
			test.change(sets)
			again := compile(t, sets, first.Digests, schema.Options{})
			var names []string
			for _, s := range again.Seeds {
				names = append(names, s.Set)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if len(again.Digests) != 2 {
				t.Errorf("got digests of %d sets, want 2", len(again.Digests))
			}
		})
	}
}

func TestCompileSeedsIsDeterministic(t *testing.T) {
	sets := []plan.SeedSet{
		set(t, "contact", "email", "upsert", `{"email": "c", "account": "A", "note": "N"}`),
		set(t, "note", "title", "upsert", `{"title": "N", "contact": "c"}, {"name": 1, "id": 2, "contact": []}`),
		set(t, "account", "name", "upsert", `{"name": "A", "tags": {"b": 1, "a": [2]}, "parent": "B", "partner": ["A", "B"]}`),
	}
	first := compile(t, sets, nil, schema.Options{})
	for range 20 {
		again := compile(t, slices.Clone(sets), nil, schema.Options{})
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
	}
}
