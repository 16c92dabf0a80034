package contracttest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/protocol/shape"
)

func TestDeployPipeline(t *testing.T) {
	contracttest.DeployPipeline(t, func(testing.TB) contracttest.DeployPipelineFixture {
		m := &memoryPipeline{planned: map[string]protocol.DeployBundle{}, now: structure{}}
		return contracttest.DeployPipelineFixture{
			Service: m, Tenant: "acme",
			Insert: func(_ testing.TB, table string, row map[string]string) { m.rows = append(m.rows, record{table, row}) },
			Values: func(_ testing.TB, table, column string) []string { return m.values(table, column) },
			Registered: func(testing.TB) []string {
				return slices.Clone(m.metadata)
			},
			Interfere: func(testing.TB) { m.version++ },
			Fail:      func(_ testing.TB, sql string) { m.failing = sql },
		}
	})
}

// structure is the columns of tables.
type structure map[string][]string

// record is one row of a table.
type record struct {
	table  string
	values map[string]string
}

// memoryPipeline deploys to one tenant, acme, whose database is values.
type memoryPipeline struct {
	now      structure
	metadata []string
	rows     []record
	version  int    // of the structure; a plan is for one
	failing  string // statement
	planned  map[string]protocol.DeployBundle
	plans    map[string]int // version that the plan was made for
	history  []snapshot
	count    int
}

// snapshot is what a deployment found.
type snapshot struct {
	deployment string
	now        structure
	metadata   []string
}

func (m *memoryPipeline) ValidateBundle(b protocol.DeployBundle) protocol.DeployValidationResult {
	result := protocol.DeployValidationResult{Issues: []protocol.DeployValidationIssue{}}
	for i, definition := range b.Objects {
		_, report := shape.Parse[protocol.Object](definition, shape.Strip)
		for _, issue := range report.Issues {
			result.ErrorCount++
			result.Issues = append(result.Issues, protocol.DeployValidationIssue{
				Severity: protocol.SeverityError, Path: fmt.Sprintf("objects.%d.%v", i, issue.Path), Code: issue.Code, Message: issue.Message,
			})
		}
	}
	result.Valid = result.ErrorCount == 0
	return result
}

func (m *memoryPipeline) PlanDeployment(_ context.Context, tenant protocol.TenantID, b protocol.DeployBundle) (protocol.MigrationPlan, error) {
	plan := protocol.MigrationPlan{Statements: []protocol.MigrationStatement{}, Dialect: "memory", Reversible: true}
	if tenant != "acme" {
		return plan, protocol.ErrUnknownTenant
	}
	if result := m.ValidateBundle(b); !result.Valid {
		return plan, fmt.Errorf("the bundle has %d errors", result.ErrorCount)
	}
	wanted := structureOf(b)
	for _, table := range slices.Sorted(maps.Keys(wanted)) {
		for _, column := range wanted[table] {
			if !slices.Contains(m.now[table], column) {
				plan.Statements = append(plan.Statements, protocol.MigrationStatement{
					SQL: "ADD " + table + "." + column, Reversible: true, Order: len(plan.Statements),
				})
			}
		}
	}
	if m.plans == nil {
		m.plans = map[string]int{}
	}
	m.planned[key(plan)], m.plans[key(plan)] = b, m.version
	return plan, nil
}

func (m *memoryPipeline) ExecuteDeployment(_ context.Context, tenant protocol.TenantID, plan protocol.MigrationPlan) (protocol.DeployExecutionResult, error) {
	bundle, ok := m.planned[key(plan)]
	switch {
	case !ok || tenant != "acme":
		return protocol.DeployExecutionResult{}, protocol.ErrUnknownPlan
	case m.plans[key(plan)] != m.version:
		return protocol.DeployExecutionResult{}, protocol.ErrStalePlan
	}
	m.count++
	result := protocol.DeployExecutionResult{
		DeploymentID: fmt.Sprint("d", m.count), Status: protocol.DeployFailed, CompletedAt: "2026-01-02T03:04:05Z",
	}
	for _, s := range plan.Statements {
		if s.SQL == m.failing {
			m.failing = ""
			result.Error = s.SQL + " failed"
			return result, nil
		}
	}
	m.history = append(m.history, snapshot{result.DeploymentID, m.now, m.metadata})
	m.now, m.metadata = structureOf(bundle), metadataOf(bundle)
	m.seed(bundle)
	if len(plan.Statements) > 0 {
		m.version++
	}
	result.Status, result.StatementsExecuted = protocol.DeployReady, len(plan.Statements)
	return result, nil
}

func (m *memoryPipeline) RollbackDeployment(_ context.Context, tenant protocol.TenantID, deployment string) error {
	if tenant != "acme" {
		return protocol.ErrUnknownTenant
	}
	switch at := slices.IndexFunc(m.history, func(s snapshot) bool { return s.deployment == deployment }); at {
	case -1:
		return protocol.ErrUnknownDeployment
	case len(m.history) - 1:
		m.now, m.metadata = m.history[at].now, m.history[at].metadata
		m.history = m.history[:at]
		m.version++
		return nil
	}
	return protocol.ErrNotNewest
}

// seed adds the records of a bundle that no row equals.
func (m *memoryPipeline) seed(b protocol.DeployBundle) {
	for _, definition := range b.SeedData {
		set, _ := shape.Parse[protocol.Dataset](definition, shape.Strip)
		for _, values := range set.Records {
			value := fmt.Sprint(values[set.ExternalID])
			if !slices.Contains(m.values(set.Object, set.ExternalID), value) {
				m.rows = append(m.rows, record{set.Object, map[string]string{set.ExternalID: value}})
			}
		}
	}
}

func (m *memoryPipeline) values(table, column string) []string {
	if !slices.Contains(m.now[table], column) {
		return nil
	}
	values := []string{}
	for _, r := range m.rows {
		if r.table == table {
			values = append(values, r.values[column])
		}
	}
	slices.Sort(values)
	return values
}

func structureOf(b protocol.DeployBundle) structure {
	s := structure{}
	for _, definition := range b.Objects {
		object, _ := shape.Parse[protocol.Object](definition, shape.Strip)
		s[object.Name] = slices.Sorted(maps.Keys(object.Fields))
	}
	return s
}

func metadataOf(b protocol.DeployBundle) []string {
	var all []string
	for kind, definitions := range map[string][]map[string]any{"object": b.Objects, "permission": b.Permissions} {
		for _, d := range definitions {
			all = append(all, fmt.Sprintf("%s %s", kind, d["name"]))
		}
	}
	slices.Sort(all)
	return all
}

// key is what a plan is remembered by.
func key(plan protocol.MigrationPlan) string {
	text, err := json.Marshal(plan)
	if err != nil {
		panic(err) // plain text and numbers
	}
	return string(text)
}
