package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// Codes of faults of fleet.yaml and reconciler.yaml.
const (
	CodeSpan     = "bad_duration" // not a length of time
	CodeWindow   = "bad_window"   // cron or time zone that cannot be read
	CodeWave     = "bad_wave"     // waves that contradict each other, or that no tenant can be in
	CodePlan     = "unknown_plan" // quotas of a plan that does not exist
	CodeTemplate = "bad_template" // a URL template without its placeholder, or of no URL
)

// ParseFleet reads fleet.yaml and applies defaults. An empty file has them all.
// With an error among the faults the Fleet means nothing.
func ParseFleet(name string, data []byte) (Fleet, []Fault) {
	fleet, document, faults := ParseOne[Fleet](name, data)
	sendElsewhere(faults)
	if _, ok := document.Value.(map[string]any); !ok {
		return fleet, SortFaults(faults)
	}
	c := fleetCheck{Document: document}
	c.spans(fleet)
	c.rollout(fleet.Rollout)
	c.windows(fleet.Windows)
	c.databases(fleet.Databases)
	for plan := range fleet.Plans {
		if plans := protocol.TenantPlan("").Values(); !slices.Contains(plans, plan) {
			c.add([]any{"plans", plan}, CodePlan, fmt.Sprintf("there is no plan %q", plan), "use one of "+strings.Join(plans, ", "))
		}
	}
	return fleet, SortFaults(Besides(faults, c.faults))
}

// sendElsewhere says of unknown keys that they are the operator's, where they are.
func sendElsewhere(faults []Fault) {
	for i := range faults {
		f := &faults[i]
		name, _, _ := strings.Cut(f.Message, ":")
		if f.Code == shape.UnrecognizedKeys && isSetting(name) {
			f.Message = name + `: is a key of the operator's, and none of fleet.yaml`
			f.Next = "move it to reconciler.yaml"
		}
	}
}

// fleetCheck finds what the declaration of Fleet cannot say.
type fleetCheck struct {
	Document
	faults []Fault
}

func (c *fleetCheck) add(path []any, code, message, next string) {
	c.faults = append(c.faults, c.Error(path, code, message, next))
}

func (c *fleetCheck) span(s Span, path ...any) {
	if _, err := s.Parse(); err != nil {
		c.add(path, CodeSpan, err.Error(), "write it like 90s, 1h30m or 7d")
	}
}

func (c *fleetCheck) spans(f Fleet) {
	c.span(f.Retention, "retention")
	c.span(f.MaxLock.File, "maxLock", "file")
	c.span(f.MaxLock.Remote, "maxLock", "remote")
}

func (c *fleetCheck) windows(windows []Window) {
	for i, w := range windows {
		c.span(w.Duration, "windows", i, "duration")
		if d, err := w.Duration.Parse(); err == nil && d <= 0 {
			c.add([]any{"windows", i, "duration"}, CodeWindow, "the window closes when it opens", "write how long it stays open, like 4h")
		}
		if _, err := time.LoadLocation(w.Timezone); err != nil || w.Timezone == "Local" {
			c.add([]any{"windows", i, "timezone"}, CodeWindow, fmt.Sprintf("there is no time zone %q", w.Timezone), "write it like Europe/Berlin")
			w.Timezone = "UTC"
		}
		switch _, _, err := w.schedule(); {
		case errors.Is(err, errNever):
			c.add([]any{"windows", i, "cron"}, CodeWindow, fmt.Sprintf("%q never comes", w.Cron), "choose a day that its month has")
		case err != nil:
			c.add([]any{"windows", i, "cron"}, CodeWindow, fmt.Sprintf("%q is not a cron expression", w.Cron),
				`write minute, hour, day, month and weekday, like "0 2 * * *"`)
		}
	}
}

func (c *fleetCheck) databases(d Databases) {
	template := []any{"databases", "urlTemplate"}
	switch {
	case d.URLTemplate == "":
	case HoldsSecret(d.URLTemplate):
		c.add(template, CodePlainSecret, plainSecret, "revoke it, and leave it out: a database that is made gets a token of its own")
	case !strings.Contains(d.URLTemplate, "{tenant_id}"):
		c.add(template, CodeTemplate, "the template gives every tenant the same database", "put {tenant_id} into it")
	case !databaseURL(d.URLTemplate, "{tenant_id}"):
		c.add(template, CodeTemplate, "this is no URL of a database on a server", "write it like libsql://{tenant_id}-acme.turso.io")
	}
	if code, message, next, wrong := Secret(d.GroupAuthToken).InRepository(); wrong {
		c.add([]any{"databases", "groupAuthToken"}, code, message, next)
	}
}
