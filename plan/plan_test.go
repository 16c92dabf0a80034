package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/golden"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Each file of testdata/plans is a story: what the database was brought to
// before (before.json), what others did to it (live.sql), and what is wanted
// (after.json). The plan is compared with the golden file beside it.
func TestPlans(t *testing.T) {
	stories, err := filepath.Glob("testdata/plans/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			story, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, strings.TrimSuffix(file, ".txtar")+".golden", tell(t, story))
		})
	}
}

func tell(t *testing.T, story *txtar.Archive) string {
	t.Helper()
	conn, err := libsql.OpenMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var owned schema.Owned
	set := plan.Input{
		KeepValues: strings.Contains(string(story.Comment), "keep values"),
		Retire:     strings.Contains(string(story.Comment), "retire"),
	}
	var last string
	for _, part := range story.Files {
		if part.Name == "live.sql" {
			statements, err := database.Split(string(part.Data))
			if err != nil {
				t.Fatal(err)
			}
			run(t, conn, statements)
			continue
		}
		p, compared, err := build(t, conn, owned, part.Data, set)
		if err != nil {
			last = "error: " + err.Error() + "\n"
			continue
		}
		last = describe(p)
		again, _, err := build(t, conn, owned, part.Data, set)
		if err != nil || describe(again) != last {
			t.Fatalf("the same inputs gave another plan: %v", err)
		}
		statements := make([]string, 0, len(p.Migration.Statements))
		for _, s := range p.Migration.Statements {
			statements = append(statements, s.SQL)
		}
		run(t, conn, statements)
		owned = compared.Owned
	}
	return last
}

func run(t *testing.T, conn *libsql.Conn, statements []string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func build(t *testing.T, conn *libsql.Conn, owned schema.Owned, objects []byte, in plan.Input) (*plan.Plan, diff.Result, error) {
	t.Helper()
	master, err := schema.ReadMaster(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	live, err := schema.Inspect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	tables, faults := schema.Desired(parse(t, objects), schema.Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	compared, err := diff.Compute(diff.Live{Tables: live, Owned: owned, Retire: in.Retire}, diff.Desired{Tables: tables})
	if err != nil {
		t.Fatal(err)
	}
	in.Diff, in.Master, in.Live, in.Desired = compared, master, live, tables
	p, err := plan.Build(in)
	if conflict := (*plan.ConflictError)(nil); err != nil && !errors.As(err, &conflict) {
		t.Fatal(err)
	}
	return p, compared, err
}

// parse reads objects by name, with our own key renamedFrom on objects and
// fields.
func parse(t *testing.T, text []byte) []schema.Object {
	t.Helper()
	var raw map[string]struct {
		protocol.Object
		RenamedFrom string                     `json:"renamedFrom"`
		Fields      map[string]json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	var objects []schema.Object
	for name, o := range raw {
		object := schema.Object{Object: o.Object, RenamedFrom: o.RenamedFrom, FieldRenames: map[string]string{}}
		object.Name, object.Fields = name, map[string]protocol.Field{}
		for key, body := range o.Fields {
			var field struct {
				protocol.Field
				RenamedFrom string `json:"renamedFrom"`
			}
			if err := json.Unmarshal(body, &field); err != nil {
				t.Fatal(err)
			}
			object.Fields[key] = field.Field
			if field.RenamedFrom != "" {
				object.FieldRenames[key] = field.RenamedFrom
			}
		}
		objects = append(objects, object)
	}
	return objects
}

// describe writes a plan as a person reads it.
func describe(p *plan.Plan) string {
	var b strings.Builder
	for _, c := range p.Diff.Changes {
		fmt.Fprintf(&b, "%s %s %s.%s\n", c.ChangeType, c.EntityType, c.ParentEntity, c.EntityName)
	}
	fmt.Fprintf(&b, "breaking: %t, class: %s, reversible: %t\n", p.Diff.HasBreakingChanges, p.Class(), p.Migration.Reversible)
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning %s: %s\n", w.Code, w.Message)
	}
	for _, c := range p.PreChecks {
		fmt.Fprintf(&b, "\npre-check %s: %s\n  %s\n", c.Code, c.Message, c.SQL)
	}
	for i, s := range p.Migration.Statements {
		fmt.Fprintf(&b, "\n-- %s (%s)\n%s\n", p.Steps[i].Change, p.Steps[i].Class, s.SQL)
		if s.RollbackSQL != "" {
			fmt.Fprintf(&b, "-- undone by: %s\n", s.RollbackSQL)
		}
	}
	for _, f := range p.Foreign {
		fmt.Fprintf(&b, "\nforeign %s %s.%s\n", f.Kind, f.Table, f.Name)
	}
	return b.String()
}

// A stored plan that was changed is refused.
func TestDecodeRefusesAnotherPlan(t *testing.T) {
	p := &plan.Plan{Bundle: "one"}
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	body, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := plan.Decode(body); err != nil || got.Digest != p.Digest {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := plan.Decode([]byte(strings.Replace(string(body), "one", "two", 1))); err == nil {
		t.Error("a changed plan was accepted")
	}
}
