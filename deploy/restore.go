package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// RestoreRequest asks for a tenant's database to be what it was in a snapshot.
type RestoreRequest struct {
	Snapshot Snapshot
	Path     string // of the database
	Author   string // who wants it
}

// Restoration is what a restore would do, or did.
type Restoration struct {
	Holds apply.Entry   // the newest deployment that the snapshot has
	Lost  []apply.Entry // deployments that only the database has, oldest first
	// Unrelated says that the snapshot and the database have no deployment in
	// common: the database was made anew since, for the tenant or for another
	// customer of the same id.
	Unrelated bool
	// Missing says that there is no database: there is none to be copied.
	Missing bool
	ID      string // of the restore in the journal; empty from AssessRestore
	Undo    string // id of the snapshot of the database that was replaced

	replaced apply.Reading
}

// AssessRestore says what Restore would do, and changes nothing. A snapshot or
// a database that belongs to somebody else gives an error matching
// apply.ErrOwnedElsewhere, one that is damaged database.ErrCorrupt, and one
// that has tables and no journal apply.ErrUnknownDatabase.
func (d *Deployer) AssessRestore(ctx context.Context, r RestoreRequest) (Restoration, error) {
	copied, err := examine(ctx, r.Snapshot.Path, r.Snapshot.Tenant, true)
	if err == nil && copied.journal == nil {
		err = apply.ErrUnknownDatabase
	}
	if err != nil {
		return Restoration{}, fmt.Errorf("snapshot %s: %w", r.Snapshot.ID, err)
	}
	found := Restoration{Holds: *copied.Record.Last}
	live, err := examine(ctx, r.Path, r.Snapshot.Tenant, false)
	switch {
	case errors.Is(err, database.ErrMissing):
		found.Missing = true
		if err = libsql.LeftAlone(r.Path); err == nil {
			return found, nil
		}
	case err == nil && live.Record.Last != nil && live.Record.Owner != copied.Record.Owner:
		err = fmt.Errorf("%w: it is of fleet %q (%s), the snapshot of fleet %q (%s)", apply.ErrOwnedElsewhere,
			live.Record.Owner.Fleet, live.Record.Owner.Environment, copied.Record.Owner.Fleet, copied.Record.Owner.Environment)
	case err == nil && live.Record.Last == nil && !live.Master.Empty():
		err = apply.ErrUnknownDatabase
	case errors.Is(err, database.ErrCorrupt), errors.Is(err, database.ErrNotADB):
		err = fmt.Errorf("%w (move the file away, and what has its name and -wal or -journal, and restore again)", err)
	}
	if err != nil {
		return Restoration{}, fmt.Errorf("database of tenant %q: %w", r.Snapshot.Tenant, err)
	}
	found.replaced = live.Reading
	for _, e := range live.journal {
		if !slices.ContainsFunc(copied.journal, func(kept apply.Entry) bool { return kept.Deployment == e.Deployment }) {
			found.Lost = append(found.Lost, e)
		}
	}
	found.Unrelated = len(live.journal) > 0 && len(found.Lost) == len(live.journal)
	return found, nil
}

// examined is what a database says about itself.
type examined struct {
	apply.Reading
	journal []apply.Entry // oldest first; nil without one
}

// examine reads a database without changing it, every page of it if pages is
// set. One that has a journal must be that of the tenant.
func examine(ctx context.Context, path string, tenant protocol.TenantID, pages bool) (found examined, err error) {
	conn, err := libsql.Open(ctx, path, libsql.Options{ReadOnly: true})
	if err != nil {
		return found, err
	}
	defer conn.Close()
	if pages {
		if err := libsql.QuickCheck(ctx, conn); err != nil {
			return found, err
		}
	}
	if found.Reading, err = apply.Read(ctx, conn); err != nil {
		return found, err
	}
	if owner := found.Record.Owner; found.Record.Last != nil && owner.Tenant != string(tenant) {
		return found, fmt.Errorf("%w: it is tenant %q of fleet %q", apply.ErrOwnedElsewhere, owner.Tenant, owner.Fleet)
	}
	found.journal, err = apply.Journal(ctx, conn)
	return found, err
}

// Restore gives a tenant's database the content of a snapshot, in one
// transaction, with a row in its journal that says so. The database as it is
// is kept as a snapshot first, so that a restore can be taken back like a
// deployment. Applications may have the database open.
//
// The caller holds the data directory. Errors are those of AssessRestore, and
// match apply.ErrSnapshot and apply.ErrRestless; then nothing has changed.
func (d *Deployer) Restore(ctx context.Context, r RestoreRequest) (Restoration, error) {
	done, err := d.AssessRestore(ctx, r)
	if err != nil {
		return done, err
	}
	done.ID = newID()
	part := r.Path + apply.PartSuffix
	if err := d.keeper.removeParts(r.Snapshot.Tenant); err != nil {
		return done, err
	}
	_ = os.Remove(part) // of a restore that died
	entry, err := d.prepareRestore(ctx, r, done, part)
	if err != nil {
		return done, err
	}
	if done.Missing {
		if err = libsql.PlaceNew(part, r.Path); errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w (somebody has made a database there meanwhile: restore again)", errors.Join(err, os.Remove(part)))
		}
	} else {
		done.Undo = done.ID
		err = errors.Join(d.exchange(ctx, r, done, part), os.Remove(part))
	}
	if err != nil {
		return done, fmt.Errorf("restore tenant %q: %w", r.Snapshot.Tenant, err)
	}
	return done, d.recordRestore(context.WithoutCancel(ctx), r, done, entry)
}

// prepareRestore makes, beside the database, what is to take its place: the
// snapshot with its journal row.
func (d *Deployer) prepareRestore(ctx context.Context, r RestoreRequest, done Restoration, part string) (apply.Entry, error) {
	snapshot, err := libsql.Open(ctx, r.Snapshot.Path, libsql.Options{ReadOnly: true})
	if err != nil {
		return apply.Entry{}, err
	}
	err = libsql.Copy(ctx, snapshot, part, 0o644) // as a new database has
	if err := errors.Join(err, snapshot.Close()); err != nil {
		return apply.Entry{}, err
	}
	conn, err := libsql.Open(ctx, part, libsql.Options{})
	if err != nil {
		return apply.Entry{}, errors.Join(err, os.Remove(part))
	}
	entry, err := apply.Restore(ctx, conn, apply.Restoration{
		ID: done.ID, At: d.now(), Author: r.Author, Snapshot: r.Snapshot.ID, Replaced: done.replaced,
	})
	if err == nil && done.Missing {
		_, err = conn.Query(ctx, "PRAGMA journal_mode = wal") // as a new database has; one that is there keeps its own
	}
	if err := errors.Join(err, conn.Close()); err != nil {
		return entry, errors.Join(err, os.Remove(part))
	}
	return entry, nil
}

// exchange copies the database as it is to a snapshot and gives it the content
// of the part, again until nobody has committed in between.
func (d *Deployer) exchange(ctx context.Context, r RestoreRequest, done Restoration, part string) error {
	from, err := libsql.Open(ctx, part, libsql.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer from.Close()
	conn, err := libsql.Open(ctx, r.Path, libsql.Options{})
	if err != nil {
		return err
	}
	undo := d.keeper.path(r.Snapshot.Tenant, done.Undo)
	err = apply.ErrRestless
	for range maxExchanges {
		var exchanged bool
		if exchanged, err = exchangeOnce(ctx, conn, from, undo); exchanged || err != nil {
			break
		}
		err = apply.ErrRestless
	}
	return errors.Join(err, conn.Close())
}

const maxExchanges = 5 // as often as a deployment takes its snapshot again

func exchangeOnce(ctx context.Context, conn, from *libsql.Conn, undo string) (bool, error) {
	version, err := conn.Version(ctx)
	if err != nil {
		return false, err
	}
	if err := libsql.Copy(ctx, conn, undo+apply.PartSuffix, 0o600); err != nil {
		return false, fmt.Errorf("%w: %w", apply.ErrSnapshot, err)
	}
	if err := libsql.Place(undo+apply.PartSuffix, undo); err != nil {
		return false, fmt.Errorf("%w: %w", apply.ErrSnapshot, err)
	}
	done, err := conn.Overwrite(ctx, from, version)
	if !done {
		err = errors.Join(err, os.Remove(undo))
	}
	return done, err
}

// recordRestore makes state follow: history gets the restore, and the next pass
// looks at the tenant. Where it fails the next pass finds the journal's row.
func (d *Deployer) recordRestore(ctx context.Context, r RestoreRequest, done Restoration, e apply.Entry) error {
	tenant := r.Snapshot.Tenant
	deployment := FromJournal(tenant, e)
	deployment.Subject = "restore of snapshot " + r.Snapshot.ID
	event := eventOf(deployment)
	event.At, event.Actor, event.Via, event.Kind = e.At, d.by.Actor, d.by.Via, state.EventRestored
	event.Detail = fmt.Sprintf("snapshot %s, %d deployments undone, the database before is snapshot %q", r.Snapshot.ID, len(done.Lost), done.Undo)
	if err := d.store.SaveDeployment(ctx, deployment, event); err != nil {
		return err
	}
	row, _, err := d.store.ObservedOf(ctx, tenant)
	if err != nil {
		return err
	}
	row.Tenant, row.Sync, row.Health = tenant, state.Unknown, state.Healthy
	row.Reason, row.Message = reason.Restored, "the database was put back from snapshot "+r.Snapshot.ID
	row.Next = "run reconciler sync, which looks at the tenant"
	row.Revision, row.AppliedRevision, row.DesiredDigest, row.BundleDigest = e.Revision, e.Revision, e.Bundle, e.Bundle
	row.Fingerprint, row.SchemaDigest, row.InputDigest, row.AppliedDigest = e.To, e.SchemaDigest, "", ""
	row.Target, row.Tried = "", ""
	row.Deployment, row.ObservedAt, row.PurgeAt = e.Deployment, e.At, time.Time{}
	return d.store.SaveObserved(ctx, row)
}
