package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

func rollbackCommand(c *cli) *cobra.Command {
	var q rollbackRequest
	rollout := 0
	command := &cobra.Command{
		Use:   "rollback TENANT [DEPLOYMENT] | --rollout ROLLOUT",
		Short: "bring a tenant, or all that a rollout reached, back to an earlier deployment, without git",
		Long: `Bring a tenant back to what it was after DEPLOYMENT, or after the one before the
newest. All that came since is taken back in one transaction: fields and objects
that were added are retired with their values, those that were removed come back
with theirs, and seeded rows go where nobody has touched them.

What git asks for now is held back for this tenant until git asks for something
else, or until "reconciler release". The usual way to go back is git revert; this
is for when that takes too long. It needs neither git nor the reconciler's
history, only the tenant's database; --repo is for a tenant with a file: URL, or
whose server state does not know.

With --rollout every tenant that the rollout has reached goes back to what it was
before, each in a transaction of its own, and the rollout is ended first if it is
under way. A tenant that got something else since is left as it is, and named.`,
		Example: `  reconciler rollback acme --reason "orders fail" --data ./data
  reconciler history acme --data ./data
  reconciler rollback acme 0193a1b2 --reason "orders fail" --data ./data
  reconciler rollback --rollout 12 --reason "orders fail" --data ./data`,
		Args: cobra.RangeArgs(0, 2),
		RunE: c.start(func(ctx context.Context, args []string) error {
			q.Actor = c.actor()
			if q.Reason == "" {
				return usagef("--reason is missing: say why, for those who find the tenant held")
			}
			switch {
			case rollout != 0 && len(args) == 0:
				return c.undoRollout(ctx, q, rollout)
			case rollout != 0 || len(args) == 0:
				return usagef("name what is to go back, once: a tenant, or --rollout ROLLOUT")
			}
			q.Tenant = protocol.TenantID(args[0])
			if len(args) > 1 {
				q.To = args[1]
			}
			fleet := c.fleetIfReadable(ctx) // it is for when git is no help
			found, err := c.placeOf(ctx, fleet, q.Tenant)
			if err != nil {
				return err
			}
			q.place = found.place
			if fleet != nil {
				policy := reconcile.SnapshotPolicy(fleet.Config)
				q.Snapshots, q.MaxLock = &policy, reconcile.MaxLock(fleet.Config)
			}
			answer, err := change(ctx, c, rollbackPath, q, (*control).rollback)
			if err != nil {
				return err
			}
			if err := c.print(answer, answer.people); err != nil {
				return err
			}
			if answer.Error != nil {
				return outcome(exitFailed)
			}
			return nil
		}),
	}
	setting(command, "data", "repo", "secrets-dir", "file-root", "actor")
	command.Flags().StringVar(&q.Reason, "reason", "", "why; needed")
	command.Flags().IntVar(&rollout, "rollout", 0, "every tenant that this `rollout` has reached")
	command.Flags().BoolVar(&q.NoSnapshot, "no-snapshot", false, "do not copy the database first, when there is no time or no room for that")
	return command
}

// rollbackRequest asks for a tenant to be what it was.
type rollbackRequest struct {
	Tenant protocol.TenantID `json:"tenant"`
	To     string            `json:"to,omitempty"` // a deployment, or the beginning of its id
	place
	Before string `json:"before,omitempty"` // the deployment to go back to is the one before this
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
	// Snapshots is what fleet.yaml says, where who asks has seen it.
	Snapshots  *deploy.SnapshotPolicy `json:"snapshots,omitempty"`
	NoSnapshot bool                   `json:"noSnapshot,omitempty"`
	MaxLock    deploy.MaxLock         `json:"maxLock"` // of fleet.yaml, likewise
}

// snapshotPolicy is the policy of a rollback: what its command has read, else what
// the daemon has, else to copy and remove nothing, which the next deployment
// does.
func (k *control) snapshotPolicy(q rollbackRequest) deploy.SnapshotPolicy {
	switch {
	case q.NoSnapshot:
		return deploy.SnapshotPolicy{}
	case q.Snapshots != nil:
		return *q.Snapshots
	case k.policy != nil:
		if policy, known := k.policy(); known {
			return policy
		}
	}
	return deploy.SnapshotPolicy{Keep: math.MaxInt, MaxBytes: math.MaxInt64}
}

// rollbackAnswer is what a rollback did.
type rollbackAnswer struct {
	Tenant       protocol.TenantID `json:"tenant"`
	DeploymentID *string           `json:"deploymentId"` // of the rollback; null when nothing was tried
	Revision     *string           `json:"revision"`     // that the tenant is at now
	Changes      []string          `json:"changes"`      // "retire column account.fax"
	Statements   int               `json:"statements"`
	DurationMs   float64           `json:"durationMs"`
	Held         []holdAnswer      `json:"held"` // what git cannot bring back by itself
	Error        *problem          `json:"error"`
}

func (a rollbackAnswer) people(p *page) {
	if a.Error != nil {
		p.problem(string(a.Tenant), a.Error)
		return
	}
	p.line("%s is back at %s, in %s (deployment %s)", a.Tenant, short(text(a.Revision)), plural(a.Statements, "statement"), text(a.DeploymentID))
	for _, change := range a.Changes {
		p.line("  %s", change)
	}
	p.line("")
	p.holds(a.Held)
	p.line("")
	p.line("It stays so until git asks for something else, or \"reconciler release %s\".", a.Tenant)
}

// rollback holds what would come back by itself, and then goes back.
func (k *control) rollback(ctx context.Context, q rollbackRequest) (answer rollbackAnswer, err error) {
	answer = rollbackAnswer{Tenant: q.Tenant, Changes: []string{}, Held: []holdAnswer{}}
	if err := needActor(q.Actor); err != nil {
		return answer, err
	}
	if err := k.mayWrite(); err != nil {
		return answer, err
	}
	var holds []state.Hold
	d := deploy.New(deploy.Config{Store: k.store, Now: k.now, Snapshots: k.snapshots, By: deploy.Doer{Actor: q.Actor, Via: viaCLI}})
	result, err := onTenant(ctx, k, q.Tenant, q.place, func(conn database.Conn) deploy.Result {
		return d.Rollback(ctx, conn, deploy.RollbackRequest{
			Tenant: q.Tenant, To: q.To, BeforeOf: q.Before, Author: q.Actor,
			Reason: q.reason(), Snapshots: k.snapshotPolicy(q), MaxLock: q.MaxLock,
			Before: func(bundles []string) (err error) {
				holds, err = k.holdBack(ctx, q, bundles)
				return err
			},
		})
	})
	if err != nil {
		return answer, fmt.Errorf("tenant %q: %w", q.Tenant, err)
	}
	if !result.Changed {
		err = k.letGo(context.WithoutCancel(ctx), q, holds)
		answer.Error = problemOf(result.Reason, result.Message, result.Next)
		if result.Err == nil {
			answer.Error = problemOf(reason.NothingToDo, "the tenant is what it was at that deployment", "name an earlier one; see reconciler history")
		}
		answer.DeploymentID = optional(result.DeploymentID)
		return answer, err
	}
	answer.DeploymentID, answer.Revision = optional(result.DeploymentID), optional(result.Revision)
	answer.Statements, answer.DurationMs = result.Statements, milliseconds(result.Duration)
	for _, s := range result.Plan.Steps {
		if !slices.Contains(answer.Changes, s.Change) {
			answer.Changes = append(answer.Changes, s.Change)
		}
	}
	for _, h := range holds {
		answer.Held = append(answer.Held, holdAnswerOf(h))
	}
	return answer, errors.Join(k.wentBack(context.WithoutCancel(ctx), q, result), k.changed(ctx))
}

// reason is what the event says.
func (q rollbackRequest) reason() string {
	if q.NoSnapshot {
		return q.Reason + " (without a snapshot)"
	}
	return q.Reason
}

// onTenant gives f a tenant's database.
func onTenant[T any](ctx context.Context, k *control, tenant protocol.TenantID, at place, f func(database.Conn) T) (result T, err error) {
	conn, err := at.open(ctx, k.router, tenant, false)
	if err != nil {
		return result, err
	}
	result = f(conn)
	return result, conn.Close()
}

// letGo ends the holds of a rollback that took nothing back. The tenant's
// journal decides that, because an error can come after the commit: what was
// rolled back in truth stays held.
func (k *control) letGo(ctx context.Context, q rollbackRequest, holds []state.Hold) error {
	type answer struct {
		journal []apply.Entry
		err     error
	}
	told, err := onTenant(ctx, k, q.Tenant, q.place, func(conn database.Conn) (a answer) {
		a.journal, a.err = apply.Journal(ctx, conn)
		return a
	})
	if err := errors.Join(err, told.err); err != nil {
		return fmt.Errorf("the holds stay, because the tenant's journal cannot be read: %w", err)
	}
	left := deploy.LeftBehind(told.journal)
	for _, h := range holds {
		if slices.Contains(left, h.Bundle) {
			continue
		}
		e := state.Event{Actor: q.Actor, Via: viaCLI, Kind: state.EventReleased, Reason: "the rollback took nothing back"}
		if _, ended := k.store.EndHold(ctx, h, e); ended != nil {
			err = errors.Join(err, ended)
		}
	}
	return err
}

// holdBack keeps the bundles that a rollback leaves from being deployed to the
// tenant again: those of the journal, and the one that git asks for.
func (k *control) holdBack(ctx context.Context, q rollbackRequest, bundles []string) ([]state.Hold, error) {
	seen, _, err := k.store.ObservedOf(ctx, q.Tenant)
	if err != nil {
		return nil, err
	}
	if seen.DesiredDigest != "" && !slices.Contains(bundles, seen.DesiredDigest) {
		bundles = append(bundles, seen.DesiredDigest)
	}
	var holds []state.Hold
	for _, bundle := range bundles {
		h := state.Hold{Tenant: q.Tenant, Bundle: bundle, Owner: q.Actor, Via: viaCLI, Reason: q.Reason, SetAt: k.now()}
		if err := k.store.SetHold(ctx, h); err != nil {
			return holds, err
		}
		holds = append(holds, h)
	}
	return holds, nil
}

// wentBack makes status tell of the rollback before the next pass does.
func (k *control) wentBack(ctx context.Context, q rollbackRequest, result deploy.Result) error {
	row, _, err := k.store.ObservedOf(ctx, q.Tenant)
	if err != nil {
		return err
	}
	row.Tenant, row.Sync, row.Health = q.Tenant, state.OutOfSync, state.Healthy
	row.Reason, row.Message, row.Next = reason.RolledBack, q.Actor+" rolled it back: "+q.Reason, "reconciler release "+string(q.Tenant)+", or a commit that changes what it should be"
	row.AppliedRevision, row.BundleDigest, row.Fingerprint = result.Revision, result.Plan.Bundle, result.Fingerprint
	row.SchemaDigest, row.AppliedDigest, row.InputDigest = result.Plan.ToSchema, result.Plan.Applied, ""
	row.Target, row.Tried = "", "" // git's bundle has to be tried anew
	row.Deployment, row.PurgeAt, row.ObservedAt = result.DeploymentID, result.PurgeAt, k.now()
	return k.store.SaveObserved(ctx, row)
}
