package metrics_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/metrics"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func counting(tenants metrics.Tenants) *metrics.Metrics {
	return metrics.New(metrics.Config{Tenants: tenants, Now: func() time.Time { return now }, Version: "v1"})
}

// scrape returns the lines of our own metrics.
func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	var own []string
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "reconciler_") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}

func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
}

func tenant(id string, sync state.Sync, health state.Health) reconcile.Tenant {
	return reconcile.Tenant{ID: protocol.TenantID(id), Sync: sync, Health: health}
}

func TestPass(t *testing.T) {
	m := counting(metrics.NoTenants)
	deployed := tenant("acme", state.Synced, state.Healthy)
	deployed.Result.DeploymentID, deployed.Result.Changed, deployed.Result.Duration = "1", true, 20*time.Millisecond
	m.Tenant(deployed)
	failed := tenant("globex", state.OutOfSync, state.Degraded)
	failed.Result.DeploymentID, failed.Result.Duration = "2", 2*time.Second
	m.Tenant(failed)
	held := tenant("initech", state.OutOfSync, state.Healthy)
	held.Result.Action = reconcile.Held
	m.Tenant(held)
	m.Pass(reconcile.Report{Status: state.Partial, Tenants: []reconcile.Tenant{deployed, failed, held}}, nil, time.Second)
	m.Pass(reconcile.Report{}, errors.New("no"), time.Second) // says nothing of tenants
	has(t, scrape(t, m),
		`reconciler_tenant_info{health_status="Healthy",sync_status="Synced"} 1`,
		`reconciler_tenant_info{health_status="Degraded",sync_status="OutOfSync"} 1`,
		`reconciler_deployments_total{phase="ready"} 1`,
		`reconciler_deployments_total{phase="failed"} 1`,
		`reconciler_reconcile_duration_seconds_count 2`,
		`reconciler_passes_total{status="Partial"} 1`,
		`reconciler_passes_total{status="Failed"} 1`,
		`reconciler_tenants_failing 1`,
		`reconciler_queue_tenants{queue="held"} 1`,
		`reconciler_build_info{version="v1"} 1`,
	)
	m.Pass(reconcile.Report{Status: state.Succeeded, Tenants: []reconcile.Tenant{deployed}}, nil, time.Second)
	text := scrape(t, m)
	has(t, text, `reconciler_tenants_failing 0`)
	if strings.Contains(text, "Degraded") {
		t.Errorf("a status that no tenant has any more is still there:\n%s", text)
	}
}

func TestRolloutAndDrift(t *testing.T) {
	m := counting(metrics.NoTenants)
	m.Rollout(state.Rollout{})
	has(t, scrape(t, m), `reconciler_rollout_status{status="running"} 0`, `reconciler_rollout_status{status="halted"} 0`)
	for _, c := range []struct {
		status state.Operation
		reason string
		want   string
	}{
		{state.Running, "Baking", "running"},
		{state.Running, "AwaitingResume", "waiting"},
		{state.Failed, "BudgetExceeded", "halted"},
	} {
		m.Rollout(state.Rollout{ID: 1, Status: c.status, Reason: c.reason})
		text := scrape(t, m)
		has(t, text, `reconciler_rollout_status{status="`+c.want+`"} 1`)
		if n := strings.Count(text, "reconciler_rollout_status{"); n != 3 || strings.Count(text, "} 1\n") != 2 { // the version is the other
			t.Errorf("%s: got\n%s", c.reason, text)
		}
	}
	m.Rollout(state.Rollout{ID: 1, Status: state.Failed, Reason: "Aborted", EndedAt: now})
	has(t, scrape(t, m), `reconciler_rollout_status{status="halted"} 0`)

	drifted := tenant("acme", state.OutOfSync, state.Healthy)
	drifted.Result.Reason = "Drift"
	m.Pass(reconcile.Report{Tenants: []reconcile.Tenant{drifted, tenant("globex", state.Synced, state.Healthy)}}, nil, time.Second)
	has(t, scrape(t, m), "reconciler_tenants_drifted 1")
}

func TestSource(t *testing.T) {
	m := counting(metrics.NoTenants)
	has(t, scrape(t, m), "reconciler_source_up 0", "reconciler_source_age_seconds 0")
	m.Source(state.Source{Revision: "a", FetchedAt: now.Add(-time.Minute)})
	has(t, scrape(t, m), "reconciler_source_up 1", "reconciler_source_age_seconds 60")
	m.Source(state.Source{Revision: "a", FetchedAt: now.Add(-time.Hour), AwaySince: now.Add(-time.Minute), Error: "x"})
	has(t, scrape(t, m), "reconciler_source_up 0", "reconciler_source_age_seconds 3600")
}

// A fleet of any size has the same series, unless tenants are chosen.
func TestSeries(t *testing.T) {
	series := func(m *metrics.Metrics, tenants int) int {
		report := reconcile.Report{Status: state.Partial}
		for i := range tenants {
			one := tenant(fmt.Sprintf("t%05d", i), state.Synced, state.Healthy)
			if i%1000 == 0 {
				one.Health, one.Result.Reason = state.Missing, "Missing"
			}
			m.Tenant(one)
			report.Tenants = append(report.Tenants, one)
		}
		m.Pass(report, nil, time.Second)
		return strings.Count(scrape(t, m), "\n")
	}
	small := series(counting(metrics.NoTenants), 10)
	if got := series(counting(metrics.NoTenants), 10_000); got != small || got > 100 {
		t.Errorf("got %d series for 10,000 tenants and %d for 10", got, small)
	}
	if got := series(counting(metrics.Problems), 10_000); got != small+10 {
		t.Errorf("got %d series, want 10 more than %d: those of the tenants with problems", got, small)
	}
	all := counting(metrics.AllTenants)
	if got := series(all, 10_000); got != small+10_000 {
		t.Errorf("got %d series, want 10,000 more than %d", got, small)
	}
	has(t, scrape(t, all), `reconciler_tenant_health{health_status="Missing",reason="Missing",sync_status="Synced",tenant="t01000"} 1`)
}
