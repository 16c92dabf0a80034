package deploy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
)

// withTask is a bundle of an object task with the fields, each with its
// definition.
func withTask(fields map[string]any) protocol.DeployBundle {
	return protocol.DeployBundle{
		Manifest: protocol.DeployManifest{Version: "1.0.0"},
		Objects:  []map[string]any{{"name": "task", "fields": fields}},
	}
}

var (
	text     = map[string]any{"type": "text"}
	required = map[string]any{"type": "text", "required": true}
)

// deployBundle plans and executes a bundle for acme.
func deployBundle(t testing.TB, p *deploy.Pipeline, b protocol.DeployBundle) protocol.DeployExecutionResult {
	t.Helper()
	plan, err := p.PlanDeployment(t.Context(), "acme", b)
	if err != nil {
		t.Fatal(err)
	}
	result, err := p.ExecuteDeployment(t.Context(), "acme", plan)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestValidateBundle(t *testing.T) {
	got := newTenants(t).pipeline(t).ValidateBundle(protocol.DeployBundle{
		Objects: []map[string]any{
			{"name": "task", "colour": "red", "renamedFrom": "todo", "fields": map[string]any{"title": map[string]any{"type": "txet"}}},
			{"name": "label", "fields": map[string]any{"word": text}, "indexes": []any{map[string]any{"fields": []any{"wrod"}}}},
			{"fields": map[string]any{}},
		},
		Permissions: []map[string]any{{"name": "reader"}},
		SeedData:    []map[string]any{{"object": "task", "overwrite": true}},
	})
	lines := make([]string, len(got.Issues))
	for i, issue := range got.Issues {
		lines[i] = fmt.Sprint(issue.Severity, " ", issue.Path, " ", issue.Code)
	}
	want := []string{
		"error objects.task.fields.title.type invalid_value",
		"warning objects.task.colour unrecognized_keys",
		"error objects.2.name invalid_type",
		"warning permissions.reader.objects invalid_type",
		"error seedData.0.records invalid_type",
		"error objects.label.indexes.0 index_field_missing",
	}
	if diff := cmp.Diff(lines, want); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
	if got.Valid || got.ErrorCount != 4 || got.WarningCount != 2 {
		t.Errorf("got valid %t, %d errors, %d warnings, want invalid, 4 and 2", got.Valid, got.ErrorCount, got.WarningCount)
	}
}

func TestPlansAreRemembered(t *testing.T) {
	first := withTask(map[string]any{"title": text})
	x := newTenants(t)
	p := x.pipeline(t)
	plan, err := p.PlanDeployment(t.Context(), "acme", first)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("for their tenant alone", func(t *testing.T) {
		if _, err := p.ExecuteDeployment(t.Context(), "beta", plan); !errors.Is(err, protocol.ErrUnknownPlan) {
			t.Errorf("got error %v, want an unknown plan", err)
		}
	})
	t.Run("by the pipeline that made them alone", func(t *testing.T) {
		_, err := x.pipeline(t).ExecuteDeployment(t.Context(), "acme", plan)
		if !errors.Is(err, protocol.ErrUnknownPlan) || !strings.Contains(err.Error(), "plan the bundle again") {
			t.Errorf("got error %v, want an unknown plan and what to do", err)
		}
	})
	t.Run("with the bundle planned last when statements are equal", func(t *testing.T) {
		second := withTask(map[string]any{"title": text})
		second.Permissions = []map[string]any{{"name": "reader", "objects": map[string]any{}}}
		deployBundle(t, p, second)
		if got := x.query(t, "SELECT name FROM sys_metadata ORDER BY 1"); !slices.Equal(got, []string{"reader", "task"}) {
			t.Errorf("got metadata %q, want that of the second bundle", got)
		}
	})
	t.Run("up to a number", func(t *testing.T) {
		oldest, err := p.PlanDeployment(t.Context(), "memory", first)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 256 {
			if _, err := p.PlanDeployment(t.Context(), protocol.TenantID(fmt.Sprint("memory", i)), first); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.ExecuteDeployment(t.Context(), "memory", oldest); !errors.Is(err, protocol.ErrUnknownPlan) {
			t.Errorf("got error %v, want an unknown plan", err)
		}
		if _, err := p.ExecuteDeployment(t.Context(), "memory255", oldest); err != nil {
			t.Error(err)
		}
	})
}

func TestSeedSetsOfOtherEnvironmentsAreLeftOut(t *testing.T) {
	x := newTenants(t)
	b := withTask(map[string]any{"title": text})
	for title, env := range map[string][]any{"here": {"test", "prod"}, "elsewhere": {"dev"}} {
		b.SeedData = append(b.SeedData, map[string]any{
			"object": "task", "externalId": "title", "env": env, "records": []any{map[string]any{"title": title}},
		})
	}
	deployBundle(t, x.pipeline(t), b)
	if got := x.values(t, "task", "title"); !slices.Equal(got, []string{"here"}) {
		t.Errorf("got rows %q, want those for prod", got)
	}
}

func TestWhatKeepsAPlanFromBeingExecuted(t *testing.T) {
	first := withTask(map[string]any{"title": text})
	second := withTask(map[string]any{"title": text, "due": required})
	t.Run("rows in the way", func(t *testing.T) {
		x := newTenants(t)
		p := x.pipeline(t)
		deployBundle(t, p, first)
		x.insert(t, "task", map[string]string{"title": "mine"})
		got := deployBundle(t, p, second)
		if got.Status != protocol.DeployFailed || !strings.Contains(got.Error, "give the field a defaultValue") {
			t.Errorf("got %+v, want a failure that says what to do", got)
		}
		x.exec(t, "DELETE FROM task")
		if got := deployBundle(t, p, second); got.Status != protocol.DeployReady {
			t.Errorf("got %+v, want ready without the row", got)
		}
	})
	t.Run("the policy", func(t *testing.T) {
		x := newTenants(t)
		x.classes = map[string]string{"additive": "deny"}
		got := deployBundle(t, x.pipeline(t), first)
		if got.Status != protocol.DeployFailed || !strings.Contains(got.Error, "policy") {
			t.Errorf("got %+v, want a failure that names the policy", got)
		}
	})
	t.Run("a bundle with errors is not even planned", func(t *testing.T) {
		x := newTenants(t)
		_, err := x.pipeline(t).PlanDeployment(t.Context(), "acme", withTask(map[string]any{"title": map[string]any{"type": "txet"}}))
		if !errors.Is(err, bundle.ErrInvalid) || !strings.Contains(err.Error(), "objects.task.fields.title.type") {
			t.Errorf("got error %v, want an invalid bundle and where", err)
		}
	})
}
