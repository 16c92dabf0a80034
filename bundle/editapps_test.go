package bundle_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/bundle"
)

const head = "# Acme\nid: acme\nname: Acme\n\n"

func TestEditKeepsWhatIsWritten(t *testing.T) {
	use := func(name, version string) func(string) ([]byte, error) {
		return func(text string) ([]byte, error) {
			return bundle.UseApp("tenant.yaml", []byte(text), bundle.AppRef{Name: name, Version: version})
		}
	}
	leave := func(name string, drop bool) func(string) ([]byte, error) {
		return func(text string) ([]byte, error) { return bundle.LeaveApp("tenant.yaml", []byte(text), name, drop) }
	}
	for name, c := range map[string]struct {
		before string
		edit   func(string) ([]byte, error)
		after  string
	}{
		"the first app":              {"plan: pro", use("crm", ""), "plan: pro\napps: [{name: crm}]\n"},
		"into empty brackets":        {"apps: [] # none yet\nplan: pro\n", use("crm", ""), "apps: [{name: crm}] # none yet\nplan: pro\n"},
		"into brackets":              {"apps: [{name: crm}]   # ours\nplan: pro\n", use("billing", "1.2.0"), "apps: [{name: crm}, {name: billing, version: 1.2.0}]   # ours\nplan: pro\n"},
		"a version that is a number": {"apps: [{name: crm}]\n", use("crm", "1.10"), "apps: [{name: crm, version: \"1.10\"}]\n"},
		"into brackets over lines": {
			"apps: [\n  {name: crm}, # the first\n  {name: todo, version: \"1.0.0\"},\n]\n", use("billing", ""),
			"apps: [\n  {name: crm}, # the first\n  {name: todo, version: \"1.0.0\"},{name: billing}\n]\n",
		},
		"into lines": {
			"apps:\n  # the first\n  - name: crm # of old\n    version: 1.0.0\n  - {name: todo}\n\n# its plan\nplan: pro\n", use("billing", ""),
			"apps:\n  # the first\n  - name: crm # of old\n    version: 1.0.0\n  - {name: todo}\n  - {name: billing}\n\n# its plan\nplan: pro\n",
		},
		"into lines at the end":    {"apps:\n- name: crm", use("billing", ""), "apps:\n- name: crm\n- {name: billing}"},
		"another version":          {"apps: [{name: crm, version: 1.0.0}, {name: todo}] # x\n", use("crm", "1.1.0"), "apps: [{name: crm, version: 1.1.0}, {name: todo}] # x\n"},
		"another version, lines":   {"apps:\n  - {name: crm, version: 1.0.0} # pinned\n  - name: todo\n    version: 2.0.0\nplan: pro\n", use("todo", "2.1.0"), "apps:\n  - {name: crm, version: 1.0.0} # pinned\n  - {name: todo, version: 2.1.0}\nplan: pro\n"},
		"another version, a line":  {"apps:\n  - {name: crm, version: 1.0.0} # pinned\n  - name: todo\n", use("crm", "1.1.0"), "apps:\n  - {name: crm, version: 1.1.0} # pinned\n  - name: todo\n"},
		"no version":               {"apps: [{name: crm, version: 1.0.0}]\n", use("crm", ""), "apps: [{name: crm}]\n"},
		"its tables are wanted":    {"apps: []\ndropTables: [crm, todo]\n", use("crm", ""), "apps: [{name: crm}]\ndropTables: [todo]\n"},
		"out of brackets":          {"apps: [{name: crm}, {name: 'to.do', version: 'a]b'}] # x\n", leave("crm", false), ""},
		"the last out of brackets": {"apps: [{name: crm}, {name: todo}] # x\n", leave("todo", false), "apps: [{name: crm}] # x\n"},
		"all out of brackets":      {"apps: [{name: crm}]\n", leave("crm", false), "apps: []\n"},
		"out of lines":             {"apps:\n  - name: crm\n    version: 1.0.0\n  # kept\n  - name: todo\nplan: pro\n", leave("crm", false), "apps:\n  # kept\n  - name: todo\nplan: pro\n"},
		"all out of lines":         {"apps: # ours\n  - name: crm\nplan: pro\n", leave("crm", false), "apps: [] # ours\nplan: pro\n"},
		"with its tables":          {"apps: [{name: crm}]\n", leave("crm", true), "apps: []\ndropTables: [crm]\n"},
		"its tables, later":        {"dropTables:\n  - todo\n", leave("crm", true), "dropTables:\n  - todo\n  - crm\n"},
		"nothing":                  {"apps: [{name: crm}]\n", use("crm", ""), "apps: [{name: crm}]\n"},
		"beside other brackets":    {"labels: {a: '[', b: \"]\"} # ]\napps: [{name: crm}]\n", use("todo", ""), "labels: {a: '[', b: \"]\"} # ]\napps: [{name: crm}, {name: todo}]\n"},
		"after other scripts":      {"labels: {ort: Köln} \napps: [{name: crm}]\n", use("todo", ""), "labels: {ort: Köln} \napps: [{name: crm}, {name: todo}]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.after == "" {
				if got, err := c.edit(head + c.before); !errors.Is(err, bundle.ErrEdit) {
					t.Errorf("got %q, error %v, want ErrEdit", got, err)
				}
				return
			}
			got, err := c.edit(head + c.before)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(got), head+c.after); diff != "" {
				t.Errorf("the text (-got +want)\n%s", diff)
			}
		})
	}
}

func TestEditRefusesWhatItCannotDo(t *testing.T) {
	for name, text := range map[string]string{
		"a broken file":     "id: acme\nname: Acme\napps: [\n",
		"an unknown key":    "id: acme\nname: Acme\nsomething: 1\n",
		"a flow mapping":    "{id: acme, name: Acme, apps: [{name: crm}]}\n",
		"no file":           "",
		"a list of anchors": "id: acme\nname: Acme\nlabels: &a {x: y}\napps: *a\n",
	} {
		if got, err := bundle.UseApp("tenant.yaml", []byte(text), bundle.AppRef{Name: "todo"}); !errors.Is(err, bundle.ErrEdit) {
			t.Errorf("%s: got %q, error %v, want ErrEdit", name, got, err)
		}
	}
}

// Whatever a file looks like, its edited form says what was asked for, or there
// is none.
func FuzzEdit(f *testing.F) {
	f.Add("apps: [{name: crm}, {name: todo, version: \"1.0\"}]\n", "crm", false)
	f.Add("apps:\n- name: crm\n# x\n- name: todo\n", "todo", true)
	f.Add("apps: &a\n  - {name: crm}\ndropTables: [todo]\n", "billing", true)
	f.Fuzz(func(t *testing.T, text, app string, leave bool) {
		edit := func(text []byte) ([]byte, error) {
			if leave {
				return bundle.LeaveApp("tenant.yaml", text, app, true)
			}
			return bundle.UseApp("tenant.yaml", text, bundle.AppRef{Name: app})
		}
		once, err := edit([]byte("id: acme\nname: Acme\n" + text))
		if err != nil {
			return
		}
		twice, err := edit(once)
		if err != nil || string(twice) != string(once) {
			t.Errorf("editing %q again gives %q, error %v", once, twice, err)
		}
	})
}
