package config_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/config"
)

func TestLoad(t *testing.T) {
	settings, faults := config.Load(config.Sources{
		File: "reconciler.yaml", Data: []byte("repo: a\nref: a\npoll: 5m\nmaxConcurrent: 2\ngit: {username: a, token: $file:git/token}\n"),
		Env:   []string{"RECONCILER_REPO=b", "RECONCILER_REF=b", "RECONCILER_MAX_CONCURRENT=3", "RECONCILER_GIT_USERNAME=b", "RECONCILER_DATA="},
		Flags: map[string]string{"repo": "c"},
	})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if settings.Repo != "c" || settings.Ref != "b" || settings.Poll != "5m" || *settings.MaxConcurrent != 3 ||
		settings.Git.Username != "b" || settings.Git.Token != "$file:git/token" || settings.Data != "" || settings.LogFormat != config.LogAuto {
		t.Errorf("got %+v", settings)
	}
}

// A fault is told where its value came from.
func TestLoadFaults(t *testing.T) {
	_, faults := config.Load(config.Sources{
		File: "reconciler.yaml", Data: []byte("poll: soon\nrefs: main\ngit: {token: ghp_abc}\nlogFormat: xml\n"),
		Env:   []string{"RECONCILER_MAX_CONCURRENT=many", "RECONCILER_GIT_KEY_PASSPHRASE=geheim"},
		Flags: map[string]string{"logFormat": "yaml"},
	})
	var got []string
	for _, f := range faults {
		got = append(got, f.File+" "+f.Code)
	}
	for _, want := range []string{
		"RECONCILER_MAX_CONCURRENT invalid_type", "flag logFormat invalid_value", "reconciler.yaml bad_duration",
		"reconciler.yaml unrecognized_keys", "RECONCILER_GIT_KEY_PASSPHRASE plain_secret", "reconciler.yaml plain_secret",
	} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	for _, f := range faults {
		if strings.Contains(f.Error(), "ghp_abc") || strings.Contains(f.Error(), "geheim") {
			t.Errorf("a secret is in %q", f)
		}
	}
}

// A variable that no setting has is told of, but not a secret, another program's,
// or what Kubernetes sets.
func TestUnknownVariable(t *testing.T) {
	_, faults := config.Load(config.Sources{Env: []string{
		"RECONCILER_POL=30s", "RECONCILER_REPO=.", "RECONCILER_SECRET_ACME=x", "RECONCILER_EMPTY=", "OTHER=1",
		"RECONCILER_PORT=tcp://10.0.0.1:8080", "RECONCILER_PORT_8080_TCP_ADDR=10.0.0.1", "RECONCILER_SERVICE_HOST=10.0.0.1",
	}})
	if len(faults) != 1 || faults[0].File != "RECONCILER_POL" || faults[0].Code != config.CodeVariable || faults[0].IsError() {
		t.Errorf("got %v, want a warning of RECONCILER_POL", faults)
	}
}

// Every setting but a list can be given by a variable: its key is in the table.
func TestEverySettingHasAVariable(t *testing.T) {
	var visit func(typ reflect.Type, prefix string)
	visit = func(typ reflect.Type, prefix string) {
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if field := typ.Field(i).Type; field.Kind() == reflect.Struct {
				visit(field, prefix+key+".")
				continue
			} else if field.Kind() == reflect.Slice {
				continue
			}
			// A value that no setting accepts gives a fault that names the
			// variable, or one that is accepted changes the settings.
			name := config.Variable(prefix + key)
			before, _ := config.Load(config.Sources{})
			after, faults := config.Load(config.Sources{Env: []string{name + "=-7"}})
			unknown := slices.ContainsFunc(faults, func(f config.Fault) bool { return f.Code == config.CodeVariable })
			if unknown || len(faults) == 0 && reflect.DeepEqual(before, after) {
				t.Errorf("%s changes nothing", name)
			}
		}
	}
	visit(reflect.TypeFor[config.Settings](), "")
}

// Addresses of servers are checked when the settings are read, and no fault
// repeats a secret that stands in one.
func TestAddressesOfServers(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"good": {"age: {identityFile: k}\ndatabases: {provider: sqld, sqld: {adminUrl: 'http://h:1', url: 'http://{name}.h:2'}}\n" +
			"connections: {hosts: [{match: h, proxy: 'socks5://p:1'}, {match: i, proxy: '$file:proxy'}, {match: j, proxy: none}]}\n", nil},
		"no admin URL":          {"age: {identityFile: k}\ndatabases: {provider: sqld}\n", []string{"2:1 bad_server"}},
		"a user":                {"databases: {sqld: {adminUrl: 'http://u:planted@h:1'}}\n", []string{"1:30 bad_server"}},
		"a query":               {"databases: {turso: {apiUrl: 'http://h:1?planted'}}\n", []string{"1:29 bad_server"}},
		"no name":               {"databases: {sqld: {url: 'http://h/{name}'}}\n", []string{"1:25 bad_server"}},
		"another scheme":        {"databases: {sqld: {url: 'ftp://{name}.h'}}\n", []string{"1:25 bad_server"}},
		"a password of a proxy": {"connections: {hosts: [{match: h, proxy: 'http://u:planted@p:1'}, {match: h, proxy: 'socks5://u:planted@p'}]}\n", []string{"1:41 plain_secret", "1:84 plain_secret"}},
		"no proxy":              {"connections: {hosts: [{match: h, proxy: 'ftp://p'}]}\n", []string{"1:41 bad_host"}},
		"no time":               {"connections: {look: 0s, hosts: [{match: h, timeout: 0s}]}\n", []string{"1:21 bad_duration", "1:53 bad_duration"}},
		"a number":              {"server: {token: 1234567}\n", []string{"1:17 invalid_type"}},
		"no variable of ours":   {"server: {token: '$env:HOME'}\n", []string{"1:17 bad_reference"}},
		"outside":               {"git: {token: '$file:../planted'}\n", []string{"1:14 bad_reference"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := config.Load(config.Sources{File: "reconciler.yaml", Data: []byte(c.text)})
			if got := lines(faults); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q: %v", got, c.want, faults)
			}
			if said := fmt.Sprint(faults); strings.Contains(said, "planted") || strings.Contains(said, "1234567") {
				t.Errorf("a secret is repeated: %s", said)
			}
		})
	}
}
