package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// ErrThere says that a database that would be made anew is there.
var ErrThere = errors.New("database is there")

// Recreate lets a tenant whose database has vanished be provisioned anew, empty.
// It gives ErrThere when the database can be found: then it is not lost. Where the
// fleet makes no databases it gives an *UnmadeError, and nothing is changed.
func (s *Service) Recreate(ctx context.Context, id protocol.TenantID, reason string) error {
	defer s.Lock(id)()
	t, c, err := s.living(ctx, id)
	if err != nil {
		return err
	}
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return err
	}
	if err := s.absent(ctx, at); err != nil {
		return err
	}
	if !creates(c) {
		return &UnmadeError{Tenant: id, Err: database.ErrMissing}
	}
	if placer, ok := s.Provider.(Placer); ok && at.Own {
		if err := placer.Forget(ctx, id); err != nil {
			return err
		}
	}
	if err := s.lookAgain(ctx, id, func(o *state.Observed) { o.BundleDigest, o.Fingerprint = "", "" }); err != nil {
		return err
	}
	s.become(&t.Lifecycle, protocol.TenantProvisioning)
	t.Operation, t.Steps = "", nil
	return s.save(ctx, t, s.event(state.EventRecreated, t, reason, "its database had vanished: "+at.URL))
}

// absent gives ErrThere for a database that can be found.
func (s *Service) absent(ctx context.Context, at Database) error {
	conn, err := s.Provider.Open(ctx, at, false)
	if err == nil {
		_, err = apply.Read(ctx, conn) // a server says it with the first statement
		err = errors.Join(err, conn.Close())
	}
	if err == nil {
		return fmt.Errorf("%w: %s", ErrThere, at.URL)
	}
	if errors.Is(err, database.ErrMissing) {
		return nil
	}
	return err
}

// Taken is a database that was taken over.
type Taken struct {
	URL    string
	Before apply.Owner // the zero Owner for one that belonged to nobody
	After  apply.Owner
}

// anew forgets what was deployed to another database than this one.
func (t Taken) anew(o *state.Observed) {
	if t.Before == (apply.Owner{}) {
		o.BundleDigest, o.Fingerprint = "", ""
	}
}

// Take makes a tenant's database its own, whoever it belonged to.
func (s *Service) Take(ctx context.Context, id protocol.TenantID, reason string) (Taken, error) {
	defer s.Lock(id)()
	t, err := s.tenant(ctx, id)
	if err != nil {
		return Taken{}, err
	}
	composed, err := s.Fleet.Compose(ctx, t.Spec)
	if err != nil {
		return Taken{}, err
	}
	if placer, ok := s.Provider.(Placer); ok && t.Spec.ConnectionConfig == nil { // one that is there without a record of it
		if err := placer.Place(ctx, id, true); err != nil {
			return Taken{}, err
		}
	}
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return Taken{}, err
	}
	conn, err := s.Provider.Open(ctx, at, false)
	if err != nil {
		return Taken{}, err
	}
	taken := Taken{URL: at.URL, After: composed.Request.Owner}
	taken.Before, err = apply.Take(ctx, conn, taken.After)
	if err == nil && t.Spec.ProvisioningStatus != protocol.TenantSuspended {
		err = apply.Resume(ctx, conn) // it may bear the mark of who had it before
	}
	if err := errors.Join(err, conn.Close()); err != nil {
		return Taken{}, err
	}
	if err := s.lookAgain(ctx, id, taken.anew); err != nil {
		return taken, err
	}
	from := "nobody"
	if b := taken.Before; b != (apply.Owner{}) {
		from = fmt.Sprintf("tenant %q of fleet %q (%s)", b.Tenant, b.Fleet, b.Environment)
	}
	event := s.event(state.EventTaken, t, reason, at.URL+", from "+from)
	return taken, s.Store.AddEvent(context.WithoutCancel(ctx), event)
}

// lookAgain makes the next pass look at a tenant's database.
func (s *Service) lookAgain(ctx context.Context, id protocol.TenantID, change func(*state.Observed)) error {
	row, seen, err := s.Store.ObservedOf(ctx, id)
	if err != nil || !seen {
		return err
	}
	row.InputDigest, row.PurgeAt = "", time.Time{}
	change(&row)
	return s.Store.SaveObserved(context.WithoutCancel(ctx), row)
}
