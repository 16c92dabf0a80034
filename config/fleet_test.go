package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

func TestFleetDefaults(t *testing.T) {
	got, faults := config.ParseFleet("fleet.yaml", nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	one, five := 1, 5.0
	want := config.Fleet{
		Fleet: "main", Environment: config.Prod, IsolationLevel: protocol.IsolatedDB, DatabaseProvider: protocol.ProviderTurso,
		Policy: config.Policy{
			Additive: config.Allow, Widening: config.Allow, Rewrite: config.Allow,
			Narrowing: config.Approve, Destructive: config.Allow,
		},
		Retention: "7d", NotNull: config.NotNullStrict, Seed: config.SeedStrict, Drift: config.DriftReport, OnFailedVerify: config.VerifyReport,
		DeletionGuard: config.Limit{Tenants: &one, Percent: &five}, GraceHours: 72,
		Snapshots: config.Snapshots{Keep: 3, MaxBytes: 10 << 30}, MaxLock: config.MaxLock{File: "30s", Remote: "3s"},
		Backup: config.Backup{To: "file:backups", Retention: "30d"}, SignUp: config.SignUp{Apps: []config.SignUpApp{}, Labels: map[string]string{}},
		Plans: map[string]protocol.TenantQuota{}, Windows: []config.Window{},
		Rollout: config.Rollout{MaxConcurrent: 8, Waves: []config.Wave{{Name: "all"}}},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("defaults (-got +want)\n%s", diff)
	}
}

func TestFleetFaults(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"unknown key":   {"polcy: {}\n", []string{"1:1 unrecognized_keys"}},
		"unknown word":  {"policy: {additive: maybe}\n", []string{"1:20 invalid_value"}},
		"all at once":   {"drift: x\nseed: z\nrollout: {maxConcurrent: 0}\n", []string{"1:8 invalid_value", "2:7 invalid_value", "3:26 too_small"}},
		"form and rule": {"drift: x\nretention: 7w\nmaxLock: {file: 3}\n", []string{"1:8 invalid_value", "2:12 bad_duration", "3:17 invalid_type"}},
		"durations":     {"retention: 7w\nmaxLock: {file: -1s}\n", []string{"1:12 bad_duration", "2:17 bad_duration"}},
		"plan":          {"plans: {gold: {maxUsers: 1}}\n", []string{"1:9 unknown_plan"}},
		"quota":         {"plans: {free: {maxUsers: 0}}\n", []string{"1:26 too_small"}},
		"waves":         {"rollout:\n  waves: [{name: a, tenants: 1}, {name: a, bake: soon}]\n", []string{"2:41 bad_wave", "2:50 bad_duration"}},
		"after all":     {"rollout:\n  waves: [{name: a}, {name: b}]\n", []string{"2:29 bad_wave"}},
		"after 100 %":   {"rollout:\n  waves: [{name: a, percent: 100}, {name: b}]\n", []string{"2:43 bad_wave"}},
		"taken labels":  {"rollout:\n  waves:\n  - {name: a, match: {tier: x}}\n  - {name: b, match: {tier: x, eu: '1'}}\n  - {name: c, match: {tier: z}}\n", []string{"4:12 bad_wave"}},
		"percents":      {"rollout:\n  waves: [{name: a, percent: 0}, {name: b, percent: 101}]\n", []string{"2:30 too_small", "2:53 too_big"}},
		"no budget":     {"rollout:\n  waves: [{name: a, failureBudget: {}}]\n", []string{"2:21 bad_wave"}},
		"good waves":    {"rollout:\n  waves: [{name: a, match: {tier: x}, bake: 10m, failureBudget: {percent: 2}, maxConcurrent: 2}, {name: b, pauseBefore: true}]\n", nil},
		"windows":       {"windows:\n  - {cron: at night, duration: 4h, timezone: Europe/Berlyn}\n", []string{"2:12 bad_window", "2:46 bad_window"}},
		"no such day":   {"windows:\n  - {cron: '0 0 31 2 *', duration: 4h}\n", []string{"2:12 bad_window"}},
		"half a zone":   {"windows:\n  - {cron: 'TZ=0', duration: 0s}\n", []string{"2:12 bad_window", "2:30 bad_window"}},
		"a shorthand":   {"windows:\n  - {cron: '@daily', duration: 4h}\n", []string{"2:12 bad_window"}},
		"no zone":       {"windows:\n  - {cron: '0 2 * * *', duration: 4h, timezone: Local}\n", []string{"2:49 bad_window"}},
		"databases":     {"databases: {urlTemplate: 'libsql://x', groupAuthToken: ey}\n", []string{"1:26 bad_template", "1:56 plain_secret"}},
		"two documents": {"fleet: a\n---\nfleet: b\n", []string{"3:1 one_document"}},
		"snapshots":     {"snapshots: {keep: 0, maxBytes: -1}\n", []string{"1:32 too_small"}},
		"a good window": {"windows: [{cron: '0 2 * * mon-fri', duration: 4h, timezone: Europe/Berlin}]\n", nil},
		"a template":    {"databases: {urlTemplate: 'libsql://{tenant_id}-acme.turso.io'}\n", nil},
		"tls=0":         {"databases: {urlTemplate: 'libsql://{tenant_id}.sqld:8080?tls=0'}\n", nil},
		"no URL":        {"databases: {urlTemplate: '{tenant_id}'}\n", []string{"1:26 bad_template"}},
		"ftp":           {"databases: {urlTemplate: 'ftp://{tenant_id}.x'}\n", []string{"1:26 bad_template"}},
		"a query":       {"databases: {urlTemplate: 'libsql://{tenant_id}.x?a=b'}\n", []string{"1:26 bad_template"}},
		"a password":    {"databases: {urlTemplate: 'libsql://u:pw@{tenant_id}.x'}\n", []string{"1:26 plain_secret"}},
		"a token":       {"databases: {urlTemplate: 'libsql://{tenant_id}.x?authToken=a'}\n", []string{"1:26 plain_secret"}},
		"a reference":   {"databases: {groupAuthToken: '$env:HOME'}\n", []string{"1:29 bad_reference"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := config.ParseFleet("fleet.yaml", []byte(c.text))
			if got := lines(faults); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q: %v", got, c.want, faults)
			}
		})
	}
}

// What is the operator's is sent to where it belongs; a misspelled key is not.
func TestSettingsInTheFleet(t *testing.T) {
	_, faults := config.ParseFleet("fleet.yaml", []byte("databases: {provider: sqld, sqld: {}, organisation: x}\nnotify: []\nconnections: {}\npolcy: {}\n"))
	var got []string
	for _, f := range faults {
		if f.Next == "move it to reconciler.yaml" {
			name, _, _ := strings.Cut(f.Message, ":")
			got = append(got, name)
		}
	}
	if want := []string{"databases.provider", "databases.sqld", "notify", "connections"}; !slices.Equal(got, want) || len(faults) != 6 {
		t.Errorf("got %q of %d faults, want %q of 6", got, len(faults), want)
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[config.Span]time.Duration{"": 0, "0d": 0, "7d": 168 * time.Hour, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond} {
		if got, err := text.Parse(); err != nil || got != want || text.Duration() != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []config.Span{"7", "-1h", "d", "1.5d", "65536d", "soon", "1d1d"} {
		if got, err := text.Parse(); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
