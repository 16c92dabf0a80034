package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/config"
)

func TestNotify(t *testing.T) {
	settings, faults := config.Load(config.Sources{File: "reconciler.yaml", Data: []byte(`
notify:
  - {name: pager, url: "https://pager.example/hook", secret: $file:pager, events: [pass_failed, source_away]}
  - {name: chat, kind: slack, url: $env:RECONCILER_SECRET_SLACK}
`)})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := []config.Notify{
		{Name: "pager", Kind: config.NotifyWebhook, URL: "https://pager.example/hook", Secret: "$file:pager", Events: []string{"pass_failed", "source_away"}},
		{Name: "chat", Kind: config.NotifySlack, URL: "$env:RECONCILER_SECRET_SLACK"},
	}
	if diff := cmp.Diff(want, settings.Notify); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What could not be told of anything is a fault before the daemon starts, with
// its place and without the secret.
func TestOperationsFaults(t *testing.T) {
	for text, want := range map[string]string{
		"notify: [{name: a, url: 'ftp://x', secret: $file:a}]":                                "no http or https URL",
		"notify: [{name: a, url: 'https://u:geheim@x', secret: $file:a}]":                     "no http or https URL",
		"notify: [{name: a, url: 'https://x'}]":                                               "there is no secret",
		"notify: [{name: a, url: 'https://x', secret: geheim}]":                               "is not a reference",
		"notify: [{name: a, kind: slack, url: '$geheim'}]":                                    "is not a reference",
		"notify: [{name: a, kind: pigeon, url: 'https://x'}]":                                 "must be one of webhook, slack",
		"notify: [{name: a, kind: slack, url: 'https://x', events: [lunch]}]":                 "no event is called so",
		"notify: [{name: a, kind: slack, url: x://x}, {name: a, kind: slack, url: http://x}]": "two targets",
		"server: {webhook: {secret: geheim}}":                                                 "is not a reference",
		"server: {metrics: {access: all}}":                                                    "must be one of token, open",
		"shutdownTimeout: soon":                                                               "soon",
	} {
		_, faults := config.Load(config.Sources{File: "reconciler.yaml", Data: []byte(text)})
		said := fmt.Sprint(faults)
		if !strings.Contains(said, want) || strings.Contains(said, "geheim") || !strings.Contains(said, "reconciler.yaml:1:") {
			t.Errorf("%s: got %q, want %q", text, said, want)
		}
	}
}
