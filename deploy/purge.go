package deploy

import (
	"context"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/schema"
)

// assessPurge looks for what was retired and is past its retention, in a
// tenant that is otherwise what git wants. Dropping it is a deployment of its
// own, to the same bundle. What keeps it from being dropped does not concern
// the tenant's applications: the tenant stays in sync, and says why.
func (d *Deployer) assessPurge(ctx context.Context, conn database.Conn, r Request, a Assessment) Assessment {
	due := a.seen.Record.Due(r.Policy.Retention, d.now())
	if len(due) == 0 {
		return a
	}
	purge := a
	var err error
	purge.Plan, purge.Class, err = d.planner.plan(ctx, situation{
		conn: conn, master: a.seen.Master, record: a.seen.Record, desired: r.Desired, policy: r.Policy.Plan, due: due,
	})
	if !r.Policy.Plan.Retire {
		// Without a retention it was a rollback that retired it, and nobody who
		// removed it: the policy has not been asked.
		r.Policy.Plan.KeepValues = false
	}
	if err == nil {
		purge = d.judge(ctx, conn, r, purge)
		err = purge.Err
	}
	if err != nil {
		a.Reason, a.Message = reason.PurgeHeld, "what was retired is past its retention and is still there: "+err.Error()
		_, _, a.Next = classify(err)
		return a
	}
	return purge
}

// purgeAt is when the first retired column or table of a tenant is due, the
// zero time when nothing is retired. After a rollback nothing is due: the
// tenant is held, and the pass that looks at it again knows the retention.
func (d *Deployer) purgeAt(r Request, result Result) time.Time {
	if r.back != nil {
		return time.Time{}
	}
	var first time.Time
	earlier := func(at time.Time) {
		if due := at.Add(r.Policy.Retention); first.IsZero() || due.Before(first) {
			first = due
		}
	}
	if !result.Changed {
		for _, retired := range result.seen.Record.Retired {
			earlier(retired.At)
		}
		return first
	}
	if !schema.HasRetired(result.Plan.Owned) {
		return first
	}
	owned, err := schema.ParseOwned(result.Plan.Owned)
	if err != nil {
		return time.Time{} // the next pass reads it from the database
	}
	for _, name := range owned.RetiredNames() {
		retired, known := result.seen.Record.Retired[name]
		if !known || result.Plan.Retires(name) {
			retired.At = d.now()
		}
		earlier(retired.At)
	}
	return first
}
