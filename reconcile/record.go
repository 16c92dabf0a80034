package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// record saves what this revision says of the tenants of the pass, where that
// is not what is recorded. Nothing is read of tenants that stand as they should
// at a revision that was recorded before.
func (r *Reconciler) record(ctx context.Context, f *reading, s Selection) error {
	if f.records != nil {
		return nil // a commit without tenants was looked at before
	}
	read := r.Store.Tenants
	if r.recorded == f.commit.Hash {
		read = r.Store.UnsettledTenants
	}
	recorded, err := read(ctx)
	if err != nil {
		return err
	}
	f.records = make(map[protocol.TenantID]state.Tenant, len(recorded))
	for _, t := range recorded {
		f.records[t.ID] = t
	}
	if r.recorded == f.commit.Hash {
		return nil
	}
	changed, err := f.changedTenants()
	if err == nil {
		err = r.Store.SaveTenants(ctx, changed...)
	}
	if err == nil && len(s.Tenants) == 0 {
		r.recorded = f.commit.Hash
	}
	for _, t := range changed {
		f.records[t.ID] = t
		r.life.OnChange(t.ID)
	}
	return err
}

// changedTenants are the records of tenants of which this revision says
// something else. One that is broken, or shares its database, stays as it was.
func (f *reading) changedTenants() ([]state.Tenant, error) {
	var changed []state.Tenant
	for _, t := range f.tenants {
		if t.Desired == nil || f.shared[t.ID] != nil {
			continue
		}
		known, ok := f.records[t.ID]
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
		if f.observed[t.ID].BundleDigest != "" { // it was deployed to before tenants were recorded
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
