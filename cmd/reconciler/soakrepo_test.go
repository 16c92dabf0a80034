package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/gittest"
)

// The objects of the soak's apps, and the fields that each may have. A name has
// one type for good, so that what is retired comes back with its values.
var (
	soakApps    = []string{"shop", "desk"}
	soakObjects = map[string][]string{
		"shop": {"customer", "invoice", "product"},
		"desk": {"ticket", "article"},
	}
	soakFields = map[string]string{
		"name": "text", "email": "email", "note": "textarea", "city": "text", "score": "number",
		"price": "currency", "paid": "boolean", "day": "date", "tags": "tags", "phone": "phone",
	}
)

// design is what a commit says. Its fields are exported for the copy through JSON.
type design struct {
	Apps    map[string]appDesign
	Tenants map[string]tenantDesign
	Heal    bool   // drift of the fleet
	Broken  string // a fault that somebody pushed; see breakages
	Note    int    // differs in commits that change nothing
}

type appDesign struct {
	Version int
	Label   int
	Objects map[string]map[string]string // object, field, and its index: "", "index" or "unique"
}

type tenantDesign struct {
	Apps map[string]int // and the version that is asked for; 0 for that of the commit
	Heal bool
	Own  bool // an object of its own
}

func (d design) clone() design {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	var copied design
	if err := json.Unmarshal(text, &copied); err != nil {
		panic(err)
	}
	return copied
}

// What somebody may push by mistake, and the file that it is in.
var breakages = map[string][2]string{
	"object":  {"apps/shop/objects/customer.yaml", "name: customer\nfields:\n  name: {type: txet}\n"},
	"yaml":    {"apps/desk/app.yaml", "name: desk\n  version: [\n"},
	"fleet":   {"fleet.yaml", "drift: sometimes\n"},
	"tenant":  {"tenants/t0001/tenant.yaml", "id: t0001\nname: T\nplann: pro\n"},
	"app":     {"tenants/t0002/tenant.yaml", "id: t0002\nname: T\napps: [{name: shoop}]\n"},
	"nobody":  {"", ""}, // no tenant is left
	"version": {"tenants/t0003/tenant.yaml", "id: t0003\nname: T\napps: [{name: shop, version: 99.0.0}]\n"},
}

// files are the tree that a design stands for.
func (d design) files() map[string]string {
	mode := map[bool]string{false: "report", true: "heal"}
	tree := map[string]string{"fleet.yaml": fmt.Sprintf("policy: {narrowing: allow}\ndrift: %s\n# %d\n", mode[d.Heal], d.Note)}
	for name, app := range d.Apps {
		tree["apps/"+name+"/app.yaml"] = fmt.Sprintf("name: %s\nlabel: App %d\nversion: 1.%d.0\n", name, app.Label, app.Version)
		for object, fields := range app.Objects {
			tree["apps/"+name+"/objects/"+object+".yaml"] = objectYAML(object, fields)
		}
	}
	for id, t := range d.Tenants {
		var apps []string
		for _, name := range slices.Sorted(maps.Keys(t.Apps)) {
			app := "name: " + name
			if version := t.Apps[name]; version > 0 {
				app += fmt.Sprintf(", version: 1.%d.0", version)
			}
			apps = append(apps, "{"+app+"}")
		}
		text := fmt.Sprintf("id: %s\nname: T\napps: [%s]\n", id, strings.Join(apps, ", "))
		if t.Heal {
			text += "drift: heal\n"
		}
		tree["tenants/"+id+"/tenant.yaml"] = text
		if t.Own {
			tree["tenants/"+id+"/objects/extra.yaml"] = objectYAML("extra", map[string]string{"name": "", "score": ""})
		}
	}
	d.breakIn(tree)
	return tree
}

func (d design) breakIn(tree map[string]string) {
	switch {
	case d.Broken == "nobody":
		maps.DeleteFunc(tree, func(name, _ string) bool { return strings.HasPrefix(name, "tenants/") })
	case d.Broken != "":
		tree[breakages[d.Broken][0]] = breakages[d.Broken][1]
	}
}

func objectYAML(name string, fields map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nfields:\n", name)
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		extra := ""
		if index := fields[field]; index != "" {
			extra = ", " + index + ": true"
		}
		fmt.Fprintf(&b, "  %s: {type: %s%s}\n", field, soakFields[field], extra)
	}
	return b.String()
}

// soakRepo is the repository, and what each of its commits says.
type soakRepo struct {
	x       *soak
	dir     string
	now     design
	history []design // of every commit, the newest last
	written map[string]string
	version int // of apps: the highest that was ever given
}

func newSoakRepo(x *soak) *soakRepo {
	r := &soakRepo{x: x, dir: filepath.Join(x.dir, "repo"), written: map[string]string{}}
	x.check(os.Mkdir(r.dir, 0o755))
	r.git("init", "--quiet", "--initial-branch=main")
	r.now = design{Apps: map[string]appDesign{}, Tenants: map[string]tenantDesign{}}
	for _, app := range soakApps {
		objects := map[string]map[string]string{}
		for _, object := range soakObjects[app] {
			objects[object] = map[string]string{"name": "index", "email": "unique", "score": "", "city": ""}
		}
		r.now.Apps[app] = appDesign{Objects: objects}
	}
	return r
}

func (r *soakRepo) git(args ...string) string {
	r.x.Helper()
	return gittest.Run(r.x, r.dir, args...)
}

// commit makes one of the design as it is now.
func (r *soakRepo) commit(message string) {
	r.x.Helper()
	r.now.Note++
	tree := r.now.files()
	for name := range r.written {
		if _, still := tree[name]; !still {
			r.x.check(os.RemoveAll(filepath.Join(r.dir, name)))
		}
	}
	for name, text := range tree {
		if r.written[name] == text {
			continue
		}
		path := filepath.Join(r.dir, name)
		r.x.check(os.MkdirAll(filepath.Dir(path), 0o755))
		r.x.check(os.WriteFile(path, []byte(text), 0o644))
	}
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "--message", message)
	r.written = tree
	r.history = append(r.history, r.now.clone())
}

// revert takes the newest commit back, as people do.
func (r *soakRepo) revert() {
	r.x.Helper()
	r.git("revert", "--no-edit", "HEAD")
	r.now = r.history[len(r.history)-2].clone()
	r.written = r.now.files()
	r.history = append(r.history, r.now.clone())
}

// tag releases an app as the last commit has it.
func (r *soakRepo) tag(app string) {
	r.git("tag", fmt.Sprintf("%s/v1.%d.0", app, r.now.Apps[app].Version))
}

// mend takes back what was broken.
func (r *soakRepo) mend() { r.now.Broken = "" }

// restoreAll asks for everything that there ever was: every tenant, with every
// app at the newest version, every object and every field.
func (r *soakRepo) restoreAll() {
	r.now.Heal = true
	for app, objects := range soakObjects {
		full := map[string]map[string]string{}
		for _, object := range objects {
			full[object] = map[string]string{}
			for field := range soakFields {
				full[object][field] = ""
			}
		}
		r.version++
		r.now.Apps[app] = appDesign{Version: r.version, Objects: full}
	}
	for _, t := range r.x.tenants {
		r.now.Tenants[t.id] = tenantDesign{Apps: map[string]int{"shop": 0, "desk": 0}, Heal: true, Own: true}
	}
}
