package config_test

import (
	"strings"
	"testing"

	"github.com/tenantops/reconciler/config"
)

func TestForge(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "",
		"{kind: github, project: company/fleet, token: $file:forge}":                                "",
		"{kind: github, project: company/fleet, app: {id: 1, installation: 2, key: $file:app.pem}}": "",
		"{kind: gitlab, project: a/b/fleet, token: $file:forge, url: https://git.example/lab}":      "",
		"{kind: gitea, project: company/fleet, token: $file:forge, url: http://127.0.0.1:3000}":     "",
		"{kind: gitea, project: a/b, token: $file:f, url: https://g, rehearse: 21}":                 "forge.rehearse",
		"{kind: github, project: a/b, token: $file:f, link: 'javascript:x'}":                        "no http address",
		"{kind: bitbucket}": "forge.kind",
		"{kind: github, project: fleet, token: $file:forge}":                                "names no repository",
		"{kind: github, project: a/../fleet, token: $file:forge}":                           "names no repository",
		"{kind: github, project: 'a/b?x', token: $file:forge}":                              "names no repository",
		"{kind: github, project: company/fleet}":                                            "asks for a token",
		"{kind: github, project: company/fleet, token: ghp_plain}":                          "not a reference to a secret",
		"{kind: gitea, project: company/fleet, token: $file:forge}":                         "no address of its own",
		"{kind: gitea, project: a/b, token: $file:f, url: http://git.example}":              "no https URL",
		"{kind: gitea, project: a/b, token: $file:f, url: 'https://u:p@git.example'}":       "no https URL",
		"{kind: github, project: company/fleet, app: {id: 1}}":                              "give all three",
		"{kind: github, project: company/fleet, token: $file:f, app: {id: 1}}":              "a token and an app",
		"{kind: gitlab, project: company/fleet, app: {id: 1}}":                              "only GitHub has apps",
		"{kind: github, project: company/fleet, token: $file:forge, poll: soon}":            "not a length of time",
		"{kind: github, project: company/fleet, token: $file:forge, environment: 'a -->b'}": "forge.environment",
	} {
		_, faults := config.Load(config.Sources{File: "reconciler.yaml", Data: []byte("forge: " + text)})
		var got []string
		for _, f := range faults {
			got = append(got, f.Error())
		}
		if all := strings.Join(got, "\n"); want == "" && all != "" || !strings.Contains(all, want) || strings.Contains(all, "ghp_plain") {
			t.Errorf("%s: got %q, want %q", text, all, want)
		}
	}
}
