// Package applifecycle installs, upgrades and uninstalls the apps of a tenant.
// It composes what the tenant should have in the way that a repository is
// composed, dependencies first, and has it deployed: tables, seed data,
// metadata and the record of apps commit in one transaction, or none of it
// does, so a call that was cut short is simply made again.
//
// A tenant that git decides about is changed in git: Grafted shows what a
// change to tenant.yaml would come to, and the commands of cmd/reconciler
// write it as a patch.
package applifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Config is what a Service works with. All of it is required but Policy,
// Snapshots, Quotas and KernelVersion.
type Config struct {
	Deployer    *deploy.Deployer // with a Store
	Tenants     tenants
	Catalog     Catalog
	Fleet       string // that the tenants' databases belong to
	Environment string // prod, dev or test: seed sets for others are left out
	Policy      deploy.Policy
	Snapshots   deploy.SnapshotPolicy
	Quotas      func(protocol.TenantID) tenantrouter.Quotas // nil for none
	// KernelVersion is what the tenants' applications run on. Without it an app
	// that wants a kernel is installed with a warning.
	KernelVersion string
}

// tenants opens the databases of tenants.
type tenants interface {
	// Open opens a tenant's database for writing. A tenant that is not known
	// gives an error matching protocol.ErrUnknownTenant.
	Open(ctx context.Context, tenant protocol.TenantID) (database.Conn, error)
}

// Catalog has the definitions of apps.
type Catalog interface {
	// Tree has each app at its newest version, as apps/NAME of a repository.
	// Whatever else it has is not looked at.
	Tree(ctx context.Context) (fs.FS, error)
	// Version has such a tree with an app at a version, and what the version
	// stands for, such as a commit. One that is not there gives an error
	// matching fs.ErrNotExist.
	Version(app, version string) (tree fs.FS, commit string, err error)
}

// Service is the protocol's app lifecycle. It may be used by many goroutines
// at once. It serves tenants that have nothing but apps: the objects, views and flows of
// one that has its own are in git, and so are its apps.
type Service struct{ config Config }

var _ protocol.AppLifecycleService = (*Service)(nil)

// New returns a Service.
func New(c Config) *Service {
	c.Policy.Drift = "heal"
	return &Service{config: c}
}

// Installed returns the apps of a tenant by name, those that others need
// included.
func (s *Service) Installed(ctx context.Context, tenant protocol.TenantID) (apps apply.Apps, err error) {
	err = s.on(ctx, tenant, "list the apps", func(conn database.Conn) error {
		t, err := look(ctx, conn)
		apps = t.apps
		return err
	})
	return apps, err
}

// InstallApp implements protocol.AppLifecycleService. What the app depends on
// and the tenant does not have is installed with it, where the catalog has it.
// An app that is installed at this version already is a success. The settings
// of config are kept in the tenant's record of apps.
func (s *Service) InstallApp(ctx context.Context, tenant protocol.TenantID, app protocol.AppManifest, config map[string]any) (protocol.AppInstallResult, error) {
	return s.change(ctx, tenant, "install", app, func(t *subject) error {
		there, ok := t.apps.Find(app.Name)
		switch {
		case ok && !there.Implied && there.Version == app.Version:
			return errDone
		case ok && there.Version != app.Version:
			return refusal("app %s is installed at %s; upgrade it", app.Name, there.Version)
		}
		t.name(app.Name, app.Version)
		t.config[app.Name] = config
		return nil
	})
}

// UpgradeApp implements protocol.AppLifecycleService. An older version is
// refused: Downgrade installs it.
func (s *Service) UpgradeApp(ctx context.Context, tenant protocol.TenantID, app protocol.AppManifest) (protocol.AppInstallResult, error) {
	return s.upgrade(ctx, tenant, app, false)
}

// Downgrade replaces an app by an older version. What that does not have is
// retired.
func (s *Service) Downgrade(ctx context.Context, tenant protocol.TenantID, app protocol.AppManifest) (protocol.AppInstallResult, error) {
	return s.upgrade(ctx, tenant, app, true)
}

func (s *Service) upgrade(ctx context.Context, tenant protocol.TenantID, app protocol.AppManifest, down bool) (protocol.AppInstallResult, error) {
	return s.change(ctx, tenant, "upgrade", app, func(t *subject) error {
		there, ok := t.apps.Find(app.Name)
		switch {
		case !ok:
			return refusal("app %s is not installed; install it", app.Name)
		case there.Version == app.Version:
			return errDone
		case there.Implied:
			return refusal("app %s is there because %s needs it; install it to choose its version", app.Name, strings.Join(t.apps.Needing(app.Name), ", "))
		}
		if older, err := bundle.CompareVersions(app.Version, there.Version); err != nil && !down {
			return refusal("app %s is installed at %s: %w", app.Name, there.Version, err)
		} else if older < 0 && !down {
			return refusal("app %s is installed at %s, which is newer than %s; what the older version does not have would be retired", app.Name, there.Version, app.Version)
		}
		t.name(app.Name, app.Version)
		return nil
	})
}

// UninstallApp implements protocol.AppLifecycleService. Apps that were there
// for this one alone go with it, and keep their tables. dropTables retires the
// tables of the app, also when it was uninstalled before and they were kept.
func (s *Service) UninstallApp(ctx context.Context, tenant protocol.TenantID, app string, dropTables bool) (success bool, err error) {
	err = s.on(ctx, tenant, "uninstall app "+app, func(conn database.Conn) error {
		t, err := s.lookAfter(ctx, conn)
		if err != nil {
			return err
		}
		_, installed := t.apps.Find(app)
		if needing := t.apps.Needing(app); installed && len(needing) > 0 {
			return fmt.Errorf("%w: %s", protocol.ErrAppNeeded, strings.Join(needing, ", "))
		}
		if leaves := dropTables && t.keeps(app); !installed && !leaves {
			return nil
		}
		t.refs = slices.DeleteFunc(t.refs, func(r bundle.AppRef) bool { return r.Name == app })
		if dropTables {
			t.drop = []string{app}
		}
		_, result, err := s.deploy(ctx, conn, tenant, t, fmt.Sprintf("uninstall app %s", app))
		if err == nil {
			err = explained(result)
		}
		success = err == nil
		return err
	})
	return success, err
}

// lookAfter reads what a tenant has, after a call that may have been cut short.
func (s *Service) lookAfter(ctx context.Context, conn database.Conn) (subject, error) {
	if err := s.config.Deployer.Follow(ctx, conn); err != nil {
		return subject{}, err
	}
	return look(ctx, conn)
}

// on runs f on the database of a tenant.
func (s *Service) on(ctx context.Context, tenant protocol.TenantID, doing string, f func(database.Conn) error) error {
	conn, err := s.config.Tenants.Open(ctx, tenant)
	if err == nil {
		err = errors.Join(f(conn), conn.Close())
	}
	if err != nil {
		return fmt.Errorf("%s of tenant %q: %w", doing, tenant, err)
	}
	return nil
}

// errDone says that a tenant is what was asked for.
var errDone = errors.New("there is nothing to do")

// refusedError is a reason for an app not to be installed that is no failure of the
// service: it is told in the result.
type refusedError struct{ error }

func refusal(format string, args ...any) error { return refusedError{fmt.Errorf(format, args...)} }

func (e refusedError) Unwrap() error { return e.error }

// change installs or upgrades an app, where decide agrees.
func (s *Service) change(ctx context.Context, tenant protocol.TenantID, verb string, app protocol.AppManifest,
	decide func(*subject) error,
) (protocol.AppInstallResult, error) {
	start := time.Now()
	result := protocol.AppInstallResult{AppID: app.Name, Version: app.Version, InstalledObjects: []string{}, CreatedTables: []string{}}
	err := s.on(ctx, tenant, verb+" app "+app.Name, func(conn database.Conn) error {
		t, err := s.lookAfter(ctx, conn)
		if err == nil {
			err = decide(&t)
		}
		if err == nil {
			err = s.fits(ctx, tenant, t, app)
		}
		if err != nil {
			return err
		}
		desired, done, err := s.deploy(ctx, conn, tenant, t, fmt.Sprintf("%s app %s %s", verb, app.Name, app.Version))
		if err != nil {
			return err
		}
		if err := explained(done); err != nil {
			return err
		}
		result.InstalledObjects, result.CreatedTables = objectsOf(desired, app.Name), tablesMade(done)
		result.SeededRecords = done.Seeded
		return nil
	})
	took := time.Since(start).Milliseconds()
	result.DurationMs = &took
	var refused refusedError
	switch {
	case err == nil, errors.Is(err, errDone):
		result.Success, err = true, nil
	case errors.As(err, &refused):
		result.Error, err = refused.Error(), nil
	}
	return result, err
}

// explained is the error of a deployment that changed nothing, as a refusal
// with its next step; nil when the tenant is what it should be.
func explained(done deploy.Result) error {
	switch {
	case done.Err == nil:
		return nil
	case done.Changed:
		return done.Err // committed, and not recorded
	case done.Next != "":
		return refusedError{fmt.Errorf("%s: %w (%s)", done.Reason, done.Err, done.Next)}
	}
	return refusedError{fmt.Errorf("%s: %w", done.Reason, done.Err)}
}

func objectsOf(desired *bundle.Desired, app string) []string {
	for _, m := range desired.Apps {
		if m.Name == app {
			return slices.Clone(m.Objects)
		}
	}
	return []string{}
}

func tablesMade(done deploy.Result) []string {
	made := []string{}
	if done.Plan == nil || !done.Changed {
		return made
	}
	for _, step := range done.Plan.Steps {
		if table, ok := strings.CutPrefix(step.Change, "add table "); ok && table != plan.RegistryTable && !slices.Contains(made, table) {
			made = append(made, table)
		}
	}
	return made
}

// deploy brings a tenant to the apps that t names.
func (s *Service) deploy(ctx context.Context, conn database.Conn, tenant protocol.TenantID, t subject, saying string) (*bundle.Desired, deploy.Result, error) {
	desired, err := s.compose(ctx, tenant, t)
	if err != nil {
		return nil, deploy.Result{}, err
	}
	last := ""
	if t.record.Last != nil {
		last = t.record.Last.Deployment
	}
	request := deploy.Request{
		Owner:   apply.Owner{Fleet: s.config.Fleet, Environment: s.config.Environment, Tenant: string(tenant)},
		Desired: desired, Policy: s.config.Policy, Snapshots: s.config.Snapshots, Subject: saying, Quotas: s.quotas(tenant),
		Apps: deploy.AppRequest{Named: t.named(), Config: t.config, Exact: true, Last: &last},
	}
	request.Policy.Plan.DropTables = t.drop
	return desired, s.config.Deployer.Deploy(ctx, conn, request), nil
}

func (s *Service) quotas(tenant protocol.TenantID) tenantrouter.Quotas {
	if s.config.Quotas == nil {
		return tenantrouter.Quotas{}
	}
	return s.config.Quotas(tenant)
}

// compose composes the bundle of the apps that t names.
func (s *Service) compose(ctx context.Context, tenant protocol.TenantID, t subject) (*bundle.Desired, error) {
	base, err := s.config.Catalog.Tree(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	files := map[string][]byte{}
	for name, value := range map[string]any{
		"fleet.yaml": fleetFile{s.config.KernelVersion},
		"tenants/" + string(tenant) + "/tenant.yaml": tenantFile{string(tenant), string(tenant), s.config.Environment, t.refs},
	} {
		if files[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("compose the apps: %w", err)
		}
	}
	fleet, err := bundle.Load(Grafted{Base: base, Files: files, Hidden: []string{"fleet.yaml", "tenants"}},
		bundle.Options{Version: s.config.Catalog.Version})
	if err != nil {
		return nil, fmt.Errorf("compose the apps: %w", err)
	}
	desired := fleet.Tenants[0].Desired
	if desired == nil {
		return nil, refusedError{&bundle.InvalidError{Faults: fleet.Tenants[0].Faults}}
	}
	return desired, t.losesNothing()
}

// fleetFile and tenantFile are what composing needs of fleet.yaml and
// tenant.yaml.
type fleetFile struct {
	KernelVersion string `json:"kernelVersion,omitempty"`
}

type tenantFile struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Environment string          `json:"environment"`
	Apps        []bundle.AppRef `json:"apps"`
}
