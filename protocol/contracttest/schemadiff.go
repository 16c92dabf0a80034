package contracttest

import (
	"slices"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
)

// SchemaDiffFixture is a SchemaDiffService and one empty database.
type SchemaDiffFixture struct {
	Service protocol.SchemaDiffService
	Driver  any    // the database
	Dialect string // that it speaks
}

// SchemaDiff exercises the contract of protocol.SchemaDiffService.
func SchemaDiff(t *testing.T, open func(testing.TB) SchemaDiffFixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, SchemaDiffFixture)
	}{
		{"an empty database has no tables", introspectEmpty},
		{"a new object is one change and breaks nothing", diffNewObject},
		{"applied migrations leave no difference", diffApplied},
		{"a field that goes is a breaking change", diffRemovedField},
		{"a broken definition is an error", diffBroken},
		{"a failing statement undoes the ones before it", applyFailing},
		{"a dialect that is not served is an error", unknownDialect},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func (f SchemaDiffFixture) introspect(t testing.TB) protocol.IntrospectedSchema {
	t.Helper()
	return must(f.Service.Introspect(t.Context(), f.Driver))(t)
}

func (f SchemaDiffFixture) diff(t testing.TB, objects ...map[string]any) protocol.DeployDiff {
	t.Helper()
	diff := must(f.Service.Diff(f.introspect(t), objects))(t)
	var counted protocol.DeployDiffSummary
	for _, change := range diff.Changes {
		switch change.ChangeType {
		case protocol.ChangeAdded:
			counted.Added++
		case protocol.ChangeModified:
			counted.Modified++
		case protocol.ChangeRemoved:
			counted.Removed++
		}
	}
	if diff.Summary != counted {
		t.Errorf("got summary %+v, want %+v", diff.Summary, counted)
	}
	return diff
}

func (f SchemaDiffFixture) plan(t testing.TB, objects ...map[string]any) protocol.MigrationPlan {
	t.Helper()
	plan := must(f.Service.GenerateMigrations(f.diff(t, objects...), f.Dialect))(t)
	if plan.Dialect != f.Dialect {
		t.Errorf("got a plan of dialect %q, want %q", plan.Dialect, f.Dialect)
	}
	return plan
}

// migrate brings the database to objects.
func (f SchemaDiffFixture) migrate(t testing.TB, objects ...map[string]any) {
	t.Helper()
	plan := f.plan(t, objects...)
	got := must(f.Service.ApplyMigrations(t.Context(), f.Driver, plan))(t)
	if !got.Success || got.StatementsExecuted != len(plan.Statements) || got.FailedAtIndex != nil || got.Error != "" {
		t.Fatalf("got %+v, want all %d statements run", got, len(plan.Statements))
	}
}

func introspectEmpty(t *testing.T, f SchemaDiffFixture) {
	got := f.introspect(t)
	if len(got.Tables) != 0 || got.Dialect != f.Dialect {
		t.Errorf("got %+v, want no tables in dialect %s", got, f.Dialect)
	}
	if _, err := time.Parse(time.RFC3339, got.IntrospectedAt); err != nil {
		t.Errorf("introspectedAt: %v", err)
	}
}

func diffNewObject(t *testing.T, f SchemaDiffFixture) {
	got := f.diff(t, object("task", "title"))
	found := slices.ContainsFunc(got.Changes, func(c protocol.SchemaChange) bool {
		return c.EntityType == protocol.EntityObject && c.EntityName == "task" && c.ChangeType == protocol.ChangeAdded
	})
	if !found || got.HasBreakingChanges || got.Summary.Added != len(got.Changes) {
		t.Errorf("got %+v, want the object task added and nothing broken", got)
	}
}

func diffApplied(t *testing.T, f SchemaDiffFixture) {
	f.migrate(t, object("task", "title"))
	f.migrate(t, object("label", "word"), object("task", "due", "title"))
	schema := f.introspect(t)
	if !hasColumn(schema, "task", "title") || !hasColumn(schema, "task", "due") || schema.Tables["label"].Name != "label" {
		t.Errorf("got %+v, want label, and task with title and due", schema)
	}
	again := f.diff(t, object("label", "word"), object("task", "due", "title"))
	if len(again.Changes) > 0 || again.Summary != (protocol.DeployDiffSummary{}) {
		t.Errorf("got %+v, want no difference", again)
	}
}

// hasColumn reports whether a table has a column of some type.
func hasColumn(schema protocol.IntrospectedSchema, table, column string) bool {
	return slices.ContainsFunc(schema.Tables[table].Columns, func(c protocol.IntrospectedColumn) bool {
		return c.Name == column && c.Type != ""
	})
}

func diffRemovedField(t *testing.T, f SchemaDiffFixture) {
	f.migrate(t, object("task", "due", "title"))
	got := f.diff(t, object("task", "title"))
	if !got.HasBreakingChanges || got.Summary.Removed != 1 {
		t.Errorf("got %+v, want one breaking removal", got)
	}
	f.migrate(t, object("task", "title"))
	if schema := f.introspect(t); hasColumn(schema, "task", "due") || !hasColumn(schema, "task", "title") {
		t.Errorf("got %+v, want task with title alone", schema)
	}
}

func diffBroken(t *testing.T, f SchemaDiffFixture) {
	if got, err := f.Service.Diff(f.introspect(t), broken().Objects); err == nil {
		t.Errorf("got %+v, want an error", got)
	}
}

func applyFailing(t *testing.T, f SchemaDiffFixture) {
	plan := f.plan(t, object("task", "title"))
	last := len(plan.Statements)
	plan.Statements = append(slices.Clone(plan.Statements), protocol.MigrationStatement{SQL: "this is no statement", Order: last})
	got := must(f.Service.ApplyMigrations(t.Context(), f.Driver, plan))(t)
	if got.Success || got.Error == "" || got.FailedAtIndex == nil || *got.FailedAtIndex != last || got.StatementsExecuted > last {
		t.Errorf("got %+v, want a failure at %d", got, last)
	}
	if tables := f.introspect(t).Tables; len(tables) > 0 {
		t.Errorf("got %+v, want no tables", tables)
	}
}

func unknownDialect(t *testing.T, f SchemaDiffFixture) {
	if plan, err := f.Service.GenerateMigrations(f.diff(t, object("task", "title")), "cuneiform"); err == nil {
		t.Errorf("got %+v, want an error", plan)
	}
}
