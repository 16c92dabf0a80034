package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// newLife returns the service that carries the tenants of a Reconciler through
// their lives.
func newLife(r *Reconciler) *provision.Service {
	if r.Router == nil || r.Store == nil {
		return nil // who only looks
	}
	data, from := r.Router.DataDir(), &source{Reconciler: r, drafts: bundle.NewCache()}
	return provision.New(provision.Config{
		Store: r.Store, Provider: r.provider(from.Config), Deployer: r.deployer,
		Fleet:   from,
		Backups: provision.Directories(data, r.Router.FileRoot()), Scratch: filepath.Join(data, "scratch"),
		By: r.By, Snapshots: r.Snapshots, OnChange: r.OnChange, Now: r.Now, Log: r.Log,
	})
}

// provider makes databases in files, or on the server that is configured.
func (r *Reconciler) provider(policy func(context.Context) (config.Fleet, error)) provision.Provider {
	files := provision.Files{Router: r.Router}
	if r.Databases.Server == nil {
		return files
	}
	hosted := &provision.Hosted{Files: files, Databases: r.Databases, Store: r.Store, Secrets: r.Secrets, Fleet: policy}
	hosted.Confirm()
	return hosted
}

// Life is the service that carries the tenants through their lives. It may be
// used while Run goes on. Nil without a store.
func (r *Reconciler) Life() *provision.Service { return r.life }

// syncTenant brings one tenant to the revision, and through its life to where
// it should be in it.
func (r *Reconciler) syncTenant(ctx context.Context, f reading, t *bundle.Tenant) Tenant {
	defer r.life.Lock(t.ID)()
	known, err := r.recordOf(ctx, f, t)
	destroying := false
	if err == nil && !known.Awaits(state.PendingRemoval) {
		destroying, err = r.life.Destroying(ctx, known)
	}
	done := Tenant{ID: t.ID, Plan: string(t.Spec.Plan), Faults: t.Faults, bundle: digestOf(t), target: f.gate.target(t.ID)}
	switch {
	case err != nil:
		return done.failed(err)
	case t.Desired == nil || f.shared[t.ID] != nil || known.ID == "":
		return r.deployTo(ctx, f, t)
	case known.Awaits(state.PendingRemoval) || destroying:
		return r.remove(ctx, f, known)
	case known.Spec.ProvisioningStatus == protocol.TenantSuspended:
		if known.Status != protocol.TenantSuspended || !known.RemovedAt.IsZero() || provision.Halfway(known.Lifecycle) {
			err = r.suspend(ctx, f, known)
		}
		if err != nil {
			return done.failed(err)
		}
		return done.suspended(known)
	case resumes(known):
		if err := r.life.Resume(ctx, &known, "git says so"); err != nil {
			return done.failed(err)
		}
	case known.Status != protocol.TenantActive && f.gate.wait(t.ID) == nil:
		if _, held := r.hold(t); !held {
			return r.bringUp(ctx, f, t, known)
		}
	}
	done = r.deployTo(ctx, f, t)
	if done.Result.Reason == reason.Suspended { // the mark is older than what is recorded
		if err := r.life.Resume(ctx, &known, "git says so"); err != nil {
			return done.failed(err)
		}
		done = r.deployTo(ctx, f, t)
	}
	return done
}

// resumes tells that a tenant is not in use, or may not be, which is to be.
func resumes(known state.Tenant) bool {
	return provision.Halfway(known.Lifecycle) || !known.RemovedAt.IsZero() || known.Status == protocol.TenantSuspended || known.Status == protocol.TenantDestroying
}

// suspend suspends a tenant, also one that was being removed: it is in git
// again, and not in use.
func (r *Reconciler) suspend(ctx context.Context, f reading, known state.Tenant) error {
	if !known.RemovedAt.IsZero() {
		if err := r.life.Resume(ctx, &known, "git has the tenant again"); err != nil {
			return err
		}
	}
	return r.life.Suspend(ctx, &known, f.loaded.Config, "git says so")
}

// recordOf is what is recorded of a tenant, as of now where it is not simply
// active: somebody may have changed it since the pass began. The zero record
// stands for one that is, and need not be read.
func (r *Reconciler) recordOf(ctx context.Context, f reading, t *bundle.Tenant) (state.Tenant, error) {
	known, ok := f.records[t.ID]
	wantsActive := t.Spec.ProvisioningStatus != protocol.TenantSuspended
	switch {
	case !ok && wantsActive && r.recorded.revision == f.commit.Hash, t.Desired == nil:
		return state.Tenant{}, nil
	case ok && wantsActive && known.Status == protocol.TenantActive && known.RemovedAt.IsZero() && known.Pending == "":
		return known, nil
	}
	known, err := r.Store.Tenant(ctx, t.ID)
	if errors.Is(err, state.ErrNotFound) {
		return state.Tenant{}, nil // it shares a database, or has just been forgotten
	}
	return known, err
}

// bringUp provisions a tenant: what a pass deploys to it is a step of that.
func (r *Reconciler) bringUp(ctx context.Context, f reading, t *bundle.Tenant, known state.Tenant) Tenant {
	var done Tenant
	err := r.life.Provision(ctx, &known, f.loaded.Config, func(ctx context.Context, made database.Conn) error {
		open := r.Router.Open
		if made != nil {
			open = func(context.Context, tenantrouter.Location, bool) (database.Conn, error) { return made, nil }
		}
		done = r.deployThrough(ctx, f, t, open)
		return done.Result.Err
	})
	switch {
	case done.ID == "" && err == nil: // it was deployed to before a crash
		return r.deployTo(ctx, f, t)
	case done.ID == "":
		return Tenant{ID: t.ID, Plan: string(t.Spec.Plan), Faults: t.Faults, bundle: digestOf(t), target: f.gate.target(t.ID)}.failed(err)
	case err != nil && done.Result.Err == nil:
		return done.failed(err)
	case done.Result.Reason == reason.Suspended: // its tenant.yaml says that it is in use
		done.Result.Next = fmt.Sprintf("run \"reconciler tenant resume %s --now\" where this is the customer whose database it was before a removal; else move the database away", t.ID)
	}
	return done
}

// removals leads the tenants that git no longer has out of the fleet, and
// reports them.
func (r *Reconciler) removals(ctx context.Context, f reading, s Selection) []Tenant {
	r.nextEnd = time.Time{}
	if len(s.Tenants) > 0 || s.Revision != "" {
		return r.leave(f, s) // somebody looks back, or at a part
	}
	var report []Tenant
	for _, known := range f.going() {
		if ctx.Err() != nil {
			break
		}
		if h, held := r.holdOn(known.ID, known.Spec.Labels, ""); held {
			report = append(report, r.heldHere(f, known, h))
			continue
		}
		if known.RemovedAt.IsZero() && f.waiting != nil {
			report = append(report, r.kept(f, known, f.waiting.Waiting))
			continue
		}
		done := r.removeNow(ctx, f, known.ID)
		if done.gone {
			r.recorded = recorded{} // a directory that is back is a new tenant
		}
		report = append(report, done)
	}
	for _, id := range removed(f, s) {
		if _, ok := f.records[id]; !ok {
			report = append(report, r.removed(f, id))
		}
	}
	return report
}

// going are the tenants that a commit had and that this one has not, by id.
func (f *reading) going() []state.Tenant {
	var going []state.Tenant
	for _, known := range f.records {
		if known.Revision != "" && !f.has(known.ID) {
			going = append(going, known)
		}
	}
	slices.SortFunc(going, func(a, b state.Tenant) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return going
}

// recover goes on with sign-ups that a crash has interrupted, or that failed. That
// one fails again is told to the log: nobody waits for it here.
func (r *Reconciler) recover(ctx context.Context, f reading) {
	for _, known := range f.records {
		if ctx.Err() != nil || !known.PendingCommit() || f.has(known.ID) {
			continue
		}
		if err := r.life.Recover(ctx, known.ID); err != nil {
			r.Log.Warn("sign-up not provisioned", logTenant, string(known.ID), logErr, err)
		}
		if known.Awaits(state.PendingRemoval) || !known.RemovedAt.IsZero() {
			_ = r.removeNow(ctx, f, known.ID) // its result is in the tenant's record
		}
	}
}

// leave reports what git does not have and does nothing about it.
func (r *Reconciler) leave(f reading, s Selection) []Tenant {
	var report []Tenant
	for _, id := range removed(f, s) {
		if known, ok := f.records[id]; !ok || !known.PendingCommit() {
			report = append(report, r.removed(f, id))
		}
	}
	return report
}

// has tells that the revision has a tenant, broken or not.
func (f *reading) has(id protocol.TenantID) bool {
	return f.tenant(id) != nil
}

func (r *Reconciler) removeNow(ctx context.Context, f reading, id protocol.TenantID) Tenant {
	defer r.life.Lock(id)()
	known, err := r.Store.Tenant(ctx, id)
	if err != nil {
		return Tenant{ID: id}.failed(err)
	}
	if known.Pending != "" { // what git no longer has needs no commit
		known.Pending = ""
		if err := r.Store.SaveTenants(ctx, known); err != nil {
			return Tenant{ID: id}.failed(err)
		}
	}
	return r.remove(ctx, f, known)
}

// remove does what is due of a tenant's removal. The caller has its lock.
func (r *Reconciler) remove(ctx context.Context, f reading, known state.Tenant) Tenant {
	done := Tenant{ID: known.ID, Plan: string(known.Spec.Plan), Sync: state.Synced, Health: state.Suspended}
	done.Result.Action = Remove
	keep := r.keeps(ctx, f, known)
	before := known.Lifecycle
	gone, err := r.life.Remove(ctx, &known, f.loaded.Config, "git no longer has the tenant", keep.why)
	if err != nil {
		done = done.failed(err)
		done.Result.Reason = reason.RemovalFailed
		return done
	}
	if gone {
		done.gone = true
		done.Result.Reason, done.Result.Message = reason.Destroyed, "the tenant is gone with its database; backups are kept for "+string(f.loaded.Config.Backup.Retention)
		if last := len(known.Steps) - 1; last >= 0 && known.Steps[last].Status == protocol.StepSkipped {
			done.Result.Message = "the tenant is gone; its database is left, because it is somebody else's, or has tables and no journal"
			if known.Spec.ConnectionConfig != nil {
				done.Result.Message = "the tenant is gone; its database is left where it is, as its tenant.yaml named it"
			}
		}
		return done
	}
	done.leaves(f, known, keep)
	if at := provision.DestroyAt(known, f.loaded.Config); !removalWaits(known, keep) && (r.nextEnd.IsZero() || at.Before(r.nextEnd)) {
		r.nextEnd = at
	}
	row := f.before(known.ID)
	done.unchanged = before.Status == known.Status && row.Reason == done.Result.Reason && row.Message == done.Result.Message
	return done
}

// heldHere is a tenant that git no longer has and that a hold keeps as it is.
func (r *Reconciler) heldHere(f reading, known state.Tenant, h state.Hold) Tenant {
	r.recorded = recorded{} // it is to be seen when the hold has ended
	t := Tenant{ID: known.ID, Plan: string(known.Spec.Plan)}.held(h, f.before(known.ID))
	t.Sync = state.OutOfSync
	return t
}

// kept is a tenant whose removal the guard holds back.
func (r *Reconciler) kept(f reading, known state.Tenant, why fleet.Waiting) Tenant {
	t := Tenant{ID: known.ID, Plan: string(known.Spec.Plan), Sync: state.OutOfSync, Health: state.Blocked}
	t.Result.Action, t.Result.Reason = Remove, why.Reason
	t.Result.Message, t.Result.Next = why.Message, why.Next
	row := f.before(known.ID)
	t.unchanged = row.Reason == why.Reason && row.Message == why.Message
	return t
}

// expire erases the backups that are past their time. That it could not is told
// to the log: the fleet is not worse for it.
func (r *Reconciler) expire(ctx context.Context, f reading) {
	if err := r.life.Expire(ctx, f.loaded.Config.Backup); err != nil && ctx.Err() == nil { // else the next process does it
		r.Log.Warn("backups not expired", logErr, err)
	}
}
