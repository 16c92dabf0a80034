package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Provision brings a tenant up: its database is made where it is missing, bring
// deploys to it, and then it is active. What bring answers is the error; a
// tenant that failed is tried again with the next call. bring is given the
// connection to the database that was just made, which it may close, or nil when
// that was done before.
//
// The caller holds the tenant's lock, here and in Suspend, Resume and Remove.
func (s *Service) Provision(
	ctx context.Context, t *state.Tenant, c config.Fleet, bring func(context.Context, database.Conn) error,
) (err error) {
	var made database.Conn
	defer func() {
		if made != nil {
			err = errors.Join(err, made.Close())
		}
	}()
	_, err = s.carry(ctx, t, operation{
		name: opProvision, during: protocol.TenantProvisioning, after: protocol.TenantActive, failed: protocol.TenantFailed,
		steps: []step{
			{"create_database", func(ctx context.Context) (err error) {
				made, err = s.create(ctx, *t, c)
				return err
			}},
			{"deploy_bundle", func(ctx context.Context) error { return bring(ctx, made) }},
			// A database that is marked as read-only takes no deployment, so this
			// one is not.
			{"activate", func(context.Context) error { return nil }},
		},
		done: []state.Event{s.event(state.EventProvisioned, *t, "", "plan "+string(t.Spec.Plan)+", region "+string(t.Spec.Region))},
	})
	return err
}

// create opens the database of a new tenant.
func (s *Service) create(ctx context.Context, t state.Tenant, c config.Fleet) (database.Conn, error) {
	// One that was deployed to and is gone is not made anew: its volume may
	// not be mounted.
	made := creates(c)
	create := t.Bundle == "" && made
	if placer, ok := s.Provider.(Placer); ok && create && t.Spec.ConnectionConfig == nil {
		if err := placer.Place(ctx, t.ID, false); err != nil {
			return nil, fmt.Errorf("create database of tenant %q: %w", t.ID, err)
		}
	}
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return nil, err
	}
	conn, err := s.Provider.Open(ctx, at, create)
	if t.Bundle == "" && !made && errors.Is(err, database.ErrMissing) {
		return nil, &UnmadeError{Tenant: t.ID, Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("create database of tenant %q: %w", t.ID, err)
	}
	if t.PendingCommit() {
		if err := blank(ctx, conn, at); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// creates tells that the fleet has databases of new tenants made.
func creates(c config.Fleet) bool {
	return c.Databases.Lifecycle == nil || c.Databases.Lifecycle.OnTenantCreate.AutoCreate
}

// UnmadeError says that a new tenant has no database and gets none, as fleet.yaml
// has it. It matches database.ErrMissing.
type UnmadeError struct {
	Tenant protocol.TenantID
	Err    error // what was found where the database would be
}

func (e *UnmadeError) Error() string {
	return fmt.Sprintf("tenant %q has no database, and none is made: databases.lifecycle.onTenantCreate.autoCreate of fleet.yaml is false", e.Tenant)
}

func (e *UnmadeError) Unwrap() error { return e.Err }

// Reason is the word for programs.
func (e *UnmadeError) Reason() string { return reason.Missing }

// Next is the next step, for people.
func (e *UnmadeError) Next() string {
	return "name its database in connectionConfig, or run \"reconciler tenant take " + string(e.Tenant) + "\" for one that is on the server under its name; " +
		"or let autoCreate be true, which makes an empty one"
}

// Again tells that another try may do.
func (e *UnmadeError) Again() bool { return true }

// blank refuses a database for a new customer that has been somebody's.
func blank(ctx context.Context, conn database.Conn, at Database) error {
	read, err := apply.Read(ctx, conn)
	if err == nil && !read.Master.Empty() {
		err = fmt.Errorf("%w: there is a database already at %s (see `reconciler tenant orphans`)", apply.ErrOwnedElsewhere, at.URL)
	}
	return err
}

// Suspend makes a tenant read-only, for deployments and for applications that
// come through a router.
func (s *Service) Suspend(ctx context.Context, t *state.Tenant, c config.Fleet, reason string) error {
	_, err := s.carry(ctx, t, operation{
		name: opSuspend, after: protocol.TenantSuspended, steps: s.suspending(t, c),
		done: []state.Event{s.event(state.EventSuspended, *t, reason, "")},
	})
	return err
}

func (s *Service) suspending(t *state.Tenant, c config.Fleet) []step {
	hook := suspendHook(c)
	steps := []step{
		{"make_read_only", func(ctx context.Context) error {
			if !hook.ReadOnly {
				return errSkipped
			}
			return s.withDatabase(ctx, *t, func(ctx context.Context, conn database.Conn) error {
				marked, err := apply.Suspend(ctx, conn, s.Now())
				if err == nil && !marked {
					err = errSkipped
				}
				return err
			})
		}},
	}
	if _, ok := s.Provider.(Blocker); ok { // after the mark, which is written to the database
		steps = append(steps, step{"block_writes", func(ctx context.Context) error {
			if !hook.ReadOnly {
				return errSkipped
			}
			return s.block(ctx, *t, true)
		}})
	}
	return append(steps, step{revokeStep, func(ctx context.Context) error { return s.revoke(ctx, *t, hook) }})
}

// block has the server refuse writes to a tenant's own database, whoever makes
// them, or lets them in again.
func (s *Service) block(ctx context.Context, t state.Tenant, writes bool) error {
	return s.withDatabase(ctx, t, func(ctx context.Context, _ database.Conn) error {
		at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
		if err == nil {
			err = s.Provider.(Blocker).Block(ctx, at, writes)
		}
		return notPlaced(err)
	})
}

// notPlaced makes of a database that is not on a server, or is somebody else's
// there by now, one with which there is nothing to do.
func notPlaced(err error) error {
	var taken *NameTakenError
	if errors.Is(err, ErrNotPlaced) || errors.As(err, &taken) {
		return fmt.Errorf("%w: %w", errSkipped, err)
	}
	return err
}

func suspendHook(c config.Fleet) protocol.TenantSuspendHook {
	if c.Databases.Lifecycle == nil {
		return protocol.TenantSuspendHook{RevokeTokens: true, ReadOnly: true}
	}
	return c.Databases.Lifecycle.OnTenantSuspend
}

func (s *Service) revoke(ctx context.Context, t state.Tenant, hook protocol.TenantSuspendHook) error {
	revoker, ok := s.Provider.(Revoker)
	if !ok || !hook.RevokeTokens {
		return errSkipped
	}
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return err
	}
	// An earlier try may have revoked the token that this would be read with.
	if err := s.withDatabase(ctx, t, nothing); err != nil && !errors.Is(err, database.ErrPermission) {
		return err
	}
	return notPlaced(revoker.RevokeTokens(ctx, at))
}

// Resume lets a suspended tenant work again, also one whose removal is taken
// back in time.
func (s *Service) Resume(ctx context.Context, t *state.Tenant, reason string) error {
	kind := state.EventResumed
	if !t.RemovedAt.IsZero() {
		kind = state.EventCancelled
	}
	_, err := s.carry(ctx, t, operation{
		name: opResume, after: protocol.TenantActive,
		steps: s.resuming(t),
		end:   func(l *state.Lifecycle) { l.RemovedAt = time.Time{} },
		done:  []state.Event{s.event(kind, *t, reason, "")},
	})
	return err
}

func (s *Service) resuming(t *state.Tenant) []step {
	steps := []step{{"make_writable", func(ctx context.Context) error { return s.resume(ctx, *t) }}}
	if _, ok := s.Provider.(Blocker); ok { // the mark is taken away by a write
		unblock := step{"unblock_writes", func(ctx context.Context) error { return s.block(ctx, *t, false) }}
		steps = append([]step{unblock}, steps...)
	}
	if tokenless(t.Steps) {
		renew := step{renewStep, func(ctx context.Context) error {
			return s.revoke(ctx, *t, protocol.TenantSuspendHook{RevokeTokens: true})
		}}
		steps = append([]step{renew}, steps...)
	}
	return steps
}

// tokenless tells that tokens were begun to be revoked, or renewed after that, and
// that there may be no valid one.
func tokenless(steps []protocol.ProvisioningStep) bool {
	return slices.ContainsFunc(steps, func(at protocol.ProvisioningStep) bool {
		return at.Name == renewStep || at.Name == revokeStep && (at.Status == protocol.StepRunning || at.Status == protocol.StepFailed)
	})
}

const (
	revokeStep = "revoke_tokens"
	renewStep  = "renew_tokens"
)

func (s *Service) resume(ctx context.Context, t state.Tenant) error {
	return s.withDatabase(ctx, t, func(ctx context.Context, conn database.Conn) error { return apply.Resume(ctx, conn) })
}

// withDatabase opens a tenant's database. One that does not exist, or is
// somebody else's by now, is nothing to do.
func (s *Service) withDatabase(ctx context.Context, t state.Tenant, do func(context.Context, database.Conn) error) error {
	at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return err
	}
	conn, err := s.Provider.Open(ctx, at, false)
	if errors.Is(err, database.ErrMissing) {
		return errAbsent
	}
	if err != nil {
		return fmt.Errorf("open database of tenant %q: %w", t.ID, err)
	}
	err = s.own(ctx, conn, t)
	switch {
	case errors.Is(err, database.ErrMissing): // a server says so with the first statement
		err = errAbsent
	case err != nil && s.anew(ctx, at): // which does not take its token
		err = fmt.Errorf("%w: it is another database that has its name by now", errSkipped)
	}
	if err == nil {
		err = do(ctx, conn)
	}
	return errors.Join(err, conn.Close())
}

// anew tells that somebody has made a database anew under the name of a tenant's.
func (s *Service) anew(ctx context.Context, at Database) bool {
	placer, ok := s.Provider.(Placer)
	return ok && placer.Anew(ctx, at)
}

// OwnerOf is who the database of a tenant belongs to, as its journal says.
func OwnerOf(c config.Fleet, tenant protocol.TenantID, spec bundle.TenantSpec) apply.Owner {
	environment := c.Environment
	if spec.Environment != "" {
		environment = spec.Environment
	}
	return apply.Owner{Fleet: c.Fleet, Environment: string(environment), Tenant: string(tenant)}
}

// own answers errSkipped for a database that somebody else has taken over:
// another tenant, or another fleet for its tenant of the same name. One without a
// journal, where one was written, is another database that has the name by now,
// or was emptied: whose it is is not known.
func (s *Service) own(ctx context.Context, conn database.Conn, t state.Tenant) error {
	read, err := apply.Read(ctx, conn)
	if err != nil {
		return err
	}
	if read.Record.Last == nil && t.Bundle != "" {
		return fmt.Errorf("%w: the database has no journal, though the tenant was deployed to", errSkipped)
	}
	if read.Record.Last == nil {
		return nil
	}
	c, err := s.Fleet.Config(ctx)
	if err != nil {
		return err
	}
	if has := read.Record.Owner; has != OwnerOf(c, t.ID, t.Spec) {
		return fmt.Errorf("%w: the database belongs to tenant %q of fleet %q (%s)", errSkipped, has.Tenant, has.Fleet, has.Environment)
	}
	return nil
}
