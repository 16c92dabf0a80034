package bundle

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// ParseTenantID accepts the one way to write a tenant's id: 1 to 63 of a to z,
// 0 to 9 and hyphen, with no hyphen at either end. Nothing is trimmed, folded
// or decoded, so that two texts never name one tenant.
func ParseTenantID(text string) (protocol.TenantID, bool) {
	if !isTenantID(text) {
		return "", false
	}
	return protocol.TenantID(text), true
}

func isTenantID(text string) bool {
	if text == "" || len(text) > 63 || text[0] == '-' || text[len(text)-1] == '-' {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// tenantEntry is a tenant's directory as it was read, whatever the rest of the
// tree says.
type tenantEntry struct {
	spec     TenantSpec
	document config.Document         // of tenant.yaml
	manifest protocol.DeployManifest // version and time, if the tenant gives them
	part     *part
	faults   []Fault
	lost     bool // nothing is known of its apps
}

func brokenTenant(f Fault) *tenantEntry {
	return &tenantEntry{document: config.Document{File: f.File}, part: &part{}, faults: []Fault{f}, lost: true}
}

// tenant composes what a tenant should have.
func (l *loader) tenant(dir string, entry *tenantEntry) *Tenant {
	t := &Tenant{ID: protocol.TenantID(path.Base(dir)), Dir: dir, Spec: entry.spec, document: entry.document, entry: entry}
	if isTenantID(t.Spec.ID) {
		t.ID = protocol.TenantID(t.Spec.ID)
	}
	l.tell(t, entry.faults...)
	if entry.lost {
		l.fleet.Faults = append(l.fleet.Faults, entry.part.faults...)
		t.Faults = config.SortFaults(slices.Concat(t.Faults, entry.part.faults))
		return t
	}
	l.defaults(t)
	l.policy(t)
	set, all := l.appsOf(t)
	l.dropped(t, set)
	c := l.composed(set, entry.part, all)
	t.made = c
	if !l.told[c] {
		l.told[c] = true
		l.fleet.Faults = append(l.fleet.Faults, c.faults...)
	}
	if len(t.Faults) == 0 {
		t.Faults = slices.Clip(c.faults)
	} else {
		t.Faults = config.SortFaults(slices.Concat(t.Faults, c.faults))
	}
	if !config.HasErrors(t.Faults) {
		t.Desired = c.desiredIn(t.Spec.Environment).withManifest(entry.manifest)
	}
	return t
}

// bareSet are the apps of tenants that have nothing else, all of them found or
// not.
type bareSet struct {
	*appSet
	all bool
}

// composed is what apps and a tenant's own part make together.
func (l *loader) composed(set *appSet, own *part, all bool) *composition {
	if !own.empty() {
		return l.compose(set, append(set.parts(), own), all)
	}
	bare := bareSet{set, all}
	c := l.alone[bare]
	if c == nil {
		c = l.compose(set, set.parts(), all)
		l.alone[bare] = c
	}
	return c
}

// compose composes parts, those of apps and what a tenant adds, once for all
// tenants that have the same; all is whether all apps were found.
func (l *loader) compose(set *appSet, parts []*part, all bool) *composition {
	key := strconv.AppendBool(nil, all)
	for _, p := range parts {
		key = strconv.AppendUint(append(key, ' '), p.id, 10)
	}
	for _, f := range set.faults {
		key = fmt.Appendln(key, f)
	}
	return remember(l.session, "composition", "", string(key), func() *composition {
		c := l.options.composeAll(parts, set.faults, all)
		c.apps = set.manifests()
		return c
	})
}

func (l *loader) readTenant(dir string) *tenantEntry {
	e := &tenantEntry{part: &part{id: l.cache.next()}, lost: true}
	name := path.Join(dir, tenantFile)
	e.document.File = name
	entries, err := l.tree.ReadDir(dir)
	if err != nil {
		e.faults = append(e.faults, config.FileError(dir, config.CodeUnreadable, err.Error(), "check the repository and its permissions"))
		return e
	}
	e.part = l.readPart(l.tree, dir, fmt.Sprintf("tenant %q", path.Base(dir)), entries, tenantFile, manifestFile)
	data, fault := l.tree.read(name)
	if fault != nil {
		e.faults = append(e.faults, *fault)
		return e
	}
	e.spec, e.document, e.faults = config.ParseOne[TenantSpec](name, data)
	e.lost = config.HasErrors(e.faults)
	if _, ok := e.document.Value.(map[string]any); ok {
		found := e.faults
		e.faults = nil
		e.check(path.Base(dir))
		e.faults = config.Besides(found, e.faults)
	}
	if e.lost {
		id, _ := e.document.At("id").Value.(string)
		e.spec = TenantSpec{ID: id, LegalHold: legalHold(e.document)}
	}
	e.document = e.document.Folded(data)
	if m := e.part.compiled.Manifest; m != nil {
		e.manifest = protocol.DeployManifest{Version: m.Version, CreatedAt: m.CreatedAt}
	}
	if slices.ContainsFunc(entries, func(x fs.DirEntry) bool { return x.Name() == manifestFile }) {
		e.readManifest(l.tree, path.Join(dir, manifestFile))
	}
	return e
}

// legalHold is that of a file of which nothing else counts, since it has mistakes.
func legalHold(d config.Document) *LegalHold {
	switch hold := d.At("legalHold").Value.(type) {
	case nil:
		return nil
	case map[string]any:
		reason, _ := hold["reason"].(string)
		return &LegalHold{Reason: reason}
	default:
		return &LegalHold{}
	}
}

// ownManifest is bundle.yaml: a DeployManifest in which nothing is required.
// Its lists and its checksum are filled in, whatever they say.
type ownManifest struct {
	Version     string   `json:"version,omitempty" shape:"minlen=1" doc:"Version of the bundle; the revision when absent."`
	Checksum    string   `json:"checksum,omitempty" doc:"Filled in."`
	Objects     []string `json:"objects,omitzero" doc:"Filled in."`
	Views       []string `json:"views,omitzero" doc:"Filled in."`
	Flows       []string `json:"flows,omitzero" doc:"Filled in."`
	Permissions []string `json:"permissions,omitzero" doc:"Filled in."`
	CreatedAt   string   `json:"createdAt,omitempty" shape:"format=datetime" doc:"When the bundle was made."`
}

func (e *tenantEntry) readManifest(t tree, name string) {
	data, fault := t.read(name)
	if fault != nil {
		e.faults = append(e.faults, *fault)
		return
	}
	m, _, faults := config.ParseOne[ownManifest](t.prefix+name, data)
	e.manifest, e.faults = protocol.DeployManifest{Version: m.Version, CreatedAt: m.CreatedAt}, append(e.faults, faults...)
}

func (e *tenantEntry) error(code, message, next string, path ...any) {
	e.faults = append(e.faults, e.document.Error(path, code, message, next))
}

// check finds what the declaration of TenantSpec cannot say.
func (e *tenantEntry) check(dir string) {
	switch {
	case !isTenantID(e.spec.ID):
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
	if c := e.spec.ConnectionConfig; c != nil {
		e.connection(c)
	}
}

// connection checks that no secret stands in the file, and that the database
// is one that can be reached.
func (e *tenantEntry) connection(c *protocol.TenantConnectionConfig) {
	if code, message, next, wrong := config.Secret(c.AuthToken).InRepository(); wrong {
		e.error(code, message, next, "connectionConfig", "authToken")
	}
	if config.HoldsSecret(c.URL) {
		e.error(codePlainSecret, "a secret does not belong in the repository",
			"revoke it, and write $env:RECONCILER_SECRET_NAME, $file:NAME or $age:... as authToken", "connectionConfig", "url")
	}
	switch scheme, _, _ := strings.Cut(c.URL, ":"); scheme {
	case "file":
		if _, err := FilePath(c.URL); err != nil {
			e.error(codeFileURL, "the URL "+err.Error(), "write file:NAME.db for a file in the data directory", "connectionConfig", "url")
		}
	case "libsql", "https", "http": // whether its host may be connected to, the operator says
	default:
		e.error(codeNotServed, "databases of this kind are not served yet",
			"use a libsql:, https:, http: or file: URL, or leave connectionConfig out", "connectionConfig", "url")
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
