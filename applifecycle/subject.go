package applifecycle

import (
	"context"
	"slices"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// subject is a tenant whose apps are to change: what it has, and what it is to
// have.
type subject struct {
	record     apply.Record
	apps       apply.Apps
	owned      schema.Owned
	registered []diff.Definition // with the app of each

	refs   []bundle.AppRef // the apps to name
	config map[string]map[string]any
	drop   []string // apps whose tables go
}

// look reads what a tenant has. Nothing is to change about it yet.
func look(ctx context.Context, conn database.Conn) (subject, error) {
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return subject{}, err
	}
	t := subject{record: seen.Record, refs: []bundle.AppRef{}, config: map[string]map[string]any{}}
	if t.apps, err = apply.ParseApps(seen.Record.Apps); err != nil {
		return t, err
	}
	if t.owned, err = schema.ParseOwned(seen.Record.Owned); err != nil {
		return t, err
	}
	if t.registered, err = plan.ParseRegistered(seen.Record.Registered); err != nil {
		return t, err
	}
	if seen.Record.Apps == "" {
		t.unrecorded()
	}
	for _, app := range t.apps {
		t.config[app.Name] = app.Config
		if !app.Implied {
			t.refs = append(t.refs, bundle.AppRef{Name: app.Name, Version: app.Version})
		}
	}
	return t, nil
}

// unrecorded takes the apps of a tenant that was deployed before they were
// recorded from its definitions. Their versions are not known.
func (t *subject) unrecorded() {
	for _, d := range t.registered {
		if _, known := t.apps.Find(d.Package); d.Package != "" && !known {
			t.apps = append(t.apps, apply.App{Name: d.Package})
		}
	}
}

// name adds an app at a version, or gives it another one.
func (t *subject) name(app, version string) {
	at := slices.IndexFunc(t.refs, func(r bundle.AppRef) bool { return r.Name == app })
	if at < 0 {
		at, t.refs = len(t.refs), append(t.refs, bundle.AppRef{Name: app})
	}
	t.refs[at].Version = version
}

func (t *subject) named() []string {
	names := []string{}
	for _, ref := range t.refs {
		names = append(names, ref.Name)
	}
	return names
}

// keeps tells whether tables of an app that was uninstalled are there.
func (t *subject) keeps(app string) bool {
	return slices.ContainsFunc(t.owned.Kept, func(k schema.KeptTable) bool { return k.App == app })
}

// losesNothing refuses to change the apps of a tenant that has definitions of
// its own: those are nowhere but in git, and would be taken for removed.
func (t *subject) losesNothing() error {
	for _, d := range t.registered {
		if d.Package == "" && d.Type != protocol.EntityPermission { // a manifest names no permission sets
			return refusal("the tenant has definitions of its own, such as %s %q: change its apps in git", d.Type, d.Name)
		}
	}
	return nil
}

// owner names the app that an object of the tenant came with, and whether
// there is such an object; the name is empty for one of the tenant itself.
func (t *subject) owner(object string) (string, bool) {
	at := slices.IndexFunc(t.registered, func(d diff.Definition) bool { return d.Type == protocol.EntityObject && d.Name == object })
	if at < 0 {
		return "", false
	}
	return t.registered[at].Package, true
}
