package apply_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// For random bundles a and b: a database brought to a, filled, and brought to
// b needs nothing more, has lost no row of a table that stays, and is what a
// fresh database brought to b is. What is blocked or refused changes nothing.
func TestRandomPairs(t *testing.T) {
	pairs, seed := setting(t, "PROPERTY_PAIRS", 500), uint64(setting(t, "PROPERTY_SEED", 1))
	for i := range pairs {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		a := randomObjects(random, nil)
		b := randomObjects(random, a)
		if err := checkPair(t, random, a, b); err != nil {
			t.Fatalf("PROPERTY_SEED=%d, pair %d: %v\nfrom\n%s\nto\n%s", seed, i, err, describe(a), describe(b))
		}
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

func setting(t *testing.T, name string, value int) int {
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

func checkPair(t *testing.T, random *rand.Rand, a, b []schema.Object) error {
	ctx := t.Context()
	conn, err := libsql.OpenMemory(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	deploy := func(objects []schema.Object) (*plan.Plan, error) {
		p, err := planFor(ctx, conn, objects, false)
		if err != nil {
			return nil, err
		}
		_, err = apply.Run(ctx, conn, p, apply.Deployment{ID: fmt.Sprint(random.Uint64()), Adopt: true})
		return p, err
	}
	if _, err := deploy(a); err != nil {
		return fmt.Errorf("first bundle: %w", err)
	}
	rows := map[string]int{}
	tables, _ := schema.Desired(a, schema.Options{})
	for _, table := range tables {
		n := random.IntN(4)
		for i := range n {
			if err := insert(t, conn, table, i); err != nil {
				return fmt.Errorf("insert: %w", err)
			}
		}
		rows[table.Object] = n
	}
	p, err := deploy(b)
	var blocked *apply.BlockedError
	if errors.As(err, &blocked) || errors.Is(err, plan.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("second bundle: %w", err)
	}
	if p.Class() < diff.Rewrite && len(p.Warnings) > 0 {
		return fmt.Errorf("no way back: %v", p.Warnings)
	}
	return sameAsFresh(t, conn, b, rows)
}

func insert(t *testing.T, conn *libsql.Conn, table schema.Table, i int) error {
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

func sameAsFresh(t *testing.T, conn *libsql.Conn, b []schema.Object, rows map[string]int) error {
	ctx := t.Context()
	want, _ := schema.Desired(b, schema.Options{})
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return err
	}
	owned, err := schema.ParseOwned(seen.Record.Owned)
	if err != nil {
		return err
	}
	live, err := schema.Inspect(ctx, conn)
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
	for _, table := range want {
		was := table.Object
		if table.RenamedFrom != "" {
			was = table.RenamedFrom
		}
		answer, err := conn.Query(ctx, "SELECT count(*) FROM "+schema.Quote(table.Name))
		if err != nil {
			return err
		}
		if got := answer.Values[0][0]; got != int64(rows[was]) {
			return fmt.Errorf("table %q has %v rows, want %d", table.Name, got, rows[was])
		}
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
