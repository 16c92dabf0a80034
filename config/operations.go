package config

import (
	"net/url"
	"slices"
	"strings"
)

// Webhook says which requests to /webhook are believed.
type Webhook struct {
	Secret         Secret `json:"secret,omitempty" doc:"Secret that the git host signs with, or shows: a reference to a secret. /webhook is not served without one."`
	PreviousSecret Secret `json:"previousSecret,omitempty" doc:"The secret before, which counts too while hosts are moved to the new one."`
}

// Metrics says what /metrics has, and for whom.
type Metrics struct {
	Access  MetricsAccess  `json:"access" default:"token" doc:"Who may read them."`
	Tenants MetricsTenants `json:"tenants" default:"none" doc:"Which tenants have a series of their own."`
}

// MetricsAccess says who may read metrics.
type MetricsAccess string

// Metrics are read with the token of the API, or by anybody.
const (
	MetricsWithToken MetricsAccess = "token"
	MetricsOpen      MetricsAccess = "open"
)

// Values lists them.
func (MetricsAccess) Values() []string { return []string{"token", "open"} }

// MetricsTenants says which tenants have a series of their own.
type MetricsTenants string

// No tenant, those that need somebody, or all: 10,000 tenants are 10,000 series.
const (
	MetricsNoTenants MetricsTenants = "none"
	MetricsProblems  MetricsTenants = "problems"
	MetricsAll       MetricsTenants = "all"
)

// Values lists them.
func (MetricsTenants) Values() []string { return []string{"none", "problems", "all"} }

// Notify is a target of notifications.
type Notify struct {
	Name   string     `json:"name" shape:"minlen=1" doc:"Name of the target, for the log and for notify test."`
	Kind   NotifyKind `json:"kind" default:"webhook" doc:"Form of the messages."`
	URL    string     `json:"url" shape:"minlen=1" doc:"Where to post them: an http or https URL, or a reference to a secret that is one."`
	Secret Secret     `json:"secret,omitempty" doc:"Secret that webhooks are signed with: a reference to a secret."`
	Events []string   `json:"events,omitempty" doc:"Kinds of events to tell of; all when absent."`
}

// NotifyKind is the form of the messages of a target.
type NotifyKind string

// A signed webhook with the event as JSON, or a message as Slack, Mattermost
// and others take it.
const (
	NotifyWebhook NotifyKind = "webhook"
	NotifySlack   NotifyKind = "slack"
)

// Values lists them.
func (NotifyKind) Values() []string { return []string{"webhook", "slack"} }

// Codes of faults about notifications.
const (
	CodeTarget = "bad_target" // it cannot be told of anything
)

// operations checks what the daemon is operated with.
func (m *merge) operations(s Settings) {
	m.span([]any{"shutdownTimeout"}, s.ShutdownTimeout)
	m.secret([]any{"server", "webhook", "secret"}, s.Server.Webhook.Secret)
	m.secret([]any{"server", "webhook", "previousSecret"}, s.Server.Webhook.PreviousSecret)
	names := map[string]bool{}
	for i, target := range s.Notify {
		m.target(i, target)
		if names[target.Name] {
			m.fault([]any{"notify", i, "name"}, CodeTarget, "two targets have this name", "give each a name of its own")
		}
		names[target.Name] = true
	}
}

func (m *merge) target(i int, target Notify) {
	path := func(key string) []any { return []any{"notify", i, key} }
	m.secret(path("secret"), target.Secret)
	if strings.HasPrefix(target.URL, "$") {
		m.secret(path("url"), Secret(target.URL))
	} else if !HTTPURL(target.URL) {
		m.fault(path("url"), CodeTarget, "this is no http or https URL", "write https://host/path, or $file:NAME for one that is a secret")
	}
	if target.Kind == NotifyWebhook && target.Secret == "" {
		m.fault(path("secret"), CodeTarget, "a webhook is signed, and there is no secret", "write $env:RECONCILER_SECRET_NAME or $file:NAME")
	}
	for j, kind := range target.Events {
		if !knownEvent(kind) {
			m.fault([]any{"notify", i, "events", j}, CodeTarget, "no event is called so", "write one of "+strings.Join(NotifyEvents(), ", "))
		}
	}
}

// HTTPURL reports whether text is a URL that can be posted to.
func HTTPURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// NotifyEvents are the kinds of events that are told of, those of package
// notify.
func NotifyEvents() []string {
	return []string{
		"rollout_started", "rollout_halted", "rollout_finished", "pass_failed", "pass_recovered", "tenants_failing", "tenants_recovered",
		"drift_found", "deletion_waiting", "source_away", "source_back",
	}
}

func knownEvent(kind string) bool { return slices.Contains(NotifyEvents(), kind) }
