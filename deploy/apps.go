package deploy

import (
	"slices"

	"github.com/tenantops/reconciler/apply"
)

// AppRequest says more of the apps of a Request than its bundle does.
type AppRequest struct {
	// Named are the apps that were asked for; the others of the bundle are
	// there because these need them.
	Named []string
	// Config has settings of apps by name.
	Config map[string]map[string]any
	// Exact makes a tenant whose record of apps differs out of date, though it
	// has the bundle: a new version may bring nothing new.
	Exact bool
	// Last is the newest deployment that the bundle was made after; any other
	// gives apply.ErrStale. Nil for whatever there is.
	Last *string
}

// apps is the record of apps that a deployment leaves. A rollback knows of its
// bundle what they were, and takes the rest from the record before.
func (r Request) apps(record apply.Record) (string, error) {
	before, err := apply.ParseApps(record.Apps)
	if err != nil {
		return "", err
	}
	var apps apply.Apps
	for _, m := range r.Desired.Apps {
		app := apply.App{Name: m.Name, Version: m.Version, Dependencies: m.Dependencies, Config: r.Apps.Config[m.Name]}
		app.Implied = r.Apps.Named != nil && !slices.Contains(r.Apps.Named, m.Name)
		if was, ok := before.Find(m.Name); ok && r.back != nil {
			app.Implied, app.Config = was.Implied, was.Config
		}
		apps = append(apps, app)
	}
	return apps.JSON()
}

// appsDiffer tells that a request is about apps and that the record has others.
func (r Request) appsDiffer(record apply.Record) bool {
	if !r.Apps.Exact {
		return false
	}
	wanted, err := r.apps(record)
	return err != nil || wanted != record.Apps
}

// overtaken tells that somebody has deployed since the bundle was made.
func (r Request) overtaken(record apply.Record) bool {
	newest := ""
	if record.Last != nil {
		newest = record.Last.Deployment
	}
	return r.Apps.Last != nil && *r.Apps.Last != newest
}
