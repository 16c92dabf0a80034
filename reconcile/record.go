package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// recorded is the revision whose tenants are all recorded.
type recorded struct {
	revision string // empty for none
	loaded   *bundle.Fleet
	shared   map[protocol.TenantID]*sharedError
}

// record saves what this revision says of the tenants of the pass, where that
// is not what is recorded. Nothing is read of tenants that stand as they should
// and of which the revision that was recorded before says the same.
func (r *Reconciler) record(ctx context.Context, f *reading, s Selection) error {
	if f.records != nil {
		return nil // a commit without tenants was looked at before
	}
	moved := r.recorded.moved(f)
	known, err := r.records(ctx, moved)
	if err != nil {
		return err
	}
	f.records = make(map[protocol.TenantID]state.Tenant, len(known))
	for _, t := range known {
		f.records[t.ID] = t
	}
	if r.recorded.revision == f.commit.Hash {
		return nil
	}
	changed, err := f.changedTenants(moved)
	if err == nil {
		err = r.Store.SaveTenants(ctx, changed...)
	}
	if err == nil && len(s.Tenants) == 0 {
		r.recorded = recorded{f.commit.Hash, f.loaded, f.shared}
	}
	for _, t := range changed {
		f.records[t.ID] = t
		r.life.OnChange(t.ID)
	}
	return err
}

// moved are the tenants of which a revision may say something else than is
// recorded, or which it no longer has. Nil, other than empty, stands for all of
// them.
func (last recorded) moved(f *reading) []protocol.TenantID {
	moved := []protocol.TenantID{}
	switch {
	case last.revision == "":
		return nil
	case last.revision == f.commit.Hash:
		return moved
	case !reflect.DeepEqual(last.loaded.Config, f.loaded.Config):
		return nil
	}
	before := last.loaded.Tenants // by id, as the others
	for _, t := range f.loaded.Tenants {
		for len(before) > 0 && before[0].ID < t.ID {
			moved, before = append(moved, before[0].ID), before[1:]
		}
		var old *bundle.Tenant
		if len(before) > 0 && before[0].ID == t.ID {
			old, before = before[0], before[1:]
		}
		if old == nil || !t.SameFiles(old) || t.Desired == nil || old.Desired == nil || f.shared[t.ID] != nil || last.shared[t.ID] != nil {
			moved = append(moved, t.ID)
		}
	}
	for _, t := range before {
		moved = append(moved, t.ID)
	}
	return moved
}

// records are those of some tenants, nil for all, and of all that do not stand
// as they should.
func (r *Reconciler) records(ctx context.Context, of []protocol.TenantID) ([]state.Tenant, error) {
	const few = 100 // are read one by one
	if of == nil || len(of) > few {
		return r.Store.Tenants(ctx)
	}
	all, err := r.Store.UnsettledTenants(ctx)
	for _, id := range of {
		if err != nil {
			break
		}
		var one state.Tenant
		if one, err = r.Store.Tenant(ctx, id); err == nil {
			all = append(all, one)
		} else if errors.Is(err, state.ErrNotFound) {
			err = nil
		}
	}
	return all, err
}

// lookUp reads what state has of the tenants of a fleet that is not read from the
// repository.
func (r *Reconciler) lookUp(ctx context.Context, f *reading) error {
	if r.Store == nil {
		return nil
	}
	var err error
	if f.observed, err = r.known(ctx); err != nil {
		return err
	}
	return errors.Join(r.readHolds(ctx), r.recall(ctx, f))
}

// recall reads what is recorded of tenants that do not stand as they should, for
// a look that records nothing itself.
func (r *Reconciler) recall(ctx context.Context, f *reading) error {
	if r.Store == nil {
		return nil
	}
	known, err := r.Store.UnsettledTenants(ctx)
	f.records = make(map[protocol.TenantID]state.Tenant, len(known))
	for _, t := range known {
		f.records[t.ID] = t
	}
	return err
}

// changedTenants are the records of tenants among some, nil for all, of which
// this revision says something else. One that is broken, or shares its database, stays as it was,
// but for a legal hold.
func (f *reading) changedTenants(among []protocol.TenantID) ([]state.Tenant, error) {
	var changed []state.Tenant
	tenants := f.tenants
	if among != nil {
		tenants = nil
		for _, id := range among {
			if t := find(f.tenants, id); t != nil {
				tenants = append(tenants, t)
			}
		}
	}
	for _, t := range tenants {
		known, ok := f.records[t.ID]
		if t.Desired == nil || f.shared[t.ID] != nil {
			if held := heldBy(known, t.Spec); ok && !reflect.DeepEqual(held, known.Spec.LegalHold) {
				known.Spec.LegalHold = held
				changed = append(changed, known)
			}
			continue
		}
		next := f.recordOf(t, known)
		same, err := saysTheSame(known, next)
		if err != nil {
			return nil, err
		}
		if !ok || !same {
			changed = append(changed, next)
		}
	}
	return changed, nil
}

func (f *reading) recordOf(t *bundle.Tenant, known state.Tenant) state.Tenant {
	next := known
	next.ID, next.Spec, next.Revision = t.ID, t.Spec, f.commit.Hash
	if f.past {
		next.Spec.LegalHold = heldBy(known, t.Spec)
	}
	next.Pending = ""
	if known.Awaits(state.PendingStatus) && known.Spec.ProvisioningStatus != t.Spec.ProvisioningStatus {
		next.Spec.ProvisioningStatus = known.Spec.ProvisioningStatus
		next.Pending += "," + state.PendingStatus
	}
	if known.Awaits(state.PendingPlan) && known.Spec.Plan != t.Spec.Plan {
		next.Spec.Plan = known.Spec.Plan
		next.Pending += "," + state.PendingPlan
	}
	if known.Awaits(state.PendingRemoval) {
		next.Pending += "," + state.PendingRemoval
	}
	next.Pending = strings.TrimPrefix(next.Pending, ",")
	next.Quotas = f.loaded.Config.QuotasOf(next.Spec.Plan, t.Spec.Quotas)
	if next.Origin == "" {
		next.Origin = state.FromGit
	}
	if next.Status == "" {
		next.Status, next.StatusSince = protocol.TenantProvisioning, f.now
		if f.before(t.ID).BundleDigest != "" { // it was deployed to before tenants were recorded
			next.Status = protocol.TenantActive
		}
	}
	return next
}

// saysTheSame compares what git says in two records, as it is stored.
func saysTheSame(a, b state.Tenant) (bool, error) {
	type said struct {
		Spec   bundle.TenantSpec
		Quotas protocol.TenantQuota
		// Pending, and whether git has it.
		Pending string
		InGit   bool
	}
	one, err := json.Marshal(said{a.Spec, a.Quotas, a.Pending, a.Revision != ""})
	if err != nil {
		return false, err
	}
	other, err := json.Marshal(said{b.Spec, b.Quotas, b.Pending, b.Revision != ""})
	return bytes.Equal(one, other), err
}
