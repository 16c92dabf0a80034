package schema

import "github.com/tenantops/reconciler/protocol"

// Object is an object definition with the old names that it declares.
type Object struct {
	protocol.Object
	RenamedFrom  string            // the object's name before, empty when it has not changed
	FieldRenames map[string]string // new field key → old field key
}
