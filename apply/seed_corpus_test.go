package apply_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/schema"
)

// corpus reads one application of the corpus, or skips without one.
func corpus(t *testing.T, file string) ([]schema.Object, []plan.SeedSet) {
	t.Helper()
	dir := os.Getenv("RECONCILER_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpus")
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, os.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skipf("no corpus: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var app struct{ Objects, SeedData []json.RawMessage }
	if err := json.Unmarshal(text, &app); err != nil {
		t.Fatal(err)
	}
	var objects []schema.Object
	for _, raw := range app.Objects {
		object, report := shape.ParseJSON[protocol.Object](raw, shape.Keep)
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, schema.Object{Object: object})
	}
	var sets []plan.SeedSet
	for _, raw := range app.SeedData {
		set, report := shape.ParseJSON[protocol.Dataset](raw, shape.Keep)
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		sets = append(sets, plan.SeedSet{Dataset: set})
	}
	return objects, sets
}

// grouped writes issues one line for each field and reason, with the number
// of records.
func grouped(issues []plan.SeedIssue) []string {
	var lines []string
	count := map[string]int{}
	for _, i := range issues {
		line := fmt.Sprintf("%s.%s: %s", i.Set, i.Field, i.Message)
		if count[line]++; count[line] == 1 {
			lines = append(lines, line)
		}
	}
	for i, line := range lines {
		lines[i] = fmt.Sprintf("%d %s", count[line], line)
	}
	return lines
}

// rows returns the rows of an object that of has too, without their times.
func (x *seeded) rows(object string, of *seeded) string {
	x.t.Helper()
	columns := strings.Split(of.query("SELECT '`' || name || '`' FROM pragma_table_info('"+object+"') WHERE name NOT IN ('created_at', 'updated_at') ORDER BY name"), "\n")
	ids := strings.Split(of.query("SELECT id FROM `"+object+"`"), "\n")
	return x.query(fmt.Sprintf("SELECT %s FROM `%s` WHERE id IN ('%s') ORDER BY id",
		strings.Join(columns, ", "), object, strings.Join(ids, "', '")))
}

// TestSeedCorpus loads the seed data of real applications: of each version
// into a new tenant, and of all versions of an
// application, one after the other, into one.
func TestSeedCorpus(t *testing.T) {
	const absent = "the field is required and the record has no value for it"
	early := []string{
		"5 account.owner: " + absent,
		"5 contact.account: " + absent, "5 contact.owner: " + absent,
		"3 lead.source: lead has no such field; add it, or take the value out", "3 lead.owner: " + absent,
		"4 opportunity.account: " + absent, "4 opportunity.owner: " + absent,
		"5 task.owner: " + absent,
	}
	versions := []struct {
		file   string
		seeded int // of a new tenant
		issues []string
		next   int // of the tenant that had the version before
	}{
		{"app-crm/03-41791d50.json", 4, early, 4},
		{"app-crm/04-be962ae8.json", 4, slices.Concat(early, []string{"8 case.contact: " + absent, "8 case.owner: " + absent}), 0},
		{"app-crm/05-98d8cd7b.json", 48, nil, 44},
		{"app-crm/06-0d2ea0bd.json", 153, nil, 125},
		{"app-crm/07-e737fbce.json", 9, nil, 9},
		{"app-crm/08-cbaa5367.json", 9, nil, 9},
		{"app-crm/09-a112b7d9.json", 28, nil, 19},
		{"app-crm/10-808487d8.json", 28, nil, 0}, // references are written in another way
		{"app-crm/11-5337ef16.json", 28, nil, 0},
		{"app-todo/01-c952d246.json", 0, []string{"8 task.name: task has no such field to match records by; set externalId to one that it has"}, 0},
		{"app-todo/02-41791d50.json", 0, []string{"8 task.owner: " + absent}, 0},
		{"app-todo/03-a9fefd55.json", 0, []string{"8 todo_task.owner: " + absent}, 0},
		{"app-todo/04-b271691a.json", 8, nil, 8},
		{"app-todo/05-5337ef16.json", 8, nil, 0},
	}
	tenants := map[string]*seeded{}
	for _, v := range versions {
		app, _, _ := strings.Cut(v.file, "/")
		tenants[app] = &seeded{tenant: newTenant(t)}
	}
	for _, v := range versions {
		t.Run(v.file, func(t *testing.T) {
			objects, sets := corpus(t, v.file)
			fresh := &seeded{tenant: newTenant(t)}
			if err := fresh.seedAll(objects, sets, "skip"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(grouped(fresh.outcome.SeedIssues), v.issues); diff != "" {
				t.Errorf("issues (-got +want)\n%s", diff)
			}
			if fresh.outcome.Seeded != v.seeded {
				t.Errorf("got %d records seeded, want %d", fresh.outcome.Seeded, v.seeded)
			}
			app, _, _ := strings.Cut(v.file, "/")
			one := *tenants[app]
			one.t = t
			if err := one.seedAll(objects, sets, "skip"); err != nil {
				t.Fatal(err)
			}
			if one.outcome.Seeded != v.next {
				t.Errorf("got %d records seeded after the version before, want %d", one.outcome.Seeded, v.next)
			}
			for _, set := range sets {
				expect(t, one.rows(set.Object, fresh), fresh.rows(set.Object, fresh))
			}
			strict := &seeded{tenant: newTenant(t)}
			err := strict.seedAll(objects, sets, "strict")
			var refused *apply.SeedError
			if errors.As(err, &refused) != (v.issues != nil) {
				t.Fatalf("strict gave %v", err)
			}
			if refused != nil {
				expect(t, strict.dump(), "")
				expect(t, strings.Join(grouped(refused.Issues), "\n"), strings.Join(v.issues, "\n"))
			}
		})
	}
}
