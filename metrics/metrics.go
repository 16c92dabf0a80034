// Package metrics counts what the daemon does, in the form of Prometheus.
//
// The number of series does not grow with the fleet, unless tenants are chosen
// to have series of their own. Names begin with reconciler_; docs/operating.md
// lists them.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// Tenants says which tenants have a series of their own.
type Tenants int

// No tenant, those that need somebody, or all of them.
const (
	NoTenants Tenants = iota
	Problems
	AllTenants
)

// Config is what Metrics are made with.
type Config struct {
	Tenants Tenants
	Now     func() time.Time // default time.Now
	Version string           // of the program
}

// Metrics are the metrics of one daemon. Its methods may be called by many
// goroutines.
type Metrics struct {
	config   Config
	registry *prometheus.Registry

	tenants     *prometheus.GaugeVec
	failing     prometheus.Gauge
	drifted     prometheus.Gauge
	rollout     *prometheus.GaugeVec
	queue       *prometheus.GaugeVec
	health      *prometheus.GaugeVec // by tenant; nil unless chosen
	reconciled  prometheus.Histogram
	deployments *prometheus.CounterVec
	passes      *prometheus.CounterVec
	passTime    prometheus.Histogram
	lastPass    prometheus.Gauge
	webhooks    *prometheus.CounterVec
	events      *prometheus.CounterVec

	forge forge

	mu     sync.Mutex
	source state.Source
}

// New returns metrics that have counted nothing.
func New(c Config) *Metrics {
	if c.Now == nil {
		c.Now = time.Now
	}
	m := &Metrics{config: c, registry: prometheus.NewRegistry()}
	m.define()
	m.registry.MustRegister(m.tenants, m.failing, m.drifted, m.rollout, m.queue, m.reconciled, m.deployments, m.passes, m.passTime, m.lastPass,
		m.webhooks, m.events, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.defineSource()
	m.defineForge()
	if m.health != nil {
		m.registry.MustRegister(m.health)
	}
	return m
}

// Handler answers with everything, in the format that is asked for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Tenant counts what a pass did to one tenant.
func (m *Metrics) Tenant(t reconcile.Tenant) {
	if t.Result.Duration > 0 {
		m.reconciled.Observe(t.Result.Duration.Seconds())
	}
	if t.Result.DeploymentID == "" {
		return
	}
	phase := protocol.DeployFailed
	if t.Result.Changed {
		phase = protocol.DeployReady
	}
	m.deployments.WithLabelValues(string(phase)).Inc()
}

// Pass takes over how all tenants of a pass are. One that came to no tenant is
// counted, and leaves the tenants as they were.
func (m *Metrics) Pass(r reconcile.Report, err error, took time.Duration) {
	status := r.Status
	if err != nil {
		status = state.Failed
	}
	m.passes.WithLabelValues(string(status)).Inc()
	m.passTime.Observe(took.Seconds())
	if err != nil {
		return
	}
	m.lastPass.Set(float64(m.config.Now().UnixMilli()) / 1000)
	m.count(r.Tenants)
}

// How a rollout that is under way can be.
const (
	rolloutRunning = "running" // baking and outside of a window too
	rolloutWaiting = "waiting" // for a person
	rolloutHalted  = "halted"  // too many of its tenants failed
)

// Rollout takes over how the newest rollout is; the zero value is none.
func (m *Metrics) Rollout(r state.Rollout) {
	is := ""
	switch {
	case r.ID == 0 || !r.Open():
	case r.Status == state.Failed:
		is = rolloutHalted
	case fleet.Waits(r):
		is = rolloutWaiting
	default:
		is = rolloutRunning
	}
	for _, status := range []string{rolloutRunning, rolloutWaiting, rolloutHalted} {
		value := 0.0
		if status == is {
			value = 1
		}
		m.rollout.WithLabelValues(status).Set(value)
	}
}

func (m *Metrics) count(tenants []reconcile.Tenant) {
	type words struct{ sync, health string }
	counts := map[words]int{}
	failing, drifted, retry, held, waves := 0, 0, 0, 0, 0
	for _, t := range tenants {
		counts[words{string(t.Sync), string(t.Health)}]++
		if t.Problem() {
			failing++
		}
		if t.Result.Reason == reason.Drift {
			drifted++
		}
		if t.Waiting() {
			retry++
		}
		switch t.Result.Action {
		case reconcile.Held:
			held++
		case reconcile.Waits:
			waves++
		}
	}
	m.tenants.Reset()
	for w, n := range counts {
		m.tenants.WithLabelValues(w.sync, w.health).Set(float64(n))
	}
	m.failing.Set(float64(failing))
	m.drifted.Set(float64(drifted))
	m.queue.WithLabelValues("retry").Set(float64(retry))
	m.queue.WithLabelValues("held").Set(float64(held))
	m.queue.WithLabelValues("wave").Set(float64(waves))
	m.countEach(tenants)
}

// countEach gives the tenants that were chosen a series of their own.
func (m *Metrics) countEach(tenants []reconcile.Tenant) {
	if m.health == nil {
		return
	}
	m.health.Reset()
	for _, t := range tenants {
		if m.config.Tenants == AllTenants || t.Problem() {
			m.health.WithLabelValues(string(t.ID), string(t.Sync), string(t.Health), t.Result.Reason).Set(1)
		}
	}
}

// Source takes over how the repository is.
func (m *Metrics) Source(s state.Source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source = s
}

// Webhook counts a request to the webhook by its outcome.
func (m *Metrics) Webhook(outcome string) { m.webhooks.WithLabelValues(outcome).Inc() }

// Notification counts a message to a target by what became of it.
func (m *Metrics) Notification(outcome string) { m.events.WithLabelValues(outcome).Inc() }
