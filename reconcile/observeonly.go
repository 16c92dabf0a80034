package reconcile

import (
	"context"
	"fmt"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/diff"
)

// reasonObserved is why a tenant is not brought to what git wants.
const reasonObserved = "ObserveOnly"

// work is what a pass does with a tenant that is due.
func (r *Reconciler) work() func(context.Context, fleet, *bundle.Tenant) Tenant {
	if r.Observe {
		return r.observeTenant
	}
	return r.syncTenant
}

// observeTenant says what syncTenant would do, as a status. Databases are
// opened read-only, and none is made.
func (r *Reconciler) observeTenant(ctx context.Context, f fleet, t *bundle.Tenant) Tenant {
	done := r.planTenant(ctx, f, t)
	action := done.Result.Action
	if action != deploy.Create && action != deploy.Update {
		return done
	}
	statements, class := 0, diff.Additive
	if made := done.Result.Plan; made != nil {
		statements, class = len(made.Migration.Statements), made.Class()
	}
	done.Result.Reason = reasonObserved
	done.Result.Message = fmt.Sprintf("a deployment is due (%s, %d statements, %s)", action, statements, class)
	if done.Result.Drift {
		done.Result.Message = "the database is not what the last deployment left, and would be put right: " + deploy.Words(done.Result.Differences)
	}
	done.Result.Next = "review it with \"reconciler plan\", then start the daemon without --observe"
	return done
}
