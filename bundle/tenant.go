package bundle

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

var tenantID = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)

// tenantEntry is a tenant's directory as it was read, whatever the rest of the
// tree says.
type tenantEntry struct {
	spec     TenantSpec
	document config.Document
	manifest protocol.DeployManifest
	part     *part
	faults   []Fault
}

// tenant reads one tenant and composes what it should have.
func (l *loader) tenant(p place) {
	t := &Tenant{ID: protocol.TenantID(path.Base(p.dir)), Dir: p.dir}
	if p.broken {
		l.register(t)
		l.tell(t, config.FileError(path.Join(p.dir, tenantFile), codeTenantBroken,
			fmt.Sprintf("the directory of tenant %q has no %s", t.ID, tenantFile), "put it back, or remove the whole directory"))
		return
	}
	entry := remember(l.session, "tenant", p.dir, l.tree.hash(p.dir), func() *tenantEntry { return l.readTenant(p.dir) })
	t.Spec, t.document = entry.spec, entry.document
	first := l.register(t)
	l.tell(t, entry.faults...)
	if config.HasErrors(entry.faults) {
		return
	}
	l.defaults(t)
	if t.Spec.ConnectionConfig != nil {
		l.urls[t.Spec.ConnectionConfig.URL] = append(l.urls[t.Spec.ConnectionConfig.URL], t)
	}
	apps, faults := l.resolve(t)
	parts := make([]*part, 0, len(apps)+1)
	for _, a := range apps {
		parts = append(parts, a.part)
	}
	if !entry.part.empty() {
		parts = append(parts, entry.part)
	}
	c := l.compose(parts, faults)
	t.Faults = append(t.Faults, c.faults...)
	if !l.told[c] {
		l.told[c] = true
		l.fleet.Faults = append(l.fleet.Faults, c.faults...)
	}
	if !first || config.HasErrors(t.Faults) {
		return
	}
	version := entry.manifest.Version
	if version == "" && l.options.Revision != "" {
		version = l.options.Revision[:min(12, len(l.options.Revision))]
	}
	manifests := make([]protocol.AppManifest, len(apps))
	for i, a := range apps {
		manifests[i] = a.manifest
	}
	t.Desired = c.desiredIn(t.Spec.Environment).withManifest(version, entry.manifest.CreatedAt, manifests)
}

// register adds the tenant to the fleet. One id in two directories is an error
// for both, which stay one tenant.
func (l *loader) register(t *Tenant) bool {
	other := l.ids[t.ID]
	if other == nil {
		l.ids[t.ID] = t
		l.fleet.Tenants = append(l.fleet.Tenants, t)
		return true
	}
	for _, dir := range []string{other.Dir, t.Dir} {
		l.tell(other, config.FileError(path.Join(dir, tenantFile), codeTenantTwice,
			fmt.Sprintf("tenant %q is in %s and in %s", t.ID, other.Dir, t.Dir), "remove one of them"))
	}
	return false
}

// compose composes parts once for all tenants that have the same.
func (l *loader) compose(parts []*part, more []Fault) *composition {
	if len(more) > 0 {
		return composeAll(parts, more)
	}
	var ids strings.Builder
	for _, p := range parts {
		fmt.Fprint(&ids, p.id, " ")
	}
	return remember(l.session, "composition", "", ids.String()+"parts", func() *composition { return composeAll(parts, nil) })
}

func (l *loader) readTenant(dir string) *tenantEntry {
	e := &tenantEntry{part: &part{id: l.cache.next()}}
	name := path.Join(dir, tenantFile)
	data, fault := l.tree.read(name)
	if fault != nil {
		e.faults = append(e.faults, *fault)
		return e
	}
	e.spec, e.document, e.faults = config.ParseOne[TenantSpec](l.tree.prefix+name, data)
	if !config.HasErrors(e.faults) {
		e.check(path.Base(dir))
	}
	entries, err := fs.ReadDir(l.tree, dir)
	if err != nil {
		e.faults = append(e.faults, config.FileError(dir, config.CodeUnreadable, err.Error(), "check the repository and its permissions"))
		return e
	}
	e.part = l.readPart(l.tree, dir, fmt.Sprintf("tenant %q", path.Base(dir)), entries, tenantFile, manifestFile)
	if slices.ContainsFunc(entries, func(x fs.DirEntry) bool { return x.Name() == manifestFile }) {
		e.readManifest(l.tree, path.Join(dir, manifestFile))
	}
	return e
}

func (e *tenantEntry) readManifest(t tree, name string) {
	data, fault := t.read(name)
	if fault != nil {
		e.faults = append(e.faults, *fault)
		return
	}
	manifest, _, faults := config.ParseOne[protocol.DeployManifest](t.prefix+name, data)
	e.manifest, e.faults = manifest, append(e.faults, faults...)
}

func (e *tenantEntry) error(code, message, next string, path ...any) {
	e.faults = append(e.faults, e.document.Error(path, code, message, next))
}

// check finds what the declaration of TenantSpec cannot say.
func (e *tenantEntry) check(dir string) {
	switch {
	case !tenantID.MatchString(e.spec.ID):
		e.error(codeTenantID, fmt.Sprintf("%q is not an id", e.spec.ID), "use a-z, 0-9 and hyphens inside, at most 63", "id")
	case e.spec.ID != dir:
		e.error(codeTenantDirectory, fmt.Sprintf("tenant %q stands in a directory %q", e.spec.ID, dir), "give both one name", "id")
	}
	seen := map[string]bool{}
	for i, a := range e.spec.Apps {
		if seen[a.Name] {
			e.error(codeAppTwice, fmt.Sprintf("app %q is named twice", a.Name), "keep one", "apps", i, "name")
		}
		seen[a.Name] = true
	}
	if c := e.spec.ConnectionConfig; c != nil && c.AuthToken != "" && !config.Secret(c.AuthToken).Valid() {
		e.error(codePlainSecret, "a secret does not belong into the repository",
			"revoke it, and write $env:RECONCILER_SECRET_NAME, $file:NAME or $age:...", "connectionConfig", "authToken")
	}
	if c := e.spec.ConnectionConfig; c != nil && !strings.HasPrefix(c.URL, "file:") {
		e.error(codeNotServed, "databases on a server are not served yet", "use a file: URL, or leave connectionConfig out", "connectionConfig", "url")
	}
}

// defaults fills what fleet.yaml says for tenants that say nothing.
func (l *loader) defaults(t *Tenant) {
	c := l.fleet.Config
	if t.Spec.IsolationLevel == "" {
		t.Spec.IsolationLevel = c.IsolationLevel
	}
	if t.Spec.DatabaseProvider == "" {
		t.Spec.DatabaseProvider = c.DatabaseProvider
	}
	if t.Spec.Environment == "" {
		t.Spec.Environment = c.Environment
	}
	if t.Spec.IsolationLevel != protocol.IsolatedDB {
		l.tell(t, t.document.Error([]any{"isolationLevel"}, codeNotServed,
			fmt.Sprintf("isolation level %s is not served yet", t.Spec.IsolationLevel), "use isolated_db"))
	}
	if t.Spec.DatabaseProvider != protocol.ProviderTurso {
		l.tell(t, t.document.Error([]any{"databaseProvider"}, codeNotServed,
			fmt.Sprintf("database provider %s is not served yet", t.Spec.DatabaseProvider), "use turso"))
	}
}
