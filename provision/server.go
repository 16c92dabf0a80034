package provision

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/state"
)

// Server is a server, or a service, that has many databases and can be asked
// for more: sqld.Server and turso.Server. A database has a name there. Methods
// may be called at the same time.
type Server interface {
	Provider() string // sqld or turso
	// Create makes an empty database; a name that is taken gives
	// control.ErrExists.
	Create(ctx context.Context, name string) (control.Database, error)
	// Find gives control.ErrNotFound for a database that is not there.
	Find(ctx context.Context, name string) (control.Database, error)
	// Delete removes a database; that it is not there is no error.
	Delete(ctx context.Context, name string) error
	// Fork makes a database with what another one holds.
	Fork(ctx context.Context, from, to string) (control.Database, error)
	// Token returns a token that opens a database; empty where none is needed. It
	// may make others invalid.
	Token(ctx context.Context, name string) (string, error)
	// Rotate makes all tokens of a database invalid and returns a new one.
	Rotate(ctx context.Context, name string) (string, error)
	// Block refuses the writes of a database, whoever makes them, or lets them in.
	Block(ctx context.Context, name string, writes bool) error
	// List returns all databases, or gives control.ErrNoList.
	List(ctx context.Context) ([]control.Database, error)
	// Usage returns what a database has used.
	Usage(ctx context.Context, name string) (control.Usage, error)
	// Reach asks for something that changes nothing: whether it answers here, and
	// accepts the key.
	Reach(ctx context.Context) error
}

// Placer is a Provider that makes databases of tenants on a server.
type Placer interface {
	// Place has the database of a tenant made that has none, and records where it
	// is. Nothing is done for one that has a place, on the server or in a file.
	// A database that is there already is taken only with adopt; ErrNameTaken
	// says that it was not.
	Place(ctx context.Context, tenant protocol.TenantID, adopt bool) error
	// Forget forgets where the database of a tenant was, which is not there any
	// more, so that Place has another one made.
	Forget(ctx context.Context, tenant protocol.TenantID) error
	// Anew tells that what a server has under the name of a database that was placed
	// is another one, which somebody has made anew. False where that is not known.
	Anew(ctx context.Context, at Database) bool
	// Rotate replaces the token of a database that was placed, and makes all
	// others invalid. It gives ErrNotPlaced for any other database.
	Rotate(ctx context.Context, at Database, events ...state.Event) (state.Placement, error)
}

// Blocker is a Provider that can refuse writes for a database.
type Blocker interface {
	// Block refuses writes to a database, or lets them in again. It gives
	// ErrNotPlaced for one where that cannot be done.
	Block(ctx context.Context, at Database, writes bool) error
}

// ErrNotPlaced says that a database is not one that was made on a server.
var ErrNotPlaced = errors.New("the reconciler did not have the database made on a server")

// NameTakenError says that a database is there already under the name that one
// was to be made with, or was made with.
type NameTakenError struct {
	Provider, Name string
	Anew           bool // in the place of the one that was made
}

func (e *NameTakenError) Error() string {
	if e.Anew {
		return e.Provider + ": the database " + e.Name + " is not the one that was made for the tenant: somebody has made it anew"
	}
	return e.Provider + ": there is a database " + e.Name + " already, and nothing says that it is the tenant's"
}

// Is makes it match control.ErrExists.
func (e *NameTakenError) Is(target error) bool { return target == control.ErrExists }

// Reason is the word for programs.
func (e *NameTakenError) Reason() string { return reason.NameTaken }

// Next is the next step, for people.
func (e *NameTakenError) Next() string {
	tokens := "which replaces its tokens"
	if e.Provider == "turso" {
		tokens = "which makes a token for it (those of before stay valid until \"reconciler secrets rotate TENANT\")"
	}
	return "if it is the tenant's, run \"reconciler tenant take TENANT\", " + tokens + "; else name another one in connectionConfig"
}

// ElsewhereError says that the configured server is not the one on which a
// database was made.
type ElsewhereError struct {
	Tenant     protocol.TenantID
	URL, Found string // of the database that was made, and of the other one of its name, empty for none
}

func (e *ElsewhereError) Error() string {
	if e.Found == "" {
		return fmt.Sprintf("the database of tenant %q is %s, and the configured server has none of its name", e.Tenant, e.URL)
	}
	return fmt.Sprintf("the database of tenant %q is %s, and what the configured server has under its name is %s", e.Tenant, e.URL, e.Found)
}

// Reason is the word for programs.
func (e *ElsewhereError) Reason() string { return reason.DatabaseElsewhere }

// Next is the next step, for people.
func (e *ElsewhereError) Next() string {
	return "let databases in reconciler.yaml name the server that it was made on; where it has moved with its rows, run \"reconciler tenant take " + string(e.Tenant) + "\""
}

// Again tells that the same may work later.
func (e *ElsewhereError) Again() bool { return true }

// Databases says how databases are made on a server, and finds it.
type Databases struct {
	// Name is what a database is called there, with {fleet} and {tenant_id}.
	// Default: {tenant_id}.
	Name string
	// Server returns the server for the fleet's policy.
	Server func(config.Databases) (Server, error)
	// Branches are those that are in use, of all who have these databases. Without
	// it, what was left of earlier ones goes with Sweep alone, which nobody then
	// calls while one is in use.
	Branches *Branches
}

// Branches are the branches that a process has open, by their names, which never
// come twice. They may be shared.
type Branches struct{ open sync.Map }

func (b *Branches) begin(name string) {
	if b != nil {
		b.open.Store(name, true)
	}
}

func (b *Branches) end(name string) {
	if b != nil {
		b.open.Delete(name)
	}
}

func (b *Branches) has(name string) bool {
	if b == nil {
		return false
	}
	_, open := b.open.Load(name)
	return open
}

// Shared returns open with a memory: the server of a policy is opened once. Its
// connections, its rate of calls and what it does not do at the same time are then
// those of all who ask for it.
func Shared(open func(config.Databases) (Server, error)) func(config.Databases) (Server, error) {
	var (
		mu     sync.Mutex
		opened Server
		of     config.Databases
	)
	return func(policy config.Databases) (Server, error) {
		mu.Lock()
		defer mu.Unlock()
		if opened != nil && reflect.DeepEqual(of, policy) {
			return opened, nil
		}
		s, err := open(policy)
		if err == nil {
			opened, of = s, policy
		}
		return s, err
	}
}
