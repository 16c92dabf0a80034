package contracttest

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
)

// DeployPipelineFixture is a DeployPipelineService and one tenant with an
// empty database. Its functions look at that tenant past the service.
type DeployPipelineFixture struct {
	Service protocol.DeployPipelineService
	Tenant  protocol.TenantID
	// Insert adds a row as the tenant's application would.
	Insert func(t testing.TB, table string, row map[string]string)
	// Values returns a column of every row, sorted. It is nil when there is
	// no such table or column, and empty when there is no row.
	Values func(t testing.TB, table, column string) []string
	// Registered returns the metadata of the tenant as "object task", sorted.
	Registered func(t testing.TB) []string
	// Interfere changes the structure of the database.
	Interfere func(t testing.TB)
	// Fail makes the statement with this text fail the next time it is run.
	Fail func(t testing.TB, sql string)
}

// DeployPipeline exercises the contract of protocol.DeployPipelineService.
func DeployPipeline(t *testing.T, open func(testing.TB) DeployPipelineFixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, pipeline)
	}{
		{"a sound bundle is valid", soundBundle},
		{"a broken definition is an error at its path", brokenDefinition},
		{"planning writes nothing and can be repeated", planning},
		{"a bundle with errors is not planned", invalidPlan},
		{"a tenant that is not known is an error", unknownTenant},
		{"execution brings tables, metadata and seed data", execution},
		{"rows survive the next deployment", rowsSurvive},
		{"a tenant that has the bundle needs no statement", nothingToDo},
		{"metadata alone is deployed without a statement", metadataAlone},
		{"a plan may travel as JSON", planAsJSON},
		{"a plan that was not made here is refused", unknownPlan},
		{"a stale plan is refused and changes nothing", stalePlan},
		{"a plan from before a rollback is stale", stalePlanOfRollback},
		{"a plan is run once", planRunOnce},
		{"a failing statement undoes the ones before it", failingStatement},
		{"rollback brings back the metadata and keeps older rows", rollback},
		{"rollback of the first deployment leaves nothing", rollbackFirst},
		{"what was rolled back can be deployed again", deployAgain},
		{"a deployment is rolled back once", rollbackOnce},
		{"a deployment that is not the newest stays", rollbackOlder},
		{"a deployment that never was cannot be rolled back", rollbackUnknown},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, pipeline{open(t)}) })
	}
}

// The bundles of the suite, each of which adds to the one before.
var (
	firstBundle = protocol.DeployBundle{
		Manifest: protocol.DeployManifest{Version: "1.0.0", Objects: []string{"task"}},
		Objects:  []map[string]any{taskObject("title")},
		SeedData: []map[string]any{{
			"object": "task", "externalId": "title", "records": []any{map[string]any{"title": "seeded"}},
		}},
	}
	secondBundle = protocol.DeployBundle{
		Manifest:    protocol.DeployManifest{Version: "2.0.0", Objects: []string{"label", "task"}, Permissions: []string{"reader"}},
		Objects:     []map[string]any{object("label", "word"), taskObject("due", "title")},
		Permissions: []map[string]any{permission("reader", "task")},
		SeedData:    firstBundle.SeedData,
	}
	thirdBundle = protocol.DeployBundle{
		Manifest:    protocol.DeployManifest{Version: "3.0.0", Objects: []string{"label", "task"}, Permissions: []string{"editor", "reader"}},
		Objects:     secondBundle.Objects,
		Permissions: []map[string]any{permission("editor", "task"), permission("reader", "task")},
		SeedData:    firstBundle.SeedData,
	}
)

func taskObject(fields ...string) map[string]any { return object("task", fields...) }

// object is the definition of an object with fields of text.
func object(name string, fields ...string) map[string]any {
	all := map[string]any{}
	for _, f := range fields {
		all[f] = map[string]any{"type": "text"}
	}
	return map[string]any{"name": name, "fields": all}
}

func permission(name, object string) map[string]any {
	return map[string]any{"name": name, "objects": map[string]any{object: map[string]any{"allowRead": true}}}
}

// pipeline is a fixture with what every case does to it.
type pipeline struct{ DeployPipelineFixture }

func (p pipeline) plan(t testing.TB, bundle protocol.DeployBundle) protocol.MigrationPlan {
	t.Helper()
	return must(p.Service.PlanDeployment(t.Context(), p.Tenant, bundle))(t)
}

func (p pipeline) execute(t testing.TB, plan protocol.MigrationPlan) protocol.DeployExecutionResult {
	t.Helper()
	return must(p.Service.ExecuteDeployment(t.Context(), p.Tenant, plan))(t)
}

// deploy plans and executes a bundle and returns the deployment's id.
func (p pipeline) deploy(t testing.TB, bundle protocol.DeployBundle) string {
	t.Helper()
	result := p.execute(t, p.plan(t, bundle))
	if result.Status != protocol.DeployReady || result.DeploymentID == "" {
		t.Fatalf("got %+v, want a deployment that is ready", result)
	}
	return result.DeploymentID
}

func (p pipeline) wantUntouched(t testing.TB) {
	t.Helper()
	if values := p.Values(t, "task", "title"); values != nil {
		t.Errorf("got a table with %q, want no table", values)
	}
	wantList(t, "metadata", p.Registered(t))
}

func (p pipeline) wantFirst(t testing.TB) {
	t.Helper()
	wantList(t, "metadata", p.Registered(t), "object task")
	if values := p.Values(t, "task", "due"); values != nil {
		t.Errorf("got a column with %q, want none", values)
	}
	if values := p.Values(t, "label", "word"); values != nil {
		t.Errorf("got a table with %q, want none", values)
	}
}

func soundBundle(t *testing.T, p pipeline) {
	got := p.Service.ValidateBundle(thirdBundle)
	if !got.Valid || got.ErrorCount != 0 {
		t.Errorf("got %+v, want a valid bundle", got)
	}
}

func broken() protocol.DeployBundle {
	bundle := firstBundle
	bundle.Objects = []map[string]any{{"name": "task", "fields": map[string]any{"title": map[string]any{"type": "txet"}}}}
	return bundle
}

func brokenDefinition(t *testing.T, p pipeline) {
	got := p.Service.ValidateBundle(broken())
	errors, warnings := 0, 0
	found := false
	for _, issue := range got.Issues {
		switch issue.Severity {
		case protocol.SeverityError:
			errors++
		case protocol.SeverityWarning:
			warnings++
		}
		found = found || issue.Severity == protocol.SeverityError && issue.Code != "" && issue.Message != "" &&
			strings.HasPrefix(issue.Path, "objects") && strings.Contains(issue.Path, "title")
	}
	if got.Valid || !found {
		t.Errorf("got %+v, want an error with a code at the field title", got)
	}
	if got.ErrorCount != errors || got.WarningCount != warnings {
		t.Errorf("got counts %d and %d for %d errors and %d warnings", got.ErrorCount, got.WarningCount, errors, warnings)
	}
}

func planning(t *testing.T, p pipeline) {
	first := p.plan(t, firstBundle)
	if len(first.Statements) == 0 || first.Dialect == "" {
		t.Errorf("got %+v, want statements of a dialect", first)
	}
	p.wantUntouched(t)
	if again := p.plan(t, firstBundle); !reflect.DeepEqual(again, first) {
		t.Errorf("got %+v, want the same plan as before, %+v", again, first)
	}
}

func invalidPlan(t *testing.T, p pipeline) {
	if plan, err := p.Service.PlanDeployment(t.Context(), p.Tenant, broken()); err == nil {
		t.Errorf("got plan %+v, want an error", plan)
	}
	p.wantUntouched(t)
}

func unknownTenant(t *testing.T, p pipeline) {
	plan := p.plan(t, firstBundle)
	_, err := p.Service.PlanDeployment(t.Context(), "nobody", firstBundle)
	wantError(t, err, protocol.ErrUnknownTenant)
	if _, err = p.Service.ExecuteDeployment(t.Context(), "nobody", plan); err == nil {
		t.Error("the plan of one tenant ran for another")
	}
	wantError(t, p.Service.RollbackDeployment(t.Context(), "nobody", "some"), protocol.ErrUnknownTenant)
}

func execution(t *testing.T, p pipeline) {
	plan := p.plan(t, firstBundle)
	got := p.execute(t, plan)
	if got.Status != protocol.DeployReady || got.DeploymentID == "" || got.Error != "" || got.DurationMs < 0 {
		t.Errorf("got %+v, want a deployment that is ready", got)
	}
	if got.StatementsExecuted != len(plan.Statements) {
		t.Errorf("got %d statements, want %d", got.StatementsExecuted, len(plan.Statements))
	}
	if _, err := time.Parse(time.RFC3339, got.CompletedAt); err != nil {
		t.Errorf("completedAt: %v", err)
	}
	wantList(t, "rows", p.Values(t, "task", "title"), "seeded")
	wantList(t, "metadata", p.Registered(t), "object task")
}

func rowsSurvive(t *testing.T, p pipeline) {
	p.deploy(t, firstBundle)
	p.Insert(t, "task", map[string]string{"title": "mine"})
	p.deploy(t, secondBundle)
	wantList(t, "rows", p.Values(t, "task", "title"), "mine", "seeded")
	wantList(t, "metadata", p.Registered(t), "object label", "object task", "permission reader")
}

func nothingToDo(t *testing.T, p pipeline) {
	p.deploy(t, firstBundle)
	plan := p.plan(t, firstBundle)
	if len(plan.Statements) != 0 {
		t.Errorf("got %d statements, want none", len(plan.Statements))
	}
	if got := p.execute(t, plan); got.Status != protocol.DeployReady || got.StatementsExecuted != 0 {
		t.Errorf("got %+v, want ready without a statement", got)
	}
}

func metadataAlone(t *testing.T, p pipeline) {
	p.deploy(t, secondBundle)
	plan := p.plan(t, thirdBundle)
	if len(plan.Statements) != 0 {
		t.Errorf("got %d statements, want none", len(plan.Statements))
	}
	p.execute(t, plan)
	wantList(t, "metadata", p.Registered(t), "object label", "object task", "permission editor", "permission reader")
}

func planAsJSON(t *testing.T, p pipeline) {
	text := must(json.Marshal(p.plan(t, firstBundle)))(t)
	var plan protocol.MigrationPlan
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	p.execute(t, plan)
	wantList(t, "rows", p.Values(t, "task", "title"), "seeded")
}

func unknownPlan(t *testing.T, p pipeline) {
	plan := p.plan(t, firstBundle)
	plan.Statements = append(slices.Clone(plan.Statements), protocol.MigrationStatement{SQL: "DELETE FROM task", Order: 99})
	_, err := p.Service.ExecuteDeployment(t.Context(), p.Tenant, plan)
	wantError(t, err, protocol.ErrUnknownPlan)
	p.wantUntouched(t)
}

func stalePlan(t *testing.T, p pipeline) {
	plan := p.plan(t, firstBundle)
	p.Interfere(t)
	_, err := p.Service.ExecuteDeployment(t.Context(), p.Tenant, plan)
	wantError(t, err, protocol.ErrStalePlan)
	p.wantUntouched(t)
	p.deploy(t, firstBundle)
}

func stalePlanOfRollback(t *testing.T, p pipeline) {
	p.deploy(t, firstBundle)
	second := p.deploy(t, secondBundle)
	plan := p.plan(t, thirdBundle) // metadata alone, beside what the second has
	if err := p.Service.RollbackDeployment(t.Context(), p.Tenant, second); err != nil {
		t.Fatal(err)
	}
	_, err := p.Service.ExecuteDeployment(t.Context(), p.Tenant, plan)
	wantError(t, err, protocol.ErrStalePlan)
	p.wantFirst(t)
}

func planRunOnce(t *testing.T, p pipeline) {
	plan := p.plan(t, firstBundle)
	p.execute(t, plan)
	_, err := p.Service.ExecuteDeployment(t.Context(), p.Tenant, plan)
	wantError(t, err, protocol.ErrStalePlan)
	wantList(t, "rows", p.Values(t, "task", "title"), "seeded")
}

func failingStatement(t *testing.T, p pipeline) {
	plan := p.plan(t, firstBundle)
	for i, statement := range plan.Statements {
		p.Fail(t, statement.SQL)
		got := p.execute(t, plan)
		if got.Status != protocol.DeployFailed || got.Error == "" || got.StatementsExecuted > i {
			t.Errorf("statement %d: got %+v, want a deployment that failed", i, got)
		}
		p.wantUntouched(t)
	}
	if got := p.execute(t, plan); got.Status != protocol.DeployReady {
		t.Errorf("got %+v, want the plan to run once nothing fails", got)
	}
}

func rollback(t *testing.T, p pipeline) {
	p.deploy(t, firstBundle)
	p.Insert(t, "task", map[string]string{"title": "before"})
	second := p.deploy(t, secondBundle)
	p.Insert(t, "task", map[string]string{"title": "after", "due": "today"})
	if err := p.Service.RollbackDeployment(t.Context(), p.Tenant, second); err != nil {
		t.Fatal(err)
	}
	p.wantFirst(t)
	wantList(t, "rows", p.Values(t, "task", "title"), "after", "before", "seeded")
}

func rollbackFirst(t *testing.T, p pipeline) {
	first := p.deploy(t, firstBundle)
	if err := p.Service.RollbackDeployment(t.Context(), p.Tenant, first); err != nil {
		t.Fatal(err)
	}
	p.wantUntouched(t)
}

func deployAgain(t *testing.T, p pipeline) {
	p.deploy(t, firstBundle)
	if err := p.Service.RollbackDeployment(t.Context(), p.Tenant, p.deploy(t, secondBundle)); err != nil {
		t.Fatal(err)
	}
	p.deploy(t, secondBundle)
	wantList(t, "rows", p.Values(t, "task", "title"), "seeded")
	wantList(t, "metadata", p.Registered(t), "object label", "object task", "permission reader")
}

func rollbackOnce(t *testing.T, p pipeline) {
	p.deploy(t, firstBundle)
	second := p.deploy(t, secondBundle)
	if err := p.Service.RollbackDeployment(t.Context(), p.Tenant, second); err != nil {
		t.Fatal(err)
	}
	if p.Service.RollbackDeployment(t.Context(), p.Tenant, second) == nil {
		t.Error("the deployment was rolled back twice")
	}
	p.wantFirst(t)
}

func rollbackOlder(t *testing.T, p pipeline) {
	first := p.deploy(t, firstBundle)
	p.deploy(t, secondBundle)
	wantError(t, p.Service.RollbackDeployment(t.Context(), p.Tenant, first), protocol.ErrNotNewest)
	wantList(t, "metadata", p.Registered(t), "object label", "object task", "permission reader")
}

func rollbackUnknown(t *testing.T, p pipeline) {
	wantError(t, p.Service.RollbackDeployment(t.Context(), p.Tenant, "nothing"), protocol.ErrUnknownDeployment)
	plan := p.plan(t, firstBundle)
	p.Fail(t, plan.Statements[0].SQL)
	failed := p.execute(t, plan)
	wantError(t, p.Service.RollbackDeployment(t.Context(), p.Tenant, failed.DeploymentID), protocol.ErrUnknownDeployment)
	p.deploy(t, firstBundle)
	wantError(t, p.Service.RollbackDeployment(t.Context(), p.Tenant, "nothing"), protocol.ErrUnknownDeployment)
}
