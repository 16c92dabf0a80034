package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// app is an app at one version.
type app struct {
	name     string               // of its directory
	manifest protocol.AppManifest // with the names of what it brings
	document config.Document
	part     *part
	faults   []Fault
}

// app returns the app of this tree, or nil when there is none.
func (l *loader) app(name string) *app {
	if a, ok := l.apps[name]; ok {
		return a
	}
	a := l.appOf(l.tree, name)
	l.apps[name] = a
	return a
}

func (l *loader) appOf(t tree, name string) *app {
	dir := path.Join(appsDir, name)
	if info, err := t.Stat(dir); err != nil || !info.IsDir() {
		return nil
	}
	return remember(l.session, "app", t.prefix+dir, t.hash(dir), func() *app { return l.readApp(t, dir) })
}

func (l *loader) readApp(t tree, dir string) *app {
	name := path.Base(dir)
	a := &app{name: name, part: &part{id: l.cache.next()}}
	entries, err := t.ReadDir(dir)
	if err != nil {
		a.faults = append(a.faults, config.FileError(t.prefix+dir, config.CodeUnreadable, err.Error(), "check the repository and its permissions"))
		return a
	}
	a.part = l.readPart(t, dir, fmt.Sprintf("app %q", name), entries, appFile)
	a.readManifest(t, dir, slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == appFile }))
	if !config.HasErrors(a.faults) && a.manifest.Name != name {
		a.faults = append(a.faults, a.document.Error([]any{"name"}, codeAppDirectory,
			fmt.Sprintf("app %q stands in a directory %q", a.manifest.Name, name), "give both one name"))
	}
	for i := range a.manifest.SeedData {
		a.part.add(define(seeds, a.document.At("seedData", i), a.part.owner, false))
	}
	a.lists()
	return a
}

// readManifest reads app.yaml. A compiled bundle that has a name and version
// needs none.
func (a *app) readManifest(t tree, dir string, there bool) {
	name := path.Join(dir, appFile)
	if c := a.part.compiled; !there && c.Name != "" && c.Version != "" {
		label := c.Label
		if label == "" {
			label = c.Name
		}
		a.manifest, _ = shape.Parse[protocol.AppManifest](map[string]any{"name": c.Name, "label": label, "version": c.Version}, shape.Strip)
		a.document = config.Document{File: t.prefix + path.Join(dir, compiledFile)}
		return
	}
	a.document.File = t.prefix + name
	if !there {
		a.faults = append(a.faults, config.FileError(t.prefix+name, codeAppWithoutFile, "the app has no "+appFile, "put it back, or remove the whole directory"))
		return
	}
	data, fault := t.read(name)
	if fault != nil {
		a.faults = append(a.faults, *fault)
		return
	}
	manifest, document, faults := config.ParseOne[appManifest](t.prefix+name, data)
	a.manifest, a.document, a.faults = manifest.AppManifest, document, append(a.faults, faults...)
	if !config.HasErrors(faults) {
		a.verifications(manifest.Verify)
	}
}

// lists checks the names that the manifest gives of its contents, and puts
// those in that there are.
func (a *app) lists() {
	for k, names := range map[kind]*[]string{objects: &a.manifest.Objects, views: &a.manifest.Views, flows: &a.manifest.Flows} {
		there := a.part.names(k)
		for i, name := range *names {
			if !slices.Contains(there, name) {
				a.faults = append(a.faults, a.document.Error([]any{forms[k].key, i}, codeManifestLists,
					fmt.Sprintf("the app has no %s %q", forms[k].word, name), "correct the name, or leave the list out"))
			}
		}
		*names = there
	}
	a.manifest.HasSeedData = a.manifest.HasSeedData || len(a.part.definitions[seeds]) > 0
}

// appSet is some apps and all that they depend on.
type appSet struct {
	apps   []*app // dependencies first, else by name
	faults []Fault
}

func (s *appSet) parts() []*part {
	parts := make([]*part, 0, len(s.apps)+1)
	for _, a := range s.apps {
		parts = append(parts, a.part)
	}
	return parts
}

func (s *appSet) manifests() []protocol.AppManifest {
	list := make([]protocol.AppManifest, len(s.apps))
	for i, a := range s.apps {
		list[i] = a.manifest
	}
	return list
}

// appsOf returns the apps of a tenant with all that these depend on: in the
// version that the tenant names, else in that of the tree. What is wrong with
// its own list is told to the tenant alone; all is whether every app was found.
func (l *loader) appsOf(t *Tenant) (set *appSet, all bool) {
	list := listOf(t.Spec.Apps)
	if s := l.lists[string(list)]; s != nil && len(list) > 0 {
		return s, true
	}
	direct := map[string]*app{}
	good := true
	for i, ref := range t.Spec.Apps {
		r := l.find(ref)
		if r.code != "" {
			good = false
			l.tell(t, t.document.Error([]any{"apps", i, r.key}, r.code, r.message, r.next))
		}
		if r.app != nil {
			direct[ref.Name] = r.app
		}
	}
	all = len(direct) == len(t.Spec.Apps)
	set = l.setOf(direct)
	if good && all {
		l.lists[string(list)] = set
	}
	return set, all
}

// listOf names apps with their versions: tenants with one list have one set.
func listOf(refs []AppRef) []byte {
	list := make([]byte, 0, 64)
	for _, ref := range refs {
		list = append(append(append(append(list, ref.Name...), 0), ref.Version...), 0)
	}
	return list
}

// setOf is what some apps and their dependencies make together, once for all
// tenants that have them.
func (l *loader) setOf(direct map[string]*app) *appSet {
	names := slices.Sorted(maps.Keys(direct))
	var ids strings.Builder
	for _, name := range names {
		fmt.Fprint(&ids, direct[name].part.id, " ")
	}
	if s := l.sets[ids.String()]; s != nil {
		return s
	}
	w := walk{loader: l, direct: direct, done: map[string]bool{}}
	for _, name := range names {
		w.visit(direct[name])
	}
	l.sets[ids.String()] = &w.set
	return &w.set
}

// dropped finds apps that the tenant has, and whose tables it does not want.
func (l *loader) dropped(t *Tenant, set *appSet) {
	for i, name := range t.Spec.DropTables {
		if slices.ContainsFunc(set.apps, func(a *app) bool { return a.name == name }) {
			l.tell(t, t.document.Error([]any{"dropTables", i}, codeAppDropped,
				fmt.Sprintf("the tenant has app %q, or an app that needs it, so its tables cannot go", name), "remove it here, or from apps"))
		}
	}
}

// walk follows dependencies, depth first.
type walk struct {
	*loader
	direct map[string]*app
	trail  []*app // from where the walk began
	done   map[string]bool
	set    appSet
}

func (w *walk) visit(a *app) {
	if i := slices.Index(w.trail, a); i >= 0 {
		w.cycle(w.trail[i:])
		return
	}
	if w.done[a.name] {
		return
	}
	w.trail = append(w.trail, a)
	for i, name := range a.manifest.Dependencies {
		next := w.direct[name]
		if next == nil {
			next = w.app(name)
		}
		if next == nil {
			w.set.faults = append(w.set.faults, a.document.Error([]any{"dependencies", i}, codeAppMissing,
				fmt.Sprintf("app %q depends on %q, which is not there", a.name, name), "correct the name, or add apps/"+name))
			continue
		}
		w.visit(next)
	}
	w.trail = w.trail[:len(w.trail)-1]
	w.done[a.name] = true
	w.set.apps = append(w.set.apps, a)
	w.set.faults = append(append(w.set.faults, a.faults...), w.kernel(a)...)
}

// cycle reports a cycle in the same words wherever the walk entered it.
func (w *walk) cycle(apps []*app) {
	first := 0
	for i, a := range apps {
		if a.name < apps[first].name {
			first = i
		}
	}
	names := make([]string, len(apps)+1)
	for i := range names {
		names[i] = apps[(first+i)%len(apps)].name
	}
	a := apps[first]
	at := slices.Index(a.manifest.Dependencies, names[1])
	w.set.faults = append(w.set.faults, a.document.Error([]any{"dependencies", at}, codeAppCycle,
		"apps depend on each other: "+strings.Join(names, " → "), "remove one of the dependencies"))
}

// resolution is the app that a reference leads to, or what is wrong with the
// key of the reference.
type resolution struct {
	app                      *app
	key, code, message, next string
}

// find returns an app at the version asked for: that of this tree if it has
// it, else the one of the tag.
func (l *loader) find(ref AppRef) resolution {
	a := l.app(ref.Name)
	switch {
	case a != nil && (ref.Version == "" || ref.Version == a.manifest.Version):
		return resolution{app: a}
	case ref.Version == "":
		return resolution{nil, "name", codeAppMissing, fmt.Sprintf("there is no app %q", ref.Name), "correct the name, or add apps/" + ref.Name}
	}
	tag := ref.Name + "/v" + ref.Version
	r, ok := l.tags[tag]
	if !ok {
		r = l.readTag(ref, tag)
		r.key = "version"
		l.tags[tag] = r
	}
	return r
}

func (l *loader) readTag(ref AppRef, tag string) resolution {
	fsys, commit, err := fs.FS(nil), "", fs.ErrNotExist
	if l.options.Version != nil {
		fsys, commit, err = l.options.Version(ref.Name, ref.Version)
	}
	before := l.options.Versions[tag]
	l.fleet.Versions[tag] = before
	switch {
	case errors.Is(err, fs.ErrNotExist) && before != "":
		return resolution{
			code: codeVersionMissing, message: fmt.Sprintf("tag %s is gone; it was %.12s", tag, before), next: "put the tag back",
		}
	case errors.Is(err, fs.ErrNotExist):
		return resolution{code: codeVersionMissing, message: fmt.Sprintf("there is no tag %s", tag), next: "push the tag; the tenant follows when it arrives"}
	case err != nil:
		return resolution{code: codeVersionUnreadable, message: fmt.Sprintf("tag %s cannot be read: %v", tag, err), next: "check the repository"}
	case before != "" && before != commit:
		return resolution{
			code: codeVersionMoved, message: fmt.Sprintf("tag %s was %.12s and is %.12s now", tag, before, commit),
			next: "put the tag back, and release under a new version",
		}
	}
	l.fleet.Versions[tag] = commit
	a := l.appOf(tree{FS: fsys, prefix: tag + ":"}, ref.Name)
	switch {
	case a == nil:
		return resolution{code: codeAppMissing, message: fmt.Sprintf("there is no app %q at tag %s", ref.Name, tag), next: "correct the version"}
	case a.manifest.Version != ref.Version && !config.HasErrors(a.faults):
		return resolution{
			app: a, code: codeVersionMismatch, message: fmt.Sprintf("app %q has version %s at tag %s", ref.Name, a.manifest.Version, tag),
			next: "correct the tag",
		}
	}
	return resolution{app: a}
}
