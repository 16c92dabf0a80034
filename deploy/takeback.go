package deploy

import (
	"context"
	"errors"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/state"
)

// takeBack rolls back a deployment after which queries gave rows, where the
// policy says so, and holds its bundle back: the way of Rollback, by itself.
//
// The hold comes after the rollback. Should the process die between the two,
// the next pass deploys the bundle again, and comes here again; the other way
// round it would leave a tenant as it is that was not rolled back.
func (d *Deployer) takeBack(ctx context.Context, conn database.Conn, r Request, result Result) Result {
	var failed *VerifyError
	if !r.Policy.RollBack || !errors.As(result.Err, &failed) || !failed.found() {
		return result
	}
	told := *failed
	refuse := func(err error) Result {
		told.Why = err
		result.Assessment = result.failed(&told)
		return result
	}
	journal, err := returnable(ctx, conn, failed.Deployment)
	if err != nil {
		return refuse(err)
	}
	back := d.rollback(ctx, conn, journal, len(journal)-2, Request{
		Owner: r.Owner, Policy: Policy{Plan: r.Policy.Plan}, Author: d.by.Actor, Snapshots: r.Snapshots, MaxLock: r.MaxLock,
		reason: reason.VerifyFailed + ": " + failed.what(),
	})
	switch {
	case back.Changed:
	case back.Err != nil:
		return refuse(back.Err)
	default:
		return refuse(errors.New("there was nothing to take back"))
	}
	hold := state.Hold{
		Tenant: failed.Tenant, Bundle: r.Desired.Digest, Owner: d.by.name(), Via: d.by.Via,
		Reason: "it failed its verification and was rolled back: " + failed.what(), SetAt: d.now(),
	}
	err = d.store.SetHold(context.WithoutCancel(ctx), hold)
	told.Back = back.DeploymentID
	back.Assessment = back.failed(errors.Join(&told, back.Err, err))
	back.RolledBack = true
	return back
}

// returnable returns the journal, if its newest row is a deployment that may be
// taken back by itself: one that was made with the queries, and that is neither
// a rollback nor all there is.
func returnable(ctx context.Context, conn database.Conn, deployment string) ([]apply.Entry, error) {
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return nil, err
	}
	journal, err := apply.Journal(ctx, conn)
	last := len(journal) - 1
	switch {
	case err != nil:
		return nil, err
	case journal[last].Deployment != deployment:
		return nil, apply.ErrStale
	case seen.Record.Verified != apply.Verified{Deployment: deployment}:
		return nil, errors.New("the query is newer than the deployment")
	case last == 0:
		return nil, errors.New("it is the tenant's first deployment")
	case journal[last].BackTo != "":
		return nil, errors.New("it is a rollback, or a restore")
	case journal[last-1].Bundle == journal[last].Bundle:
		return nil, errors.New("the deployment before it has the same bundle")
	}
	return journal, nil
}
