package bundle

import (
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/config"
)

// Codes of faults that this package finds, beside those of package config and
// the protocol's own. docs/bundle-format.md explains each.
const (
	codeAppCycle          = "app_cycle"            // apps that depend on each other
	codeAppDropped        = "app_dropped"          // an app in use whose tables are to be dropped
	codeAppDirectory      = "app_directory"        // an app whose directory has another name
	codeAppMissing        = "app_missing"          // an app that is not there
	codeAppWithoutFile    = "app_without_file"     // an app's directory without app.yaml
	codeAppTwice          = "app_twice"            // an app twice in one tenant
	codeColumnCollision   = "column_collision"     // two fields of one column
	codeExtendMissing     = "extend_missing"       // an extension of an object that is not there
	codeFileURL           = "file_url"             // a file: URL that leads to no file
	codeIndexCollision    = "index_collision"      // two indexes of one name
	codeIndexField        = "index_field_missing"  // an index over a field that is not there
	codeIndexEmpty        = "index_without_fields" // an index without fields
	codeIndexType         = "index_type"           // an index type that becomes btree
	codeKernelVersion     = "kernel_version"       // an app that wants a newer kernel
	codeLookupTarget      = "lookup_without_target"
	codeManifestLists     = "manifest_lists"  // names in app.yaml that are not there
	codeName              = "invalid_name"    // not a name that tables and columns can have
	codeNameConflict      = "name_conflict"   // two definitions of one name
	codeLooserPolicy      = "looser_policy"   // a tenant that asks for less than its fleet
	codeNameMissing       = "name_missing"    // a definition without a name
	codeNotServed         = "not_served_yet"  // a level, provider or URL
	codeObjectConflict    = "object_conflict" // two owners of one object
	codePlainSecret       = config.CodePlainSecret
	codeBadReference      = config.CodeBadReference
	codeQuote             = config.CodeQuote
	codeReferenceOutside  = "reference_outside"   // an object that the bundle does not have
	codeRenamedFrom       = "renamed_from"        // a renamedFrom that cannot be
	codeReserved          = "reserved_name"       // a name of the database's or of ours
	codeSeedTarget        = "seed_target"         // seeds of an object that is not there
	codeSymlink           = "not_a_file"          // a symbolic link or submodule
	codeTableCollision    = "table_collision"     // two objects of one table
	codeTenantBroken      = "tenant_without_file" // a tenant's directory without tenant.yaml
	codeTenantDirectory   = "tenant_directory"    // a tenant whose directory has another name
	codeTenantID          = "tenant_id"           // not an id
	codeTenantNested      = "tenant_nested"       // a tenant inside another one
	codeTenantTwice       = "tenant_twice"        // one id in two directories
	codeTooManyFields     = "too_many_fields"     // over 1,900 columns
	codeTooManyFiles      = "too_many_files"      // over 10,000
	codeTooManyQueries    = "too_many_queries"    // over 20 in an app
	codeVerify            = "verify_query"        // a query that a database does not run, or that may not be
	codeTwoBundles        = "two_bundles"         // a compiled bundle beside definitions
	codeUnknownFile       = "unknown_file"        // a file or directory that is not read
	codeURLShared         = "database_shared"     // two tenants with one database
	codeWaveEmpty         = "empty_wave"          // labels that nobody has
	codeVersionMismatch   = "version_mismatch"    // a tag whose app.yaml has another version
	codeVersionMissing    = "version_missing"     // no tag of that version
	codeVersionMoved      = "version_moved"       // a tag that has moved
	codeVersionUnreadable = "version_unreadable"  // a tag that cannot be read
)

// InvalidError is all that is wrong with what people wrote, warnings included.
// It matches ErrInvalid.
type InvalidError struct{ Faults []Fault }

// Error is the first error and the number of the others.
func (e *InvalidError) Error() string {
	failed := slices.DeleteFunc(slices.Clone(e.Faults), func(f Fault) bool { return !f.IsError() })
	switch len(failed) {
	case 0:
		return ErrInvalid.Error()
	case 1:
		return failed[0].Error()
	}
	return fmt.Sprintf("%v, and %d more", failed[0], len(failed)-1)
}

// Is reports whether target is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
