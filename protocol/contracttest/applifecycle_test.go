package contracttest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/protocol/shape"
)

func TestAppLifecycle(t *testing.T) {
	contracttest.AppLifecycle(t, func(testing.TB) contracttest.AppLifecycleFixture {
		m := &memoryApps{installed: map[string]protocol.AppManifest{}, tables: map[string][]string{}}
		return contracttest.AppLifecycleFixture{
			Service: m, Tenant: "acme", MaxObjects: 3,
			Publish: func(testing.TB, protocol.AppManifest) {},
			Insert:  func(_ testing.TB, object, name string) { m.tables[object] = append(m.tables[object], name) },
			Names: func(_ testing.TB, object string) []string {
				return m.tables[object]
			},
		}
	})
}

// memoryApps is the apps of one tenant, acme, on kernel 3, and the names in
// its tables.
type memoryApps struct {
	installed map[string]protocol.AppManifest
	tables    map[string][]string
}

func (m *memoryApps) CheckCompatibility(_ context.Context, tenant protocol.TenantID, app protocol.AppManifest) (protocol.AppCompatibilityCheck, error) {
	if tenant != "acme" {
		return protocol.AppCompatibilityCheck{}, protocol.ErrUnknownTenant
	}
	var check protocol.AppCompatibilityCheck
	add := func(category protocol.AppCategory, format string, args ...any) {
		check.Issues = append(check.Issues, protocol.AppCompatibility{
			Severity: protocol.AppError, Category: category, Message: fmt.Sprintf(format, args...),
		})
	}
	if app.MinKernelVersion > "3" {
		add(protocol.CategoryKernelVersion, "it needs kernel %s", app.MinKernelVersion)
	}
	for _, name := range app.Dependencies {
		if _, ok := m.installed[name]; !ok {
			add(protocol.CategoryDependencyMissing, "it needs %s", name)
		}
	}
	count := len(app.Objects)
	for _, other := range m.installed {
		if other.Name == app.Name {
			continue
		}
		count += len(other.Objects)
		for _, object := range other.Objects {
			if slices.Contains(app.Objects, object) {
				add(protocol.CategoryObjectConflict, "%s has the object %s", other.Name, object)
			}
		}
	}
	if count > 3 {
		add(protocol.CategoryQuotaExceeded, "there would be %d objects", count)
	}
	check.Compatible = len(check.Issues) == 0
	return check, nil
}

func (m *memoryApps) InstallApp(ctx context.Context, tenant protocol.TenantID, app protocol.AppManifest, _ map[string]any) (protocol.AppInstallResult, error) {
	check, err := m.CheckCompatibility(ctx, tenant, app)
	result := protocol.AppInstallResult{AppID: app.Name, Version: app.Version}
	if err != nil || !check.Compatible {
		result.Error = fmt.Sprint(check.Issues)
		return result, err
	}
	for _, object := range app.Objects {
		if m.tables[object] == nil {
			m.tables[object] = []string{}
			result.CreatedTables = append(result.CreatedTables, object)
		}
	}
	for _, definition := range app.SeedData {
		set, _ := shape.Parse[protocol.Dataset](definition, shape.Strip)
		for _, record := range set.Records {
			m.tables[set.Object] = append(m.tables[set.Object], fmt.Sprint(record["name"]))
			result.SeededRecords++
		}
	}
	m.installed[app.Name] = app
	result.Success, result.InstalledObjects = true, app.Objects
	return result, nil
}

func (m *memoryApps) UpgradeApp(ctx context.Context, tenant protocol.TenantID, app protocol.AppManifest) (protocol.AppInstallResult, error) {
	if _, ok := m.installed[app.Name]; !ok && tenant == "acme" {
		return protocol.AppInstallResult{AppID: app.Name, Version: app.Version, Error: "it is not installed"}, nil
	}
	return m.InstallApp(ctx, tenant, app, nil)
}

func (m *memoryApps) UninstallApp(_ context.Context, tenant protocol.TenantID, name string, dropTables bool) (bool, error) {
	app, ok := m.installed[name]
	switch {
	case tenant != "acme":
		return false, protocol.ErrUnknownTenant
	case !ok:
		return false, nil
	}
	for _, other := range m.installed {
		if slices.Contains(other.Dependencies, name) {
			return false, fmt.Errorf("%w: %s", protocol.ErrAppNeeded, other.Name)
		}
	}
	delete(m.installed, name)
	for _, object := range app.Objects {
		if dropTables {
			delete(m.tables, object)
		}
	}
	return true, nil
}
