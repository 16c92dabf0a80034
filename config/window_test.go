package config_test

import (
	"testing"
	"time"

	"github.com/tenantops/reconciler/config"
)

func TestWindows(t *testing.T) {
	nights := config.Window{Cron: "0 22 * * *", Duration: "4h", Timezone: "Europe/Berlin"}
	sundays := config.Window{Cron: "0 6 * * sun", Duration: "2h", Timezone: "UTC"}
	for _, c := range []struct {
		name    string
		windows []config.Window
		now     string
		open    bool
		change  string
	}{
		{"none is always", nil, "2026-03-04T12:00:00Z", true, ""},
		{"before it opens", []config.Window{nights}, "2026-03-04T20:59:59Z", false, "2026-03-04T21:00:00Z"},
		{"as it opens", []config.Window{nights}, "2026-03-04T21:00:00Z", true, "2026-03-05T01:00:00Z"},
		{"past midnight", []config.Window{nights}, "2026-03-05T00:59:59Z", true, "2026-03-05T01:00:00Z"},
		{"as it closes", []config.Window{nights}, "2026-03-05T01:00:00Z", false, "2026-03-05T21:00:00Z"},
		{"in summer time", []config.Window{nights}, "2026-07-01T20:00:00Z", true, "2026-07-02T00:00:00Z"},
		{"the night of the change", []config.Window{nights}, "2026-03-29T20:00:00Z", true, "2026-03-30T00:00:00Z"},
		{"the next of several", []config.Window{nights, sundays}, "2026-03-08T02:00:00Z", false, "2026-03-08T06:00:00Z"},
		{"one of several", []config.Window{nights, sundays}, "2026-03-08T07:00:00Z", true, "2026-03-08T08:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, c.now)
			if err != nil {
				t.Fatal(err)
			}
			open, change := config.Windows(c.windows, now)
			got := ""
			if !change.IsZero() {
				got = change.UTC().Format(time.RFC3339)
			}
			if open != c.open || got != c.change {
				t.Errorf("got %v until %s, want %v until %s", open, got, c.open, c.change)
			}
		})
	}
}
