package schema

import "github.com/tenantops/reconciler/bundle"

// Object is an object definition with the old names that it declares.
type Object = bundle.Object
