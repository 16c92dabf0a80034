package applifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/tenantrouter"
)

// CheckCompatibility implements protocol.AppLifecycleService. It names every
// obstacle at once, from what the manifest lists and what the tenant's database
// records, and writes nothing. What only the definitions show, such as rows
// that they do not fit, shows when the app is installed.
func (s *Service) CheckCompatibility(ctx context.Context, tenant protocol.TenantID, app protocol.AppManifest) (check protocol.AppCompatibilityCheck, err error) {
	err = s.on(ctx, tenant, "check app "+app.Name, func(conn database.Conn) error {
		t, err := look(ctx, conn)
		if err == nil {
			check.Issues, err = s.issues(ctx, tenant, t, app)
		}
		return err
	})
	check.Compatible = err == nil && !hasErrors(check.Issues)
	return check, err
}

// fits is a refusal for an app that is not compatible.
func (s *Service) fits(ctx context.Context, tenant protocol.TenantID, t subject, app protocol.AppManifest) error {
	issues, err := s.issues(ctx, tenant, t, app)
	if err != nil || !hasErrors(issues) {
		return err
	}
	var texts []string
	for _, i := range issues {
		if i.Severity == protocol.AppError {
			texts = append(texts, fmt.Sprintf("%s: %s", i.Category, i.Message))
		}
	}
	return refusal("%s", strings.Join(texts, "; "))
}

func hasErrors(issues []protocol.AppCompatibility) bool {
	for _, i := range issues {
		if i.Severity == protocol.AppError {
			return true
		}
	}
	return false
}

// issues lists what stands against an app, by category in the protocol's
// order. A manifest that is none gives an error matching bundle.ErrInvalid.
func (s *Service) issues(ctx context.Context, tenant protocol.TenantID, t subject, app protocol.AppManifest) ([]protocol.AppCompatibility, error) {
	if err := sound(app); err != nil {
		return nil, err
	}
	tree, err := s.config.Catalog.Tree(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	c := checking{issues: []protocol.AppCompatibility{}}
	c.kernel(app, s.config.KernelVersion)
	c.objects(app, t)
	c.dependencies(app, t, tree)
	c.quota(app, t, s.quotas(tenant).Limits)
	return c.issues, nil
}

// sound holds a manifest against its declaration: it comes from a caller, and
// its name becomes a path.
func sound(app protocol.AppManifest) error {
	written := map[string]any{"name": app.Name, "label": app.Label, "version": app.Version}
	if _, report := shape.Parse[protocol.AppManifest](written, shape.Strip); report.Err() != nil {
		return refusedError{fmt.Errorf("%w: app %q: %w", bundle.ErrInvalid, app.Name, report.Err())}
	}
	return nil
}

// checking collects what stands against an app.
type checking struct{ issues []protocol.AppCompatibility }

func (c *checking) add(severity protocol.AppSeverity, category protocol.AppCategory, format string, args ...any) {
	c.issues = append(c.issues, protocol.AppCompatibility{Severity: severity, Category: category, Message: fmt.Sprintf(format, args...)})
}

func (c *checking) kernel(app protocol.AppManifest, has string) {
	wants := app.MinKernelVersion
	if wants == "" {
		return
	}
	if has == "" {
		c.add(protocol.AppWarning, protocol.CategoryKernelVersion, "app %s wants kernel %s or newer, and which one there is has not been said", app.Name, wants)
		return
	}
	order, err := bundle.CompareVersions(wants, has)
	switch {
	case err != nil:
		c.add(protocol.AppError, protocol.CategoryKernelVersion, "app %s: %v", app.Name, err)
	case order > 0:
		c.add(protocol.AppError, protocol.CategoryKernelVersion, "app %s wants kernel %s or newer, and there is %s", app.Name, wants, has)
	}
}

func (c *checking) objects(app protocol.AppManifest, t subject) {
	for _, object := range app.Objects {
		owner, there := t.owner(object)
		kept, left := t.owned.KeptOf(object)
		switch {
		case there && owner == "":
			c.add(protocol.AppError, protocol.CategoryObjectConflict, "object %q is the tenant's own", object)
		case there && owner != app.Name:
			c.add(protocol.AppError, protocol.CategoryObjectConflict, "object %q is that of app %s", object, owner)
		case left && kept.App != app.Name:
			c.add(protocol.AppWarning, protocol.CategoryObjectConflict, "object %q takes the table over that app %s left, with its rows", object, kept.App)
		}
	}
}

func (c *checking) dependencies(app protocol.AppManifest, t subject, tree fs.FS) {
	for _, name := range app.Dependencies {
		if _, installed := t.apps.Find(name); installed {
			continue
		}
		if _, err := fs.Stat(tree, "apps/"+name); errors.Is(err, fs.ErrNotExist) || !fs.ValidPath(name) {
			c.add(protocol.AppError, protocol.CategoryDependencyMissing, "app %s depends on %s, which is neither installed nor in the catalog", app.Name, name)
		}
	}
}

// quota holds the number of objects against its limit. Those that dependencies
// bring count when they are installed.
func (c *checking) quota(app protocol.AppManifest, t subject, limits protocol.TenantQuota) {
	if limits.MaxObjects == nil {
		return
	}
	used := tenantrouter.Objects(t.owned)
	would := used
	for _, object := range app.Objects {
		if _, there := t.owner(object); !there {
			would++
		}
	}
	for _, d := range t.registered {
		if d.Type == protocol.EntityObject && d.Package == app.Name && !slices.Contains(app.Objects, d.Name) {
			would--
		}
	}
	if check := (tenantrouter.Check{Quota: "maxObjects", Used: used, Would: would, Limit: *limits.MaxObjects}); check.Exceeded() {
		c.add(protocol.AppError, protocol.CategoryQuotaExceeded, "%s", check)
	}
}
