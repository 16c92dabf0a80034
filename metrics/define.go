package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

const namespace = "reconciler"

// buckets go from an unchanged tenant to the rebuild of a large table, in
// seconds.
var buckets = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 1800}

func gauge(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

// define makes the metrics. Counters whose words are known begin at 0, so that
// the first increase is seen as one.
func (m *Metrics) define() {
	m.tenants = prometheus.NewGaugeVec(gauge("tenant_info", "Tenants by how they were in the last pass."), []string{"sync_status", "health_status"})
	m.failing = prometheus.NewGauge(gauge("tenants_failing", "Tenants that are blocked, degraded or missing."))
	m.drifted = prometheus.NewGauge(gauge("tenants_drifted", "Tenants whose schema or metadata somebody has changed by hand."))
	m.rollout = prometheus.NewGaugeVec(gauge("rollout_status", "1 for how the rollout is that is under way; waiting is for a person."), []string{"status"})
	m.queue = prometheus.NewGaugeVec(gauge("queue_tenants", "Tenants that wait: for the next try after a failure, the end of a hold, or a wave of the rollout."), []string{"queue"})
	m.reconciled = histogram("reconcile_duration_seconds", "Time of each deployment that was tried.")
	m.deployments = counter("deployments_total", "Deployments that passes have tried, by the phase that they ended in.", "phase")
	m.passes = counter("passes_total", "Passes over the fleet by how they ended.", "status")
	m.passTime = histogram("pass_duration_seconds", "Time of each pass over the fleet, with the look at the repository.")
	m.lastPass = prometheus.NewGauge(gauge("last_pass_timestamp_seconds", "When a pass came to its end last, as a Unix time."))
	m.webhooks = counter("webhooks_total", "Requests to the webhook by outcome.", "outcome")
	m.events = counter("notifications_total", "Messages to targets of notifications by outcome.", "outcome")
	if m.config.Tenants != NoTenants {
		m.health = prometheus.NewGaugeVec(gauge("tenant_health", "1 for each tenant that was chosen, with how it is."),
			[]string{"tenant", "sync_status", "health_status", "reason"})
	}
	for _, status := range []string{rolloutRunning, rolloutWaiting, rolloutHalted} {
		m.rollout.WithLabelValues(status)
	}
	for _, queue := range []string{"retry", "held", "wave"} {
		m.queue.WithLabelValues(queue)
	}
	for _, phase := range []protocol.DeployStatus{protocol.DeployReady, protocol.DeployFailed} {
		m.deployments.WithLabelValues(string(phase))
	}
	for _, status := range []state.Operation{state.Succeeded, state.Partial, state.Failed} {
		m.passes.WithLabelValues(string(status))
	}
	for _, outcome := range []string{"woken", "ignored", "refused"} {
		m.webhooks.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"sent", "failed", "dropped"} {
		m.events.WithLabelValues(outcome)
	}
}

// defineSource registers what is asked of the repository at each scrape: its
// age grows between two looks.
func (m *Metrics) defineSource() {
	read := func(value func(state.Source) float64) func() float64 {
		return func() float64 {
			m.mu.Lock()
			defer m.mu.Unlock()
			return value(m.source)
		}
	}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(gauge("source_age_seconds", "Time since the repository answered last; 0 before the first time."),
			read(func(s state.Source) float64 { return s.Age(m.config.Now()).Seconds() })),
		prometheus.NewGaugeFunc(gauge("source_up", "1 while the repository answers."), read(func(s state.Source) float64 {
			if s.FetchedAt.IsZero() || !s.AwaySince.IsZero() {
				return 0
			}
			return 1
		})),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "build_info", Help: "The version of the program.",
			ConstLabels: prometheus.Labels{"version": m.config.Version},
		}, func() float64 { return 1 }),
	)
}
