// Package reconciler_test holds the rules about the project as a whole: which
// package may import which, and where each outside library lives.
package reconciler_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const module = "github.com/tenantops/reconciler/"

// rows lists the packages from the bottom up: a package imports only packages
// of rows above its own. A package that only tests import says so; nothing
// that ships may import it.
var rows = []struct {
	name      string
	testsOnly bool
}{
	{name: "internal/golden", testsOnly: true},
	{name: "internal/gittest", testsOnly: true},
	{name: "internal/reason"},
	{name: "protocol/shape"},
	{name: "protocol"},
	{name: "protocol/contracttest", testsOnly: true},
	{name: "internal/database"},
	{name: "internal/libsql"},
	{name: "internal/retryafter"},
	{name: "internal/memo"},
	{name: "internal/garbage"},
	{name: "internal/hrana"},
	{name: "internal/sqldtest", testsOnly: true},
	{name: "internal/databasetest", testsOnly: true},
	{name: "preview/forge"},
	{name: "preview/forge/forgetest", testsOnly: true},
	{name: "gitrepo"},
	{name: "config"},
	{name: "secret"},
	{name: "bundle"},
	{name: "schema"},
	{name: "internal/transfer"},
	{name: "diff"},
	{name: "plan"},
	{name: "apply"},
	{name: "state"},
	{name: "state/statetest", testsOnly: true},
	{name: "tenantrouter/identity"},
	{name: "tenantrouter"},
	{name: "deploy"},
	{name: "adoption"},
	{name: "fleet"},
	{name: "applifecycle"},
	{name: "provision/control"},
	{name: "provision/sqld"},
	{name: "provision/turso"},
	{name: "provision/turso/tursotest", testsOnly: true},
	{name: "provision"},
	{name: "reconcile"},
	{name: "preview"},
	{name: "preview/pull"},
	{name: "metrics"},
	{name: "notify"},
	{name: "server"},
	{name: "cmd/reconciler"},
	{name: "examples/app"},
}

func TestPackagesImportOnlyRowsAbove(t *testing.T) {
	for _, p := range packages(t) {
		own := row(p.name)
		if own < 0 {
			t.Errorf("%s is in no row of this test: add it below what it imports", p.name)
			continue
		}
		for _, imported := range p.project() {
			switch at := row(imported); {
			case at < 0: // reported as a package of its own
			case at >= own:
				t.Errorf("%s imports %s, which is not in a row above it", p.name, imported)
			case rows[at].testsOnly && !rows[own].testsOnly:
				t.Errorf("%s imports %s, which is for tests only", p.name, imported)
			}
		}
	}
}

func TestOutsideLibrariesStayInTheirHome(t *testing.T) {
	homes := libraryHomes(t)
	for _, p := range packages(t) {
		for _, library := range p.outside() {
			switch home, ok := homes.of(library); {
			case !ok:
				t.Errorf("%s imports %s, which has no home: add a depguard rule to .golangci.yml", p.name, library)
			case !slices.Contains(home, p.name):
				t.Errorf("%s imports %s, whose home is %v", p.name, library, home)
			}
		}
	}
}

// row returns the index of a package in rows, or -1.
func row(name string) int {
	for i, r := range rows {
		if r.name == name {
			return i
		}
	}
	return -1
}

// goPackage is a package of this module and what it imports, tests apart.
type goPackage struct {
	name    string // below the module
	imports []string
}

// packages asks the go command for every package that ships code, in the
// order of their names. One that does not build is listed too: the compiler
// says what is wrong with it.
func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,GoFiles,CgoFiles", "./...")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			ImportPath                 string
			Imports, GoFiles, CgoFiles []string
		}
		if err := decoder.Decode(&listed); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(listed.GoFiles)+len(listed.CgoFiles) > 0 {
			all = append(all, goPackage{strings.TrimPrefix(listed.ImportPath, module), listed.Imports})
		}
	}
}

// project returns the imported packages of this module, below the module.
func (p goPackage) project() []string {
	var names []string
	for _, i := range p.imports {
		if name, ok := strings.CutPrefix(i, module); ok {
			names = append(names, name)
		}
	}
	return names
}

// outside returns the imported packages of other modules. The standard
// library has no dot in the first element of its paths; golang.org/x is kept
// by the same people and may be used anywhere.
func (p goPackage) outside() []string {
	var libraries []string
	for _, i := range p.imports {
		host, _, _ := strings.Cut(i, "/")
		if strings.Contains(host, ".") && host != "golang.org" && !strings.HasPrefix(i, module) {
			libraries = append(libraries, i)
		}
	}
	return libraries
}

// libraries maps the start of an import path to the packages that may use it.
type libraries map[string][]string

func (l libraries) of(imported string) (home []string, ok bool) {
	for prefix, home := range l {
		if strings.HasPrefix(imported, prefix) {
			return home, true
		}
	}
	return nil, false
}

// libraryHomes reads the homes from the linter's configuration, where each
// rule of depguard denies libraries in all files but those of their home:
// "!**/internal/libsql/*.go" names internal/libsql.
func libraryHomes(t *testing.T) libraries {
	t.Helper()
	text, err := os.ReadFile(".golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var lint struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						Files []string
						Deny  []struct{ Pkg string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &lint); err != nil {
		t.Fatal(err)
	}
	homes := libraries{}
	for _, rule := range lint.Linters.Settings.Depguard.Rules {
		var home []string
		for _, pattern := range rule.Files {
			if files, ok := strings.CutPrefix(pattern, "!**/"); ok {
				home = append(home, path.Dir(files))
			}
		}
		for _, denied := range rule.Deny {
			homes[denied.Pkg] = home
		}
	}
	return homes
}
