package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// course is how a pass goes through the fleet: the rollout that is under way
// and what is known of every tenant.
type course struct {
	fleet.Decision
	tenants []fleet.Tenant               // of the whole revision, as the decision knew them
	targets map[protocol.TenantID]string // of each, as package fleet has them
}

// readRollout reads the newest rollout, as commands may have left it.
func (r *Reconciler) readRollout(ctx context.Context) error {
	if r.Store == nil {
		return nil
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	last, ok, err := r.Store.LastRollout(ctx)
	if err != nil {
		return err
	}
	if ok {
		r.rollout.Store(&last)
	}
	return nil
}

// placesOf returns the tenants of a rollout, which never change.
func (r *Reconciler) placesOf(ctx context.Context, id int) ([]state.RolloutTenant, error) {
	if r.placed.id == id {
		return r.placed.places, nil
	}
	places, err := r.Store.RolloutTenants(ctx, id)
	if err == nil {
		r.placed.id, r.placed.places = id, places
	}
	return places, err
}

// decide says how a revision goes on. It changes nothing.
func (r *Reconciler) decide(ctx context.Context, f reading, tenants []fleet.Tenant) (fleet.Decision, error) {
	in := fleet.Input{
		Now: r.Now(), Revision: f.commit.Hash, Rollout: f.loaded.Config.Rollout, Windows: f.loaded.Config.Windows, Tenants: tenants,
	}
	if err := r.readRollout(ctx); err != nil {
		return fleet.Decision{}, err
	}
	if last := r.rollout.Load(); last != nil {
		in.Last = last
		var err error
		if in.Places, err = r.placesOf(ctx, last.ID); err != nil {
			return fleet.Decision{}, err
		}
	}
	return fleet.Decide(in), nil
}

// advance decides and records what was decided. A command that changes the
// rollout at the same time is heard: then it is decided again.
func (r *Reconciler) advance(ctx context.Context, f reading, tenants []fleet.Tenant) (fleet.Decision, error) {
	for {
		d, err := r.decide(ctx, f, tenants)
		if err != nil || !d.Changed {
			return d, err
		}
		err = r.saveRollout(context.WithoutCancel(ctx), f, &d)
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err == nil {
			err = r.readRollout(ctx) // as a command may have left it since
		}
		return d, err
	}
}

func (r *Reconciler) saveRollout(ctx context.Context, f reading, d *fleet.Decision) error {
	for i := range d.Events {
		e := &d.Events[i]
		e.Actor, e.Via, e.Author = cmp.Or(r.By.Actor, "reconciler"), r.By.Via, f.commit.Author
		if f.commit.Email != "" {
			e.Author += " <" + f.commit.Email + ">"
		}
	}
	if !d.Begins {
		err := r.Store.SaveRollout(ctx, d.Rollout, d.Events...)
		r.tell(*d, err)
		return err
	}
	err := r.Store.StartRollout(ctx, d.Rollout, d.Places, d.Superseded, d.Events...)
	if err == nil {
		r.placed.id, r.placed.places = d.Rollout.ID, d.Places
	}
	r.tell(*d, err)
	return err
}

// tell logs what has become of a rollout. Of one with a single wave the tenants'
// own lines tell enough.
func (r *Reconciler) tell(d fleet.Decision, err error) {
	if err != nil {
		return
	}
	level := slog.LevelInfo
	if len(d.Rollout.Waves) < 2 {
		level = slog.LevelDebug
	}
	for _, e := range d.Events {
		log := r.Log.With(logRollout, d.Rollout.ID, logRevision, d.Rollout.Revision, logReason, e.Reason)
		switch e.Kind {
		case state.EventRolloutStarted:
			log.Log(context.Background(), level, "rollout started")
		case state.EventRolloutHalted:
			log.Error("rollout halted")
		case state.EventRolloutEnded:
			log.Log(context.Background(), level, "rollout ended")
		}
	}
}

// tenantsOf is what a decision needs to know of a revision.
func (r *Reconciler) tenantsOf(f reading) course {
	c := course{tenants: make([]fleet.Tenant, len(f.loaded.Tenants)), targets: make(map[protocol.TenantID]string, len(f.loaded.Tenants))}
	known := map[string]string{} // of tenants with the fleet's policy, by bundle
	for i, t := range f.loaded.Tenants {
		one := fleet.Tenant{ID: t.ID, Labels: t.Spec.Labels}
		if t.Desired != nil {
			own := t.Spec.Policy != nil || t.Spec.LegalHold != nil || len(t.Spec.DropTables) > 0
			if one.Target = known[t.Desired.Digest]; own || one.Target == "" {
				one.Target = target(t.Desired.Digest, tenantPolicy(f.loaded.Config, t.Spec).Plan)
			}
			if !own {
				known[t.Desired.Digest] = one.Target
			}
		}
		c.tenants[i], c.targets[t.ID] = one, one.Target
	}
	inParallel(len(c.tenants), func(i int) {
		if t, one := f.loaded.Tenants[i], &c.tenants[i]; t.Desired != nil {
			one.Progress = r.progress(f, t, one.Target)
			one.New = one.Progress == fleet.Pending && r.isNew(f, t)
		}
	})
	return c
}

// target stands, in 12 hex digits, for what a tenant's plan depends on besides
// its database.
func target(bundle string, policy deploy.PlanPolicy) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%+v", bundle, policy))
	return hex.EncodeToString(sum[:6])
}

func (r *Reconciler) progress(f reading, t *bundle.Tenant, target string) fleet.Progress {
	if f.suspended(t) {
		return fleet.Aside
	}
	row := f.peek(t.ID)
	if hold, held := r.hold(t); held {
		// What was taken back by itself has failed, and is held for that.
		if hold.Bundle != "" && row.Tried == target && row.Target != target {
			return fleet.Failed
		}
		return fleet.Aside
	}
	return fleet.ProgressOf(row, target, t.Desired.Digest)
}

// isNew tells that a tenant has neither a past nor a database.
func (r *Reconciler) isNew(f reading, t *bundle.Tenant) bool {
	if row := f.peek(t.ID); row.BundleDigest != "" || row.Deployment != "" {
		return false
	}
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return false
	}
	stamp, err := r.Router.Stamp(at)
	return err == nil && stamp == ""
}
