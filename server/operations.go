package server

import "net/http"

// operations are the routes for what runs beside the daemon: its git host, what
// starts it, and what watches it.
func (s *server) operations() []route {
	var all []route
	if s.config.Webhook != nil {
		h := &hook{Webhook: *s.config.Webhook}
		all = append(all, route{pattern: "POST /webhook", open: true, handler: h.serve})
	}
	if s.config.Health != nil {
		all = append(all,
			route{pattern: "GET /healthz", open: true, handler: s.healthy},
			route{pattern: "GET /readyz", open: true, handler: s.ready})
	}
	if s.config.Metrics != nil {
		all = append(all, route{pattern: "GET /metrics", open: s.config.OpenMetrics, handler: s.metrics})
	}
	return all
}

func (s *server) metrics(w http.ResponseWriter, r *http.Request) error {
	s.config.Metrics.ServeHTTP(w, r)
	return nil
}
