package apply_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// For random bundles a and b, and rows: a database brought from a to b has
// exactly b's schema, and every row with every value of the columns that stay;
// brought back to a it has exactly a's schema and every value that it had. What
// somebody else made is there to the letter all the while, and the plan is the
// same bytes whatever the order of its input. What is blocked or refused
// changes nothing.
func TestProperty(t *testing.T) {
	checkPairs(t, setting(t, "PROPERTY_PAIRS", 500), func() (database.Conn, error) { return libsql.OpenMemory(t.Context()) })
}

// The same holds on a libSQL server, where a plan is one batch.
func TestPropertyOnServer(t *testing.T) {
	n, place := 0, databasetest.New(t, databasetest.Server)
	checkPairs(t, setting(t, "PROPERTY_SERVER_PAIRS", 10), func() (database.Conn, error) {
		n++
		return place.Open(t.Context(), fmt.Sprint("pair", n))
	})
}

func checkPairs(t *testing.T, pairs int, open func() (database.Conn, error)) {
	seed, done := uint64(setting(t, "PROPERTY_SEED", 1)), 0
	for i := range pairs {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		a := randomObjects(random, nil)
		b := randomObjects(random, a)
		conn, err := open()
		if err != nil {
			t.Fatal(err)
		}
		deployed, err := checkPair(t, conn, random, a, b)
		if err != nil {
			t.Fatalf("PROPERTY_SEED=%d, pair %d: %v\nfrom\n%s\nto\n%s", seed, i, err, describe(a), describe(b))
		}
		if deployed {
			done++
		}
	}
	t.Logf("%d of %d pairs deployed and taken back, the others blocked", done, pairs)
	if done < pairs/2 {
		t.Errorf("only %d of %d pairs were deployed", done, pairs)
	}
}

// describe lists the tables that objects ask for.
func describe(objects []schema.Object) string {
	var b strings.Builder
	tables, _ := schema.Desired(objects, schema.Options{})
	for _, t := range tables {
		fmt.Fprintf(&b, "%s from %q\n", t.Name, t.RenamedFrom)
		for _, c := range t.Columns[3:] {
			fmt.Fprintf(&b, "  %s %s from %q\n", c.Name, c.Definition(), c.RenamedFrom)
		}
		for _, i := range t.Indexes {
			fmt.Fprintf(&b, "  %+v\n", i)
		}
	}
	return b.String()
}

func setting(t testing.TB, name string, value int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return value
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// pairTenant is the database of one pair.
type pairTenant struct {
	t    *testing.T
	conn database.Conn
	n    int
}

func (x *pairTenant) deploy(objects []schema.Object) (*plan.Plan, error) {
	ctx := x.t.Context()
	p, err := planFor(ctx, x.conn, objects, false, nil)
	if err != nil {
		return nil, err
	}
	x.n++
	_, err = apply.Run(ctx, x.conn, p, apply.Deployment{ID: fmt.Sprint(x.n), Adopt: true})
	return p, err
}

// checkPair tells whether the pair was deployed, and not refused.
func checkPair(t *testing.T, conn database.Conn, random *rand.Rand, a, b []schema.Object) (bool, error) {
	defer conn.Close()
	x := &pairTenant{t: t, conn: conn}
	if _, err := x.deploy(a); err != nil {
		return false, fmt.Errorf("first bundle: %w", err)
	}
	if err := x.fill(random, a); err != nil {
		return false, err
	}
	before, err := x.values(a, nil)
	if err != nil {
		return false, err
	}
	stay, err := x.values(a, append([]schema.Object{}, b...)) // not nil when b is empty
	if err != nil {
		return false, err
	}
	foreign, err := x.foreign()
	if err != nil {
		return false, err
	}
	if err := x.sameShuffled(random, b); err != nil {
		return false, err
	}
	p, err := x.deploy(b)
	var blocked *apply.BlockedError
	if errors.As(err, &blocked) || errors.Is(err, plan.ErrConflict) {
		after, err := x.values(a, nil)
		return false, errors.Join(err, differ("values of a refused plan", after, before))
	}
	if err != nil {
		return false, fmt.Errorf("second bundle: %w", err)
	}
	if len(p.WayBack) == 0 && len(p.Migration.Statements) > 0 {
		return false, fmt.Errorf("no way back: %v", p.Warnings)
	}
	if err := x.is(b); err != nil {
		return false, err
	}
	after, err := x.valuesAs(stay.as)
	if err := errors.Join(err, differ("values that stay", after, stay)); err != nil {
		return false, err
	}
	if _, err := x.deploy(a); err != nil {
		return false, fmt.Errorf("back: %w", err)
	}
	if err := x.is(a); err != nil {
		return false, fmt.Errorf("back: %w", err)
	}
	again, err := x.values(a, nil)
	kept, foreignErr := x.foreign()
	if kept != foreign {
		err = errors.Join(err, fmt.Errorf("what is foreign changed from\n%s\nto\n%s", foreign, kept))
	}
	return true, errors.Join(err, foreignErr, differ("values after going back", again, before))
}

// fill gives the tables rows, and the database things of somebody else's.
func (x *pairTenant) fill(random *rand.Rand, objects []schema.Object) error {
	tables, _ := schema.Desired(objects, schema.Options{})
	for _, table := range tables {
		for i := range random.IntN(4) {
			if err := insert(x.t, x.conn, table, i); err != nil {
				return fmt.Errorf("insert: %w", err)
			}
		}
	}
	statements := []string{
		"CREATE TABLE theirs (a TEXT COLLATE NOCASE UNIQUE, b REFERENCES theirs (a))", "INSERT INTO theirs VALUES ('x', NULL)",
		"CREATE VIEW their_view AS SELECT a FROM theirs", "CREATE INDEX their_index ON theirs (a DESC)",
	}
	if len(tables) > 0 {
		name := schema.Quote(tables[0].Name)
		statements = append(statements, "CREATE TRIGGER their_trigger AFTER INSERT ON theirs BEGIN SELECT 1; END",
			"ALTER TABLE "+name+" ADD COLUMN their_column TEXT DEFAULT 'it''s'")
	}
	for _, sql := range statements {
		if _, err := x.conn.Exec(x.t.Context(), sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// foreign is the text of what is not ours, and its rows.
func (x *pairTenant) foreign() (string, error) {
	text, err := x.conn.Query(x.t.Context(), "SELECT sql FROM sqlite_master WHERE name LIKE 'their%' ORDER BY name")
	rows, rowsErr := x.conn.Query(x.t.Context(), "SELECT a, b FROM theirs")
	return fmt.Sprint(text.Values, rows.Values), errors.Join(err, rowsErr)
}

// contents are the values of tables, and the queries that they answer.
type contents struct {
	as   []string
	rows string
}

// values reads the tables of objects; with later, the columns that are there
// with the same meaning after the deployment of later.
func (x *pairTenant) values(objects, later []schema.Object) (contents, error) {
	tables, _ := schema.Desired(objects, schema.Options{})
	next, _ := schema.Desired(later, schema.Options{})
	var now, then []string
	for _, table := range tables {
		names, after := []string{"id", "created_at"}, []string{"id", "created_at"}
		to := table
		if later != nil {
			var ok bool
			if to, ok = successor(table, next); !ok {
				continue
			}
		}
		for _, c := range table.Columns[3:] {
			if later == nil {
				names, after = append(names, schema.Quote(c.Name)), append(after, schema.Quote(c.Name))
			} else if is, ok := successorColumn(c, to); ok {
				names, after = append(names, schema.Quote(c.Name)), append(after, schema.Quote(is))
			}
		}
		now = append(now, fmt.Sprintf("SELECT %s FROM %s ORDER BY id", strings.Join(names, ", "), schema.Quote(table.Name)))
		then = append(then, fmt.Sprintf("SELECT %s FROM %s ORDER BY id", strings.Join(after, ", "), schema.Quote(to.Name)))
	}
	found, err := x.valuesAs(now)
	found.as = then
	return found, err
}

func (x *pairTenant) valuesAs(queries []string) (contents, error) {
	found := contents{as: queries}
	for _, query := range queries {
		rows, err := x.conn.Query(x.t.Context(), query)
		if err != nil {
			return found, fmt.Errorf("%s: %w", query, err)
		}
		found.rows += fmt.Sprintf("%#v\n", rows.Values)
	}
	return found, nil
}

// successor is what becomes of a table.
func successor(table schema.Table, next []schema.Table) (schema.Table, bool) {
	for _, t := range next {
		if t.Object == table.Object || t.RenamedFrom == table.Object {
			return t, true
		}
	}
	return schema.Table{}, false
}

// successorColumn is the name of a column that keeps its values as they are.
func successorColumn(c schema.Column, to schema.Table) (string, bool) {
	for _, is := range to.Columns {
		if (is.Name == c.Name || is.RenamedFrom == c.Name) && is.Type == c.Type && (c.NotNull || !is.NotNull || is.Default == "") {
			return is.Name, true
		}
	}
	return "", false
}

func differ(what string, got, want contents) error {
	if got.rows == want.rows {
		return nil
	}
	return fmt.Errorf("%s: got\n%s\nwant\n%s", what, got.rows, want.rows)
}

func insert(t *testing.T, conn database.Conn, table schema.Table, i int) error {
	names, marks, args := "id", "?", []any{fmt.Sprint("r", i)}
	for _, c := range table.Columns {
		if schema.IsSystemColumn(c.Name) {
			continue
		}
		names, marks, args = names+", "+schema.Quote(c.Name), marks+", ?", append(args, fmt.Sprint(i+1))
	}
	_, err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", schema.Quote(table.Name), names, marks), args...)
	return err
}

// is makes sure that the schema is exactly that of objects.
func (x *pairTenant) is(objects []schema.Object) error {
	ctx := x.t.Context()
	want, _ := schema.Desired(objects, schema.Options{})
	seen, err := apply.Read(ctx, x.conn)
	if err != nil {
		return err
	}
	owned, err := schema.ParseOwned(seen.Record.Owned)
	if err != nil {
		return err
	}
	live, err := schema.Inspect(ctx, x.conn)
	if err != nil {
		return err
	}
	again, err := diff.Compute(diff.Live{Tables: live, Owned: owned}, diff.Desired{Tables: want})
	if err != nil {
		return err
	}
	if len(again.Changes) > 0 || again.Before != schema.Digest(want) {
		return fmt.Errorf("the live schema is not the desired one: %v", again.Changes)
	}
	return nil
}

// sameShuffled makes sure that the order of objects does not change their plan.
func (x *pairTenant) sameShuffled(random *rand.Rand, objects []schema.Object) error {
	shuffled := slices.Clone(objects)
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	p, err := planFor(x.t.Context(), x.conn, objects, false, nil)
	other, otherErr := planFor(x.t.Context(), x.conn, shuffled, false, nil)
	if err != nil || otherErr != nil {
		if fmt.Sprint(err) != fmt.Sprint(otherErr) {
			return fmt.Errorf("got error %w, and in another order %w", err, otherErr)
		}
		return nil
	}
	if p.Digest != other.Digest {
		return fmt.Errorf("got plan %.12s, and in another order %.12s", p.Digest, other.Digest)
	}
	return nil
}

var propertyTypes = []protocol.FieldType{
	protocol.FieldText, protocol.FieldNumber, protocol.FieldBoolean, protocol.FieldDate, protocol.FieldTags,
	protocol.FieldLookup, protocol.FieldMasterDetail, protocol.FieldFormula, protocol.FieldRating,
}

// randomObjects makes a bundle: a new one, or a variation of another with
// fields and objects added, removed, renamed and changed.
func randomObjects(random *rand.Rand, from []schema.Object) []schema.Object {
	var objects []schema.Object
	for _, o := range from {
		if random.IntN(8) == 0 {
			continue
		}
		objects = append(objects, vary(random, o))
	}
	for i := range random.IntN(3) {
		o := schema.Object{Object: protocol.Object{Name: fmt.Sprintf("new_%d_%d", len(from), i), Fields: map[string]protocol.Field{}}}
		for j := range random.IntN(6) {
			o.Fields[fmt.Sprint("f", j)] = randomField(random)
		}
		objects = append(objects, withIndexes(random, o))
	}
	return objects
}

func vary(random *rand.Rand, o schema.Object) schema.Object {
	next := schema.Object{Object: o.Object, FieldRenames: map[string]string{}}
	next.Fields = map[string]protocol.Field{}
	for i := range 8 {
		key := fmt.Sprint("f", i)
		field, had := o.Fields[key]
		switch choice := random.IntN(10); {
		case had && choice < 5:
			next.Fields[key] = field
		case had && choice < 6:
			next.Fields[key+"_renamed"] = field
			next.FieldRenames[key+"_renamed"] = key
		case had && choice < 8 || !had && choice < 2:
			next.Fields[key] = randomField(random)
		}
	}
	if random.IntN(6) == 0 {
		next.Name, next.RenamedFrom = o.Name+"_renamed", o.Name
	}
	return withIndexes(random, next)
}

func withIndexes(random *rand.Rand, o schema.Object) schema.Object {
	o.Indexes = nil
	for key, f := range o.Fields {
		if f.Type != protocol.FieldFormula && random.IntN(5) == 0 {
			o.Indexes = append(o.Indexes, protocol.Index{Fields: []string{key, "created_at"}, Unique: random.IntN(3) == 0})
		}
	}
	return o
}

func randomField(random *rand.Rand) protocol.Field {
	f := protocol.Field{
		Type:     propertyTypes[random.IntN(len(propertyTypes))],
		Required: random.IntN(3) == 0, Unique: random.IntN(6) == 0, Index: random.IntN(6) == 0, Multiple: random.IntN(8) == 0,
	}
	switch random.IntN(4) {
	case 0:
		f.DefaultValue = "7"
	case 1:
		f.DefaultValue = "NOW()"
	}
	return f
}
