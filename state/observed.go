package state

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Sync says whether a tenant equals its desired state.
type Sync string

// Every word a Sync can be.
const (
	Synced    Sync = "Synced"
	OutOfSync Sync = "OutOfSync"
	Unknown   Sync = "Unknown"
)

// Health says how a tenant is.
type Health string

// Every word a Health can be. All but Healthy come with a reason and the next
// step.
const (
	Healthy     Health = "Healthy"
	Progressing Health = "Progressing"
	Degraded    Health = "Degraded"
	Blocked     Health = "Blocked"
	Suspended   Health = "Suspended"
	Missing     Health = "Missing"
)

// Problem tells that the tenant is not what git wants and needs somebody.
func (h Health) Problem() bool { return h == Blocked || h == Degraded || h == Missing }

// Observed is what the last look at a tenant found.
type Observed struct {
	Tenant                protocol.TenantID
	Sync                  Sync
	Health                Health
	Reason, Message, Next string

	Revision        string // last attempted
	AppliedRevision string
	DesiredDigest   string // of the bundle that Revision asks for
	BundleDigest    string // of the bundle that is applied
	InputDigest     string // of everything that was looked at: equal means nothing to do
	Fingerprint     string // of the live schema's text
	SchemaDigest    string // of its structure
	AppliedDigest   string
	Deployment      string // id of the last one
	Plan            string // the tenant's plan: free, pro, enterprise
	Target          string // of bundle and plan policy as they were applied
	Tried           string // the same as they were tried last
	ObservedAt      time.Time
	PurgeAt         time.Time // when the first thing that is retired is due

	// Follows says that Revision and AppliedRevision are those of the fleet and
	// move on with it, see SaveFleet. SaveObserved saves them as they are.
	Follows bool
}

func (o *Observed) columns() []column {
	return []column{
		{"tenant", (*string)(&o.Tenant)},
		{"sync", (*string)(&o.Sync)},
		{"health", (*string)(&o.Health)},
		{"reason", &o.Reason},
		{"message", &o.Message},
		{"next", &o.Next},
		{"revision", &o.Revision},
		{"applied_revision", &o.AppliedRevision},
		{"desired_digest", &o.DesiredDigest},
		{"bundle_digest", &o.BundleDigest},
		{"input_digest", &o.InputDigest},
		{"fingerprint", &o.Fingerprint},
		{"schema_digest", &o.SchemaDigest},
		{"applied_digest", &o.AppliedDigest},
		{"deployment", &o.Deployment},
		{"plan", &o.Plan},
		{"target", &o.Target},
		{"tried", &o.Tried},
		{"observed_at", &o.ObservedAt},
		{"purge_at", &o.PurgeAt},
	}
}

// read are the columns of the view that rows are read from.
func (o *Observed) read() []column { return append(o.columns(), column{"follows", &o.Follows}) }

// head stands in a row for the revision of the fleet.
const head = "HEAD"

// insertion is the statement that overwrites the row of the tenant.
func (o Observed) insertion() (database.Statement, error) {
	if o.Follows {
		o.Revision, o.AppliedRevision = head, head
	}
	return insertion("REPLACE INTO observed", o.columns())
}

// SaveObserved overwrites the rows of the tenants given, all in one
// transaction.
func (s *Store) SaveObserved(ctx context.Context, observed ...Observed) error {
	if len(observed) == 0 {
		return nil
	}
	doing := fmt.Sprintf("save observed state of %d tenants", len(observed))
	if len(observed) == 1 {
		doing = fmt.Sprintf("save observed state of tenant %q", observed[0].Tenant)
	}
	observed = slices.Clone(observed)
	for i := range observed {
		observed[i].Follows = false
	}
	return s.saveObserved(ctx, doing, observed, nil)
}

// SaveFleet records that the fleet was brought to a revision: every tenant
// whose row follows is at that one now. The rows given are overwritten in the
// same transaction, those of tenants that stay behind among them. What it
// costs is the rows given, whatever the size of the fleet.
func (s *Store) SaveFleet(ctx context.Context, revision string, observed ...Observed) error {
	doing := fmt.Sprintf("save the fleet at %.12s", revision)
	return s.saveObserved(ctx, doing, observed, &revision)
}

func (s *Store) saveObserved(ctx context.Context, doing string, observed []Observed, fleet *string) error {
	var statements []database.Statement
	for _, o := range observed {
		statement, err := o.insertion()
		if err != nil {
			return explain(s.path, doing, err)
		}
		statements = append(statements, statement)
	}
	if fleet != nil {
		statements = append(statements, database.Statement{
			SQL: "UPDATE head SET revision = ?1 WHERE revision <> ?1", Args: []any{clean(*fleet)},
		})
	}
	return s.use(ctx, doing, func(conn database.Conn) error {
		err := run(ctx, conn, statements)
		if err == nil {
			err = s.memory.save(observed, fleet)
		}
		return err
	})
}

// Seen returns every tenant's row, as one moment had them.
func (s *Store) Seen(ctx context.Context) (seen Seen, err error) {
	err = s.use(ctx, "read observed state", func(conn database.Conn) error {
		seen, err = s.memory.all(ctx, conn)
		return err
	})
	return seen, err
}

// Observed is Seen as a map, which is the caller's: for those who look at all
// of it once.
func (s *Store) Observed(ctx context.Context) (map[protocol.TenantID]Observed, error) {
	seen, err := s.Seen(ctx)
	if err != nil {
		return nil, err
	}
	observed := make(map[protocol.TenantID]Observed, seen.Len())
	for id := range seen.Tenants() {
		observed[id], _ = seen.Of(id)
	}
	return observed, nil
}

// ObservedOf returns one tenant's row, and whether there is one.
func (s *Store) ObservedOf(ctx context.Context, tenant protocol.TenantID) (Observed, bool, error) {
	doing := fmt.Sprintf("read observed state of tenant %q", tenant)
	return first(read(ctx, s, doing, (*Observed).read, database.Statement{
		SQL:  selection("seen", new(Observed).read()) + "WHERE tenant = ?",
		Args: []any{string(tenant)},
	}))
}
