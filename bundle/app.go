package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// app is an app at one version.
type app struct {
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
	if info, err := fs.Stat(t, dir); err != nil || !info.IsDir() {
		return nil
	}
	return remember(l.session, "app", t.prefix+dir, t.hash(dir), func() *app { return l.readApp(t, dir) })
}

func (l *loader) readApp(t tree, dir string) *app {
	name := path.Base(dir)
	a := &app{part: &part{id: l.cache.next()}}
	entries, err := fs.ReadDir(t, dir)
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
	data, fault := t.read(name)
	if fault != nil {
		a.faults = append(a.faults, *fault)
		return
	}
	manifest, document, faults := config.ParseOne[protocol.AppManifest](t.prefix+name, data)
	a.manifest, a.document, a.faults = manifest, document, append(a.faults, faults...)
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

// resolve returns the apps of a tenant with those they depend on, which come
// first, and what is wrong with that.
func (l *loader) resolve(t *Tenant) ([]*app, []Fault) {
	r := resolver{loader: l, wanted: map[string]AppRef{}, state: map[string]int{}}
	for _, ref := range t.Spec.Apps {
		r.wanted[ref.Name] = ref
	}
	for i, ref := range t.Spec.Apps {
		r.visit(ref, func(code, message, next string) Fault {
			return t.document.Error([]any{"apps", i, "name"}, code, message, next)
		})
	}
	return r.ordered, r.faults
}

// resolver puts apps in the order of their dependencies.
type resolver struct {
	*loader
	wanted  map[string]AppRef
	state   map[string]int // 1 while its dependencies are visited, 2 afterwards
	trail   []string
	ordered []*app
	faults  []Fault
}

func (r *resolver) visit(ref AppRef, blame func(code, message, next string) Fault) {
	switch r.state[ref.Name] {
	case 2:
		return
	case 1:
		r.faults = append(r.faults, blame(codeAppCycle, fmt.Sprintf("apps depend on each other: %s", cycle(r.trail, ref.Name)), "remove one of the dependencies"))
		return
	}
	a, fault := r.find(ref, blame)
	if fault != nil {
		r.faults = append(r.faults, *fault)
		r.state[ref.Name] = 2
		return
	}
	r.faults = append(r.faults, a.faults...)
	r.state[ref.Name] = 1
	r.trail = append(r.trail, ref.Name)
	for i, name := range a.manifest.Dependencies {
		next, ok := r.wanted[name]
		if !ok {
			next = AppRef{Name: name}
		}
		r.visit(next, func(code, message, next string) Fault {
			return a.document.Error([]any{"dependencies", i}, code, message, next)
		})
	}
	r.trail = r.trail[:len(r.trail)-1]
	r.state[ref.Name] = 2
	r.ordered = append(r.ordered, a)
}

func cycle(trail []string, name string) string {
	text := ""
	for _, step := range trail[slices.Index(trail, name):] {
		text += step + " → "
	}
	return text + name
}

// find returns an app at the version asked for: that of this tree if it has
// it, else the one of the tag.
func (r *resolver) find(ref AppRef, blame func(code, message, next string) Fault) (*app, *Fault) {
	fail := func(code, message, next string) (*app, *Fault) {
		f := blame(code, message, next)
		return nil, &f
	}
	a := r.app(ref.Name)
	if a != nil && (ref.Version == "" || ref.Version == a.manifest.Version) {
		return a, nil
	}
	if ref.Version == "" {
		return fail(codeAppMissing, fmt.Sprintf("there is no app %q", ref.Name), "correct the name, or add apps/"+ref.Name)
	}
	tag := ref.Name + "/v" + ref.Version
	key := ref.Name + "@" + ref.Version
	if a, ok := r.apps[key]; ok && a != nil {
		return a, nil
	}
	missing := func() (*app, *Fault) {
		r.fleet.Versions[tag] = ""
		return fail(codeVersionMissing, fmt.Sprintf("there is no tag %s", tag), "push the tag; the tenant follows when it arrives")
	}
	if r.options.Version == nil {
		return missing()
	}
	fsys, commit, err := r.options.Version(ref.Name, ref.Version)
	switch before := r.options.Versions[tag]; {
	case errors.Is(err, fs.ErrNotExist):
		return missing()
	case err != nil:
		return fail(codeVersionUnreadable, fmt.Sprintf("tag %s cannot be read: %v", tag, err), "check the repository")
	case before != "" && before != commit:
		return fail(codeVersionMoved, fmt.Sprintf("tag %s was %.12s and is %.12s now", tag, before, commit), "put the tag back, and release under a new version")
	}
	r.fleet.Versions[tag] = commit
	if a = r.appOf(tree{FS: fsys, prefix: key + ":"}, ref.Name); a == nil {
		return fail(codeAppMissing, fmt.Sprintf("there is no app %q at tag %s", ref.Name, tag), "correct the version")
	}
	if a.manifest.Version != ref.Version && !config.HasErrors(a.faults) {
		return fail(codeVersionMismatch, fmt.Sprintf("app %q has version %s at tag %s", ref.Name, a.manifest.Version, tag), "correct the tag")
	}
	r.apps[key] = a
	return a, nil
}
