package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// forge is what is counted about previews and the forge that shows them.
type forge struct {
	previews  *prometheus.CounterVec
	took      prometheus.Histogram
	requests  *prometheus.CounterVec
	remaining prometheus.Gauge
	answered  time.Time // guarded by Metrics.mu
}

// defineForge registers what is counted.
func (m *Metrics) defineForge() {
	f := &m.forge
	f.previews = counter("previews_total", "Previews of pull requests by outcome.", "outcome")
	f.took = histogram("preview_duration_seconds", "Time of each preview that was made.")
	f.requests = counter("forge_requests_total", "Requests to the forge by outcome.", "outcome")
	f.remaining = prometheus.NewGauge(gauge("forge_ratelimit_remaining", "Requests that the forge lets through until its limit is reset, as it said last."))
	for _, outcome := range []string{"made", "failed", "superseded"} {
		f.previews.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"answered", "refused", "limited", "away"} {
		f.requests.WithLabelValues(outcome)
	}
	age := prometheus.NewGaugeFunc(gauge("forge_age_seconds", "Time since the forge answered last; 0 before the first time."), func() float64 {
		m.mu.Lock()
		defer m.mu.Unlock()
		if f.answered.IsZero() {
			return 0
		}
		return m.config.Now().Sub(f.answered).Seconds()
	})
	m.registry.MustRegister(f.previews, f.took, f.requests, f.remaining, age)
}

// Preview counts a preview: made, failed or superseded.
func (m *Metrics) Preview(outcome string, took time.Duration) {
	m.forge.previews.WithLabelValues(outcome).Inc()
	if outcome == "made" {
		m.forge.took.Observe(took.Seconds())
	}
}

// Forge counts a request: answered, refused, limited or away. What remains of
// the limit is negative where the forge did not say.
func (m *Metrics) Forge(outcome string, remaining int) {
	m.forge.requests.WithLabelValues(outcome).Inc()
	if remaining >= 0 {
		m.forge.remaining.Set(float64(remaining))
	}
	if outcome == "answered" || outcome == "refused" {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.forge.answered = m.config.Now()
	}
}
