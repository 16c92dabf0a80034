package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// undoAnswer is what the rollback of a rollout did.
type undoAnswer struct {
	Rollout int              `json:"rollout"`
	Aborted bool             `json:"aborted"` // it was under way, and was ended first
	Tenants []rollbackAnswer `json:"tenants"` // those that it had reached, by id
}

// undoing is how many tenants go back at a time, in one request: what an answer
// takes is bounded, and so is what a Ctrl-C waits for.
const (
	undoingAtATime = 4
	undoingARound  = 50
)

// undoRollout brings every tenant that a rollout has reached back to what it was
// before. The rollout is ended first, or it would go on behind it.
func (c *cli) undoRollout(ctx context.Context, q rollbackRequest, id int) error {
	answer := undoAnswer{Rollout: id, Tenants: []rollbackAnswer{}}
	reached, open, err := c.reachedBy(ctx, id)
	if err != nil {
		return err
	}
	if open {
		end := rolloutRequest{Rollout: id, Action: rolloutAbort, Actor: q.Actor, Reason: "rollback: " + q.Reason}
		if _, err := change(ctx, c, rolloutPath, end, (*control).rollout); err != nil {
			return err
		}
		answer.Aborted = true
		if reached, _, err = c.reachedBy(ctx, id); err != nil { // by the tenants that were under way, too
			return err
		}
	}
	tenants, err := c.undoTenants(ctx, &q, reached)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(tenants, undoingARound) {
		done, err := change(ctx, c, undoPath, undoRequest{q, part}, (*control).undo)
		if err != nil {
			return errors.Join(err, c.print(answer, answer.people))
		}
		answer.Tenants = append(answer.Tenants, done.Tenants...)
	}
	if err := c.print(answer, answer.people); err != nil {
		return err
	}
	return answer.outcome()
}

// reachedBy returns the deployments that a rollout has made, the first of each
// tenant, and whether it is under way.
func (c *cli) reachedBy(ctx context.Context, id int) ([]state.Deployment, bool, error) {
	store, err := c.readState(ctx)
	if err != nil {
		return nil, false, err
	}
	defer store.Close()
	r, err := store.Rollout(ctx, id)
	if err != nil {
		return nil, false, noRollout(id, err)
	}
	list, err := store.RolloutDeployments(ctx, id)
	list = slices.DeleteFunc(list, func(d state.Deployment) bool { return d.Status != protocol.DeployReady })
	return slices.CompactFunc(list, func(a, b state.Deployment) bool { return a.Tenant == b.Tenant }), r.Open(), err
}

// undoTenants finds the databases of the tenants that are to go back, and what
// fleet.yaml says of the copies that are made before.
func (c *cli) undoTenants(ctx context.Context, q *rollbackRequest, reached []state.Deployment) ([]undoTenant, error) {
	if len(reached) == 0 {
		return nil, nil
	}
	fleet := c.fleetIfReadable(ctx)
	list, err := c.tenantDatabases(ctx, fleet)
	if err != nil {
		return nil, err
	}
	places := map[protocol.TenantID]place{}
	for _, p := range list {
		p.Path = absolute(p.Path)
		places[p.tenant] = p.place
	}
	if fleet != nil {
		policy := reconcile.SnapshotPolicy(fleet.Config)
		q.Snapshots, q.MaxLock = &policy, reconcile.MaxLock(fleet.Config)
	}
	var tenants []undoTenant
	for _, d := range reached {
		tenants = append(tenants, undoTenant{d.Tenant, places[d.Tenant], d.ID})
	}
	return tenants, nil
}

// undoRequest asks for several tenants to go back, for one reason.
type undoRequest struct {
	rollbackRequest
	Tenants []undoTenant `json:"tenants"`
}

// undoTenant is a tenant that is to be what it was before a deployment.
type undoTenant struct {
	Tenant protocol.TenantID `json:"tenant"`
	place
	Before string `json:"before"`
}

// undo rolls several tenants back. One that cannot go back does not stop the
// others.
func (k *control) undo(ctx context.Context, q undoRequest) (undoAnswer, error) {
	answer := undoAnswer{Tenants: make([]rollbackAnswer, len(q.Tenants))}
	var group errgroup.Group
	group.SetLimit(undoingAtATime)
	for i, t := range q.Tenants {
		one := q.rollbackRequest
		one.Tenant, one.place, one.Before = t.Tenant, t.place, t.Before
		group.Go(func() error {
			done, err := k.undoOne(ctx, one)
			if err != nil {
				done = rollbackAnswer{Tenant: one.Tenant, Changes: []string{}, Held: []holdAnswer{}}
				done.Error = problemOf(reason.RollbackFailed, err.Error(), "see the error, and run \"reconciler rollback "+string(one.Tenant)+"\"")
			}
			answer.Tenants[i] = done
			return nil
		})
	}
	return answer, group.Wait()
}

func (k *control) undoOne(ctx context.Context, q rollbackRequest) (rollbackAnswer, error) {
	switch {
	case !q.known():
		return rollbackAnswer{}, errors.New("it has no database below the data directory: give --repo when its tenant.yaml has a URL")
	case ctx.Err() != nil:
		return rollbackAnswer{}, ctx.Err()
	}
	last, newest, err := k.since(ctx, q)
	if err != nil {
		return rollbackAnswer{}, err
	}
	answer := rollbackAnswer{Tenant: q.Tenant, Changes: []string{}, Held: []holdAnswer{}}
	switch {
	case newest.BundleDigest == last.BundleDigest: // whatever came between was taken back
		return k.rollback(ctx, q)
	case newest.Subject == "rollback of "+last.ID: // by somebody, or by its verification
		answer.DeploymentID, answer.Revision = optional(newest.ID), optional(newest.Revision)
	default:
		answer.Error = problemOf(reason.LaterDeployment, fmt.Sprintf("deployment %s came after the rollout", newest.ID), fmt.Sprintf(
			"take that back first, or name what the tenant is to be: \"reconciler history %s\"", q.Tenant))
	}
	return answer, nil
}

// since returns the last deployment of the rollout to a tenant, and the newest
// of all.
func (k *control) since(ctx context.Context, q rollbackRequest) (last, newest state.Deployment, err error) {
	first, err := k.store.Deployment(ctx, q.Before)
	if err != nil {
		return last, newest, err
	}
	list, err := k.store.Deployments(ctx, q.Tenant, 0) // the newest first
	list = slices.DeleteFunc(list, func(d state.Deployment) bool { return d.Status != protocol.DeployReady })
	at := slices.IndexFunc(list, func(d state.Deployment) bool { return d.Rollout == first.Rollout })
	if err != nil || at < 0 {
		return first, first, err
	}
	return list[at], list[0], nil
}

func (a undoAnswer) people(p *page) {
	if a.Aborted {
		p.line("rollout %d was under way and is ended", a.Rollout)
	}
	back := 0
	for _, t := range a.Tenants {
		if t.Error == nil {
			back++
		}
	}
	p.line("%d of %s that rollout %d reached are back", back, plural(len(a.Tenants), "tenant"), a.Rollout)
	var rows [][]string
	for _, t := range a.Tenants {
		if t.Error == nil {
			rows = append(rows, []string{string(t.Tenant), short(text(t.Revision)), fmt.Sprint(t.Statements), text(t.DeploymentID)})
		}
	}
	p.table([]string{"TENANT", "REVISION", "STATEMENTS", "DEPLOYMENT"}, rows)
	for _, t := range a.Tenants {
		if t.Error != nil {
			p.line("")
			p.problem(string(t.Tenant), t.Error)
		}
	}
	if back > 0 {
		p.line("")
		p.line("They stay so until git asks for something else, or \"reconciler release TENANT\".")
	}
}

func (a undoAnswer) outcome() error {
	failed := 0
	for _, t := range a.Tenants {
		if t.Error != nil {
			failed++
		}
	}
	switch {
	case failed == 0:
		return nil
	case failed == len(a.Tenants):
		return outcome(exitFailed)
	}
	return outcome(exitPartial)
}
