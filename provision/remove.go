package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// The steps that end a removal: before the first the database is read-only and
// backed up, and after the second the removal is not taken back.
const (
	waitStep    = "wait"
	destroyStep = "destroy_database"
)

// Remove takes a tenant away: it is suspended and backed up at once, and when
// its time of grace is over its database is destroyed and its record forgotten.
// Until then each call does what is due. It returns whether the tenant is gone.
//
// A legal hold keeps the database, and so does git as long as it has the tenant:
// a removal that is pending waits for it. So does keep, which says why it must stay;
// empty for no reason.
func (s *Service) Remove(ctx context.Context, t *state.Tenant, c config.Fleet, reason, keep string) (bool, error) {
	if t.RemovedAt.IsZero() {
		t.RemovedAt = s.Now()
		s.become(&t.Lifecycle, protocol.TenantDestroying)
		if err := s.save(ctx, *t, s.event(state.EventRemoved, *t, reason, "")); err != nil {
			return false, err
		}
		s.OnChange(t.ID)
	} else if err := s.unused(ctx, t, c); err != nil {
		return false, err
	}
	name := fmt.Sprintf("%s-%s", t.ID, t.RemovedAt.UTC().Format("20060102T150405.000Z"))
	return s.carry(ctx, t, operation{
		name: opDestroy, during: protocol.TenantDestroying,
		steps: append(s.leaving(t, c),
			step{"back_up", func(ctx context.Context) error { return s.backUpRemoved(ctx, *t, c, name) }},
			step{waitStep, func(ctx context.Context) error {
				kept := keep != "" && s.withDatabase(ctx, *t, nothing) == nil // and nobody has taken it over yet
				// What git has would be provisioned anew.
				if t.Awaits(state.PendingRemoval) || kept || t.Spec.LegalHold != nil || s.Now().Before(DestroyAt(*t, c)) {
					return errWaiting
				}
				return nil
			}},
			step{destroyStep, func(ctx context.Context) error { return s.destroy(ctx, *t, c, name) }},
		),
		forget: true,
		done:   []state.Event{s.event(state.EventDestroyed, *t, reason, "")},
	})
}

// leaving are the steps of suspending a tenant that is removed, but for a database
// of which nothing says that it is the tenant's: that will be left as it is.
func (s *Service) leaving(t *state.Tenant, c config.Fleet) []step {
	steps := s.suspending(t, c)
	for i, of := range steps {
		steps[i].run = func(ctx context.Context) error {
			if err := s.withDatabase(ctx, *t, known); errors.Is(err, errSkipped) {
				return err
			}
			return of.run(ctx) // which says it, too, of one that cannot be looked at
		}
	}
	return steps
}

// unused makes sure, when the time of grace is over, that the database was
// read-only in it. State may be of another day than the database, which was in use
// meanwhile, or is another customer's by now: then the removal begins anew, or is as
// old as the mark.
func (s *Service) unused(ctx context.Context, t *state.Tenant, c config.Fleet) error {
	wait := slices.IndexFunc(t.Steps, func(at protocol.ProvisioningStep) bool { return at.Name == waitStep })
	if t.Operation != opDestroy || wait < 0 || !ended(t.Steps[:wait]) || s.Now().Before(DestroyAt(*t, c)) || !suspendHook(c).ReadOnly {
		return nil
	}
	var marks bool
	var since time.Time
	err := s.withDatabase(ctx, *t, func(ctx context.Context, conn database.Conn) error {
		read, err := apply.Read(ctx, conn)
		marks = read.Record.Last != nil // else it has nowhere to say so
		if err == nil && read.Record.Suspended != "" {
			since, err = time.Parse(time.RFC3339, read.Record.Suspended)
		}
		return err
	})
	switch {
	case errors.Is(err, errSkipped): // there is none, or none that is destroyed
		return nil
	case err != nil:
		return err
	case marks && since.IsZero():
		t.RemovedAt, t.Steps = s.Now(), nil
		return s.save(ctx, *t, s.event(state.EventRemoved, *t, "its database was in use since state says that it is removed", ""))
	case since.After(t.RemovedAt):
		t.RemovedAt = since
	}
	return nil
}

// DestroyAt is when the time of grace of a removed tenant is over.
func DestroyAt(t state.Tenant, c config.Fleet) time.Time {
	hours := int64(c.GraceHours)
	if l := c.Databases.Lifecycle; l != nil {
		hours = l.OnTenantDelete.GracePeriodHours
		if l.OnTenantDelete.Immediate {
			hours = 0
		}
	}
	return t.RemovedAt.Add(time.Duration(hours) * time.Hour)
}

// Destroying tells that a removal has come to the destruction of the database
// and is not taken back any more. Where that did not work, or did not get to its
// end, and the database is there, it is taken back: the database goes last. An
// error says that this cannot be told.
func (s *Service) Destroying(ctx context.Context, t state.Tenant) (bool, error) {
	last := slices.IndexFunc(t.Steps, func(at protocol.ProvisioningStep) bool { return at.Name == destroyStep })
	if t.Operation != opDestroy || last < 0 || t.Steps[last].Status == protocol.StepPending {
		return false, nil
	}
	err := s.withDatabase(ctx, t, nothing)
	if errors.Is(err, errSkipped) {
		return true, nil
	}
	return false, err
}

func (s *Service) backUpRemoved(ctx context.Context, t state.Tenant, c config.Fleet, name string) error {
	if l := c.Databases.Lifecycle; l != nil && !l.OnTenantDelete.CreateBackup {
		return errSkipped
	}
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return err
	}
	if err := s.withDatabase(ctx, t, nothing); err != nil {
		return err // errSkipped among them: there is nothing of the tenant's own
	}
	err = s.backUp(ctx, t, at, c.Backup, name)
	if errors.Is(err, ErrOnServer) { // it stays where it is, for who runs the server to back up
		err = fmt.Errorf("%w: %w", errSkipped, err)
	}
	return err
}

// nothing only asks whether there is a database that is the tenant's own.
func nothing(context.Context, database.Conn) error { return nil }

// known answers errSkipped for a database with tables and without a journal:
// nothing says that they are the tenant's. It was there before the reconciler, or
// has taken the place of the tenant's.
func known(ctx context.Context, conn database.Conn) error {
	read, err := apply.Read(ctx, conn)
	if err == nil && read.Record.Last == nil && !read.Master.Empty() {
		err = fmt.Errorf("%w: the database has tables and no journal, which is left where it is", errSkipped)
	}
	return err
}

// destroy removes the database. What was written to it since the backup, by
// somebody who does not heed the mark, is backed up first.
func (s *Service) destroy(ctx context.Context, t state.Tenant, c config.Fleet, name string) error {
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return err
	}
	if !at.Own {
		return fmt.Errorf("%w: tenant.yaml had named the database, which is left where it is", errSkipped)
	}
	err = s.withDatabase(ctx, t, known)
	if placer, ok := s.Provider.(Placer); ok && errors.Is(err, errSkipped) && !errors.Is(err, errAbsent) {
		// It is somebody else's, also for a later tenant of the same id.
		if err := placer.Forget(ctx, t.ID); err != nil {
			return err
		}
	}
	if err != nil && !errors.Is(err, errAbsent) {
		return err // it belongs to somebody else, or cannot be read
	}
	if err == nil {
		if err = s.backUpRemoved(ctx, t, c, name+"-last"); err != nil && !errors.Is(err, errSkipped) {
			return err
		}
	}
	if err := s.Provider.Destroy(ctx, at); err != nil { // a missing one may have left something beside it
		return fmt.Errorf("destroy database of tenant %q: %w", t.ID, err)
	}
	return nil
}
