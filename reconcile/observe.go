package reconcile

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// observe records what a pass saw of tenants, one row for each that is not as
// it was. When all that git wants of the fleet was looked at, the tenants that
// follow are at its revision now, which costs nothing.
func (r *Reconciler) observe(ctx context.Context, f reading, tenants []Tenant, whole bool) error {
	rows := r.rows(f, tenants)
	var err error
	ctx = context.WithoutCancel(ctx)
	if whole {
		rows = append(rows, r.left(f)...)
		if len(rows) == 0 && r.head == f.commit.Hash {
			return nil
		}
		err = r.Store.SaveFleet(ctx, f.commit.Hash, rows...)
		r.head = f.commit.Hash
	} else {
		err = r.Store.SaveObserved(ctx, rows...)
	}
	if err != nil {
		r.head = ""
		return err
	}
	for _, row := range rows {
		row.Follows = row.Follows && whole
		f.observed.save(row)
	}
	for i := range tenants {
		tenants[i].saved = true
	}
	return nil
}

// left are the rows of tenants that followed and that git has no more: they
// stay at the revision that had them.
func (r *Reconciler) left(f reading) []state.Observed {
	var rows []state.Observed
	for _, id := range removed(f, Selection{}) {
		if row := f.before(id); row.Follows && !f.gone[id] {
			row.Follows = false
			rows = append(rows, row)
		}
	}
	return rows
}

// rows are those to be written of tenants that a pass has come to.
func (r *Reconciler) rows(f reading, tenants []Tenant) []state.Observed {
	var rows []state.Observed
	for _, t := range tenants {
		before := f.before(t.ID)
		asBefore := t.target == "" || before.Target == t.target && before.Tried == t.target
		switch {
		case t.saved, t.remembered && !before.Follows:
		case t.gone:
			f.gone[t.ID] = true
		case t.remembered:
			before.Follows = false
			rows = append(rows, before)
		case t.unchanged && before.Follows && asBefore:
		case t.unchanged && !t.follows(before) && before.Revision == f.commit.Hash:
		default:
			row := r.observed(f, t)
			row.Follows = t.follows(row)
			rows = append(rows, row)
		}
	}
	return rows
}

// follows tells that later revisions that want the same of the tenant change
// nothing in its row but their own name.
func (t Tenant) follows(row state.Observed) bool {
	return row.Sync == state.Synced && row.Health == state.Healthy && row.Revision == row.AppliedRevision &&
		t.Result.Action != Held && t.Result.Action != Waits && t.Result.Action != Remove
}

// saveTags records where the tags are whose app versions are now deployed, so
// that one that moves later is known to have moved, in another process too.
func (r *Reconciler) saveTags(ctx context.Context, f reading, report Report) error {
	if len(f.loaded.Versions) == 0 {
		return nil // no tenant is at a tag
	}
	synced := make(map[protocol.TenantID]bool, len(report.Tenants))
	for _, t := range report.Tenants {
		synced[t.ID] = t.Sync == state.Synced && t.Health == state.Healthy
	}
	commits := map[string]string{}
	for _, t := range f.tenants {
		for _, app := range t.Spec.Apps {
			tag := tagOf(app.Name, app.Version)
			if commit := f.loaded.Versions[tag]; synced[t.ID] && commit != "" && f.tags[tag] == "" {
				commits[tag] = commit
			}
		}
	}
	return r.Store.SaveTags(context.WithoutCancel(ctx), commits)
}

func (r *Reconciler) observed(f reading, t Tenant) state.Observed {
	row := f.before(t.ID)
	if t.Interrupted() && (row.Health.Problem() || row.Reason == reason.Drift) {
		return row // which is so still, as far as anybody knows
	}
	row.Tenant, row.Sync, row.Health, row.Plan = t.ID, t.Sync, t.Health, t.Plan
	row.Reason, row.Message, row.Next = t.Result.Reason, t.Result.Message, t.Result.Next
	var detailed interface {
		error
		Detail() string
	}
	if errors.As(t.Result.Err, &detailed) { // the message may say more than the error
		row.Message = strings.Replace(row.Message, detailed.Error(), detailed.Detail(), 1)
	}
	row.Revision, row.ObservedAt = f.commit.Hash, r.Now()
	switch {
	case t.Result.Action == Held, t.Result.Action == Waits:
		row.DesiredDigest = t.bundle
		return t.kept(row)
	case t.unchanged:
		row.AppliedRevision, row.Target, row.Tried = f.commit.Hash, t.target, t.target
		return row
	}
	row.InputDigest, row.Tried = t.input, t.target
	if t.Result.RolledBack {
		return r.wentBack(row, t)
	}
	if t.bundle != "" {
		row.DesiredDigest = t.bundle
	}
	if t.Result.DeploymentID != "" {
		row.Deployment = t.Result.DeploymentID
	}
	if t.Result.Reason == reason.Drift { // which says that nothing newer waits
		row.AppliedRevision, row.BundleDigest, row.Target = f.commit.Hash, t.bundle, t.target
		row.Deployment = t.Result.Newest()
	}
	if t.Sync != state.Synced || t.Health == state.Suspended {
		return row
	}
	row.AppliedRevision, row.PurgeAt = f.commit.Hash, t.Result.PurgeAt
	row.BundleDigest, row.Fingerprint, row.Target = t.bundle, t.Result.Fingerprint, t.target
	if t.Result.Changed {
		row.SchemaDigest, row.AppliedDigest = t.Result.Plan.ToSchema, t.Result.Plan.Applied
	}
	return row
}

// wentBack is the row of a tenant whose deployment was taken back by itself.
func (r *Reconciler) wentBack(row state.Observed, t Tenant) state.Observed {
	back := t.Result
	row.DesiredDigest, row.InputDigest = t.bundle, ""
	row.AppliedRevision, row.BundleDigest, row.Fingerprint = back.Revision, back.Plan.Bundle, back.Fingerprint
	row.SchemaDigest, row.AppliedDigest = back.Plan.ToSchema, back.Plan.Applied
	row.Deployment, row.PurgeAt = back.DeploymentID, back.PurgeAt
	return row
}

// remembered is a tenant that is not looked at now, as it was seen last.
func remembered(f reading, t *bundle.Tenant) Tenant {
	row := f.before(t.ID)
	seen := Tenant{ID: t.ID, Plan: row.Plan, Sync: row.Sync, Health: row.Health, unchanged: true, remembered: true}
	seen.Result.Reason, seen.Result.Message, seen.Result.Next = row.Reason, row.Message, row.Next
	return seen
}

// postponed is a tenant whose turn, if it has come, goes to the next pass.
func postponed(f reading, t *bundle.Tenant) Tenant {
	seen := remembered(f, t)
	seen.postponed, seen.bundle = true, digestOf(t)
	return seen
}

// removed is a tenant that git does not have, and of which nothing says that an
// earlier revision had it. Nothing is done to it.
func (r *Reconciler) removed(f reading, id protocol.TenantID) Tenant {
	t := Tenant{ID: id, Plan: f.before(id).Plan, Sync: state.OutOfSync, Health: state.Healthy}
	t.Result.Action = Remove
	t.Result.Reason, t.Result.Message = reason.Removed, "the tenant is not in this revision; its database is left as it is"
	t.Result.Next = "put the directory back, or remove it from the branch that is followed"
	return t
}

func (r *Reconciler) savePass(ctx context.Context, started time.Time, report Report, failure error) error {
	pass := state.Pass{
		Kind: "sync", Revision: report.Revision.Hash, Status: report.Status,
		StartedAt: started, CompletedAt: r.Now(), Tenants: len(report.Tenants),
	}
	for _, t := range report.Tenants {
		if t.Result.Changed {
			pass.Changed++
		}
		if t.Problem() {
			pass.Failed++
		}
	}
	if w := report.Waiting; w != nil {
		pass.WaitingRevision, pass.WaitingReason, pass.WaitingMessage, pass.WaitingNext = w.Revision, w.Reason, w.Message, w.Next
	}
	if failure != nil {
		pass.Status, pass.Error = state.Failed, failure.Error()
	}
	return r.Store.SavePass(context.WithoutCancel(ctx), pass)
}
