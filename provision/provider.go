package provision

import (
	"context"
	"errors"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Provider makes, opens and removes the databases of tenants: files, memory,
// and servers. Its methods may be called at the same time for different
// databases. Each may be repeated, and then finds its work done.
type Provider interface {
	// Locate says where the database of a tenant is, whether or not it exists.
	// connection is nil for one that the provider places itself.
	Locate(tenant protocol.TenantID, connection *protocol.TenantConnectionConfig) (Database, error)
	// Open opens a database for writing; create makes a missing one, which
	// gives database.ErrMissing otherwise. The caller closes the connection.
	Open(ctx context.Context, at Database, create bool) (database.Conn, error)
	// Copy writes what a database holds at one moment to a new file, as a
	// SQLite database.
	Copy(ctx context.Context, at Database, path string) error
	// Destroy removes a database and all that is in it.
	Destroy(ctx context.Context, at Database) error
	// List returns every database where the provider places them.
	List(ctx context.Context) ([]Database, error)
}

// Database is one database of a provider.
type Database struct {
	Tenant protocol.TenantID // that it is for, or was made for
	URL    string            // names it; without secrets
	Own    bool              // the provider placed it, and may destroy it

	at tenantrouter.Location // of one on a server that its own URL names
}

// ErrOnServer says that a database which a tenant's own URL names on a server
// cannot be copied to a file, or removed: whoever runs the server can.
var ErrOnServer = errors.New("the database is on a server that is not the reconciler's to manage")

// Revoker is a Provider that gives out tokens for its databases.
type Revoker interface {
	// RevokeTokens makes every token of a database invalid.
	RevokeTokens(ctx context.Context, at Database) error
}

// Brancher is a Provider that copies a database where it is, for somebody who
// tries a plan on it.
type Brancher interface {
	// Branch makes a copy of a database, with all that is in it, and opens it for
	// writing. Closing the connection removes the copy. It gives ErrNoBranch for
	// a database that cannot be copied this way.
	Branch(ctx context.Context, at Database) (database.Conn, error)
}

// ErrNoBranch says that a database has to be copied by Provider.Copy.
var ErrNoBranch = errors.New("database cannot be branched")
