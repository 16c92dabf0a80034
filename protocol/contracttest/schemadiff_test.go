package contracttest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/protocol/shape"
)

func TestSchemaDiff(t *testing.T) {
	contracttest.SchemaDiff(t, func(testing.TB) contracttest.SchemaDiffFixture {
		return contracttest.SchemaDiffFixture{Service: memoryDiff{}, Driver: structure{}, Dialect: "memory"}
	})
}

// memoryDiff compares and changes a structure. Its statements are "ADD" or
// "DROP" and "TABLE.COLUMN".
type memoryDiff struct{}

func (memoryDiff) Introspect(_ context.Context, driver any) (protocol.IntrospectedSchema, error) {
	schema := protocol.IntrospectedSchema{
		Tables: map[string]protocol.IntrospectedTable{}, Dialect: "memory", IntrospectedAt: "2026-01-02T03:04:05Z",
	}
	for name, columns := range driver.(structure) {
		table := protocol.IntrospectedTable{Name: name}
		for _, c := range columns {
			table.Columns = append(table.Columns, protocol.IntrospectedColumn{Name: c, Type: "text", Nullable: true})
		}
		schema.Tables[name] = table
	}
	return schema, nil
}

func (memoryDiff) Diff(current protocol.IntrospectedSchema, desired []map[string]any) (protocol.DeployDiff, error) {
	var diff protocol.DeployDiff
	for _, definition := range desired {
		object, report := shape.Parse[protocol.Object](definition, shape.Strip)
		if err := report.Err(); err != nil {
			return diff, err
		}
		table, there := current.Tables[object.Name]
		wanted := slices.Sorted(maps.Keys(object.Fields))
		if !there {
			diff.Summary.Added++
			diff.Changes = append(diff.Changes, protocol.SchemaChange{
				EntityType: protocol.EntityObject, EntityName: object.Name, ChangeType: protocol.ChangeAdded, NewValue: wanted,
			})
			continue
		}
		diff = diffFields(diff, table, wanted)
	}
	return diff, nil
}

func diffFields(diff protocol.DeployDiff, table protocol.IntrospectedTable, wanted []string) protocol.DeployDiff {
	change := protocol.SchemaChange{EntityType: protocol.EntityField, ParentEntity: table.Name}
	var had []string
	for _, c := range table.Columns {
		had = append(had, c.Name)
		if !slices.Contains(wanted, c.Name) {
			change.EntityName, change.ChangeType = c.Name, protocol.ChangeRemoved
			diff.Changes = append(diff.Changes, change)
			diff.Summary.Removed++
			diff.HasBreakingChanges = true
		}
	}
	for _, name := range wanted {
		if !slices.Contains(had, name) {
			change.EntityName, change.ChangeType = name, protocol.ChangeAdded
			diff.Changes = append(diff.Changes, change)
			diff.Summary.Added++
		}
	}
	return diff
}

func (memoryDiff) GenerateMigrations(diff protocol.DeployDiff, dialect string) (protocol.MigrationPlan, error) {
	plan := protocol.MigrationPlan{Dialect: dialect, Reversible: true}
	if dialect != "memory" {
		return plan, fmt.Errorf("dialect %q is not served", dialect)
	}
	add := func(word, table, column string) {
		plan.Statements = append(plan.Statements, protocol.MigrationStatement{
			SQL: word + " " + table + "." + column, Order: len(plan.Statements),
		})
	}
	for _, c := range diff.Changes {
		switch {
		case c.EntityType == protocol.EntityObject:
			for _, column := range c.NewValue.([]string) {
				add("ADD", c.EntityName, column)
			}
		case c.ChangeType == protocol.ChangeAdded:
			add("ADD", c.ParentEntity, c.EntityName)
		default:
			add("DROP", c.ParentEntity, c.EntityName)
		}
	}
	return plan, nil
}

func (memoryDiff) ApplyMigrations(_ context.Context, driver any, plan protocol.MigrationPlan) (protocol.MigrationApplyResult, error) {
	database := driver.(structure)
	before := maps.Clone(database)
	for i, s := range plan.Statements {
		word, place, _ := strings.Cut(s.SQL, " ")
		table, column, ok := strings.Cut(place, ".")
		if !ok {
			clear(database)
			maps.Copy(database, before)
			return protocol.MigrationApplyResult{Error: "what is " + s.SQL, FailedAtIndex: &i}, nil
		}
		columns := slices.DeleteFunc(slices.Clone(database[table]), func(c string) bool { return c == column })
		if word == "ADD" {
			columns = append(columns, column)
		}
		database[table] = columns
	}
	return protocol.MigrationApplyResult{Success: true, StatementsExecuted: len(plan.Statements)}, nil
}
