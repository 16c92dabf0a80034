// Package bundle reads what every tenant should have from a tree of files:
// tenants, the apps they use, and the definitions that both bring. It composes
// a tenant's DeployBundle, checks it against the protocol and against what a
// database can hold, and gives it a digest.
//
// Reading changes nothing and reports all faults at once, each with file, line
// and column. A fault concerns the tenants that use the broken file; the others
// go on. docs/bundle-format.md describes the files.
package bundle

import (
	"errors"
	"io/fs"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// ErrInvalid is matched by errors about what people wrote: a new revision is
// needed.
var ErrInvalid = errors.New("the bundle is not valid")

// ErrNoTenants says that a tree holds no tenant at all. Nothing may be changed
// or removed on account of such a tree.
var ErrNoTenants = errors.New("there is no tenant below tenants/, so nothing may change (a tenant is a directory with a tenant.yaml)")

// Options say how to load.
type Options struct {
	// Revision is the full commit that the tree belongs to, see Fleet.Bundle.
	// Empty for a plain directory.
	Revision string
	// Version gives the tree of the repository at a version of an app, the
	// tag app/vVERSION, and the commit that it resolved to. An error matching
	// fs.ErrNotExist says that there is no such tag (yet). Nil serves no
	// versions but those of the tree itself.
	Version func(app, version string) (tree fs.FS, commit string, err error)
	// Versions are the commits that tags resolved to before, as Fleet.Versions
	// gave them. A tag that has moved since is an error.
	Versions map[string]string
	// Mapping finds what a database has no form for in an object that is
	// right in itself. It must be the same for all loads with one Cache. Nil
	// finds nothing.
	Mapping func(Object) []Unmapped
	// Readable says what a database with the objects has against each query:
	// an error for each, in their order, nil where it would run. It must be the
	// same for all loads with one Cache. Nil asks nobody.
	Readable func([]Object, []Verification) []error
	// Cache remembers what was parsed, so that files that have not changed are
	// not read again. It helps only with a tree that has a method
	// Hash(path) (string, error), which names content by its hash; the entries of
	// its directories may have Hash() string for the same, and HasHash(hash string)
	// bool to compare it.
	Cache *Cache
}

// Fleet is all that a tree says. It is read-only: tenants share what they
// have in common.
type Fleet struct {
	Config  config.Fleet
	Tenants []*Tenant // by id; one that is broken is here too
	// Versions are the commits that the tags of app versions resolved to, by
	// tag; empty for a tag that does not exist.
	Versions map[string]string
	// Faults are all faults of the tree, each once, in the order of files.
	Faults []Fault

	revision string
}

// Bundle returns the bundle of a tenant that has one, as it is at this revision:
// the first 12 digits of its commit are the version of one that gives none.
func (f *Fleet) Bundle(t *Tenant) protocol.DeployBundle {
	b := t.Desired.Bundle
	if f.revision != "" && (t.entry == nil || t.entry.manifest.Version == "") {
		b.Manifest.Version = f.revision[:min(versionLength, len(f.revision))]
	}
	return b
}

// versionLength is how much of a commit or of a digest makes a version.
const versionLength = 12

// Tenant is one tenant of a tree.
type Tenant struct {
	ID   protocol.TenantID
	Dir  string     // directory of its tenant.yaml
	Spec TenantSpec // with the defaults of fleet.yaml
	// Desired is nil when Faults has errors.
	Desired *Desired
	// Faults are those of its own files and of the apps it uses, in the order
	// of files.
	Faults []Fault

	document config.Document // tenant.yaml
	entry    *tenantEntry    // what its directory holds
	made     *composition    // what its apps and its own files make together
}

// SameFiles tells that two loads with one Cache have read the same files of the
// tenant's directory. What its apps and fleet.yaml say may be another all the
// same.
func (t *Tenant) SameFiles(other *Tenant) bool { return t.entry != nil && t.entry == other.entry }

// TenantSpec is tenant.yaml.
type TenantSpec struct {
	ID                 string                            `json:"id" doc:"Identifier of the tenant, which is also the name of its directory."`
	Name               string                            `json:"name" shape:"minlen=1" doc:"Name shown to people."`
	OrgID              string                            `json:"orgId,omitempty" shape:"minlen=1" doc:"Organisation that owns the tenant."`
	Plan               protocol.TenantPlan               `json:"plan" default:"free" doc:"Plan it has subscribed to."`
	Region             protocol.TenantRegion             `json:"region" default:"us-east" doc:"Where it is deployed."`
	IsolationLevel     protocol.TenantIsolationLevel     `json:"isolationLevel,omitempty" doc:"How far it is kept apart; default from fleet.yaml."`
	DatabaseProvider   protocol.DatabaseProvider         `json:"databaseProvider,omitempty" doc:"What serves its database; default from fleet.yaml."`
	ConnectionConfig   *protocol.TenantConnectionConfig  `json:"connectionConfig,omitempty" doc:"How to reach its database; without it the reconciler keeps one."`
	Quotas             *protocol.TenantQuota             `json:"quotas,omitempty" doc:"Its limits, over those of its plan."`
	ProvisioningStatus protocol.TenantProvisioningStatus `json:"provisioningStatus" default:"active" shape:"one=active|suspended" doc:"Whether it is in use."`
	Apps               []AppRef                          `json:"apps" default:"[]" doc:"Apps it uses."`
	DropTables         []string                          `json:"dropTables,omitzero" doc:"Apps that it does not use and whose tables are not kept but retired."`
	Labels             map[string]string                 `json:"labels" default:"{}" doc:"Words that waves and commands select it by."`
	Environment        config.Environment                `json:"environment,omitempty" doc:"What it is for; default from fleet.yaml."`
	Policy             *config.OwnPolicy                 `json:"policy,omitempty" doc:"What needs asking, by class of change, where it is stricter than fleet.yaml."`
	Drift              config.Drift                      `json:"drift,omitempty" doc:"What is done about a database that differs from its last deployment, where it is stricter than fleet.yaml: report, or heal."`
	LegalHold          *LegalHold                        `json:"legalHold,omitempty" doc:"Keeps its database and backups from being destroyed, and what it retired from being purged."`
	Customizations     map[string]any                    `json:"customizations,omitzero" doc:"Settings of its own."`
}

// LegalHold says why nothing of a tenant may be destroyed.
type LegalHold struct {
	Reason string `json:"reason" shape:"minlen=1" doc:"Why, such as the name of a case."`
}

// AppRef names an app that a tenant uses.
type AppRef struct {
	Name    string `json:"name" shape:"format=identifier" doc:"Name of the app."`
	Version string `json:"version,omitempty" shape:"minlen=1" doc:"Version of the app; that of the same commit when absent."`
}

// Desired is what a tenant should have. It is read-only: tenants with the same
// apps share it.
type Desired struct {
	// Bundle holds the definitions as they were written, without our own keys.
	// Objects, views, flows and permissions are ordered by name, and entry i
	// is the one that the manifest names at i. Seed sets keep the order of
	// apps and files. The manifest's checksum is the digest, of which the first
	// 12 digits are the version where the tenant gives none.
	Bundle protocol.DeployBundle
	// Apps are the apps in dependency order, with the names of what they bring.
	Apps []protocol.AppManifest
	// Objects are the objects of Bundle, in the same order, typed and with
	// defaults.
	Objects []Object
	// Digest is 64 hex digits: sha256 over canonical JSON of objects, views,
	// flows, permissions, seed sets and renames. Version, time and the order
	// of files do not enter.
	Digest string
	// Verify are the queries of the apps, in the order of Apps. They change
	// nothing in a database, and are no part of Digest.
	Verify []Verification
	// VerifyDigest tells sets of queries apart; empty for none.
	VerifyDigest string
}

// Object is an object and what it was called before.
type Object struct {
	protocol.Object
	RenamedFrom  string            // name of the object before, or empty
	FieldRenames map[string]string // key of a field to its key before
}

// Unmapped is a part of an object that a database has no form for.
type Unmapped struct {
	Path                []any // leads to it: "indexes", 0, "partial"
	Code, Message, Next string
}

// Fault is one thing wrong with a file.
type Fault = config.Fault

// The severities of faults.
const (
	SeverityError   = protocol.SeverityError
	SeverityWarning = protocol.SeverityWarning
)
