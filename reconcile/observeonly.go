package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/state"
)

const nextObserved = "review it with \"reconciler plan\", then start the daemon without --observe"

// observingPass goes on with a pass that does nothing but record
// what is to be done: no rollout begins, and no tenant is made, suspended or
// removed.
func (r *Reconciler) observingPass(ctx context.Context, started time.Time, f reading, s Selection, due turns) (Report, error) {
	report, err := r.each(ctx, queue{
		reading: f, tenants: f.tenants, limit: r.workers(f.loaded.Config.Rollout), last: f.ailing, hurry: r.waking,
		work: func(ctx context.Context, f reading, t *bundle.Tenant) Tenant {
			if due != nil && !due.due(f.commit.Hash, t) {
				return remembered(f, t)
			}
			return r.observeTenant(ctx, f, t)
		},
	})
	for _, id := range removed(f, s) {
		report.Tenants = append(report.Tenants, r.removed(f, id))
	}
	report.finish()
	err = errors.Join(err, r.observe(ctx, f, report.Tenants, err == nil && len(s.Tenants) == 0))
	switch {
	case err != nil:
		report.Status = state.Failed
	case len(s.Tenants) == 0 && s.Revision == "":
		r.rest(f)
	}
	return report, errors.Join(err, r.savePass(ctx, started, report, err))
}

// observeTenant says what syncTenant would do, as a status. Databases are
// opened read-only, and none is made.
func (r *Reconciler) observeTenant(ctx context.Context, f reading, t *bundle.Tenant) Tenant {
	done := r.planTenant(ctx, f, t)
	action := done.Result.Action
	switch action {
	case deploy.Create, deploy.Update:
	case Resume:
		done.Result.Reason, done.Result.Message, done.Result.Next = reason.ObserveOnly, "the tenant is suspended, and is to be resumed", nextObserved
		return done
	default:
		return done
	}
	statements, class := 0, diff.Additive
	if made := done.Result.Plan; made != nil {
		statements, class = len(made.Migration.Statements), made.Class()
	}
	done.Result.Reason = reason.ObserveOnly
	noun := "statements"
	if statements == 1 {
		noun = "statement"
	}
	done.Result.Message = fmt.Sprintf("a deployment is due (%s, %d %s, %s)", action, statements, noun, class)
	switch {
	case !done.Result.Drift && len(done.Result.Differences) > 0:
		done.Result.Message += ", and would put right what somebody changed: " + deploy.Words(done.Result.Differences)
	case done.Result.Drift:
		done.Result.Message = "the database is not what the last deployment left, and would be put right: " + deploy.Words(done.Result.Differences)
	}
	done.Result.Next = nextObserved
	return done
}
