package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

// ErrNoWayBack says that a tenant cannot be brought back to a deployment.
var ErrNoWayBack = errors.New("there is no way back")

// RollbackRequest asks for one tenant to be what it was.
type RollbackRequest struct {
	Tenant protocol.TenantID
	To     string // id of the deployment to go back to, or its beginning; empty for the one before the newest
	// BeforeOf names, in place of To, the first deployment to take back.
	BeforeOf string
	Author   string // who wants it
	Reason   string // why, for the event
	// Snapshots says whether the database is copied first, as for a Request.
	Snapshots SnapshotPolicy
	MaxLock   MaxLock // as for a Request
	// Before is told which bundles the rollback leaves before it does so: they
	// must not come back by themselves. May be nil.
	Before func(bundles []string) error
}

// Rollback brings a tenant back to what it was after an earlier deployment, as
// a deployment of its own that takes back all that came since: structure,
// metadata, and the rows that seed data wrote and nobody has touched. It needs
// no git: what the bundle was is in state and in the tenant's own journal.
//
// Whose database it is and by which policy it is planned is what the last
// deployment recorded. Errors match ErrNoWayBack, apply.ErrOwnedElsewhere,
// protocol.ErrUnknownDeployment, and those of Deploy.
func (d *Deployer) Rollback(ctx context.Context, conn database.Conn, r RollbackRequest) Result {
	fail := func(err error) Result { return Result{Assessment: Fail(err)} }
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return fail(err)
	}
	journal, err := apply.Journal(ctx, conn)
	if err != nil {
		return fail(err)
	}
	at, err := target(journal, r.To)
	if r.BeforeOf != "" {
		at, err = before(journal, r.BeforeOf)
	}
	if err != nil {
		return fail(err)
	}
	owner := seen.Record.Owner
	if owner.Tenant != string(r.Tenant) {
		return fail(fmt.Errorf("%w: it is tenant %q of fleet %q (%s)", apply.ErrOwnedElsewhere, owner.Tenant, owner.Fleet, owner.Environment))
	}
	var policy PlanPolicy
	if err := json.Unmarshal([]byte(seen.Record.Policy), &policy); err != nil {
		return fail(fmt.Errorf("%w: the database does not say how it was planned: %w", ErrNoWayBack, err))
	}
	if r.Before != nil {
		if err := r.Before(left(journal[at].Bundle, journal[at+1:])); err != nil {
			return fail(err)
		}
	}
	return d.rollback(ctx, conn, journal, at, Request{Owner: owner, Policy: Policy{Plan: policy}, Author: r.Author, Snapshots: r.Snapshots, MaxLock: r.MaxLock, reason: r.Reason})
}

// left lists the bundles of undone deployments, without the one that is there
// again.
func left(now string, undone []apply.Entry) []string {
	var bundles []string
	for _, e := range undone {
		if e.Bundle != now && !slices.Contains(bundles, e.Bundle) {
			bundles = append(bundles, e.Bundle)
		}
	}
	return bundles
}

// LeftBehind lists the bundles that a tenant whose newest deployment is a
// rollback has left, as its journal tells; nil for any other tenant.
func LeftBehind(journal []apply.Entry) []string {
	last := len(journal) - 1
	if last < 0 || journal[last].BackTo == "" {
		return nil
	}
	if _, restored := journal[last].Restored(); restored {
		return nil // what came after the snapshot is not in this journal
	}
	at := slices.IndexFunc(journal, func(e apply.Entry) bool { return e.Deployment == journal[last].BackTo })
	return left(journal[last].Bundle, journal[at+1:last])
}

// target finds the journal row to go back to.
func target(journal []apply.Entry, to string) (int, error) {
	last := len(journal) - 1
	switch {
	case last < 0:
		return 0, fmt.Errorf("%w: nothing was ever deployed to the tenant", protocol.ErrUnknownDeployment)
	case to == "" && last == 0:
		return 0, fmt.Errorf("%w: the tenant's newest deployment is its first; remove the tenant from git instead", ErrNoWayBack)
	case to == "":
		return last - 1, nil
	}
	var found []int
	for i, e := range journal {
		if strings.HasPrefix(e.Deployment, strings.ToLower(to)) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return 0, fmt.Errorf("%w: the tenant's journal has none that begins with %q; see reconciler history", protocol.ErrUnknownDeployment, to)
	case len(found) > 1:
		return 0, fmt.Errorf("%w: %d deployments begin with %q; give more of the id", protocol.ErrUnknownDeployment, len(found), to)
	case found[0] == last:
		return 0, fmt.Errorf("%w: %s is the newest deployment already; name an earlier one", ErrNoWayBack, journal[last].Deployment)
	}
	return found[0], nil
}

// before finds the journal row before that of a deployment.
func before(journal []apply.Entry, deployment string) (int, error) {
	at := slices.IndexFunc(journal, func(e apply.Entry) bool { return e.Deployment == deployment })
	switch {
	case at < 0:
		return 0, fmt.Errorf("%w: the tenant's journal has none that is %s; see reconciler history", protocol.ErrUnknownDeployment, deployment)
	case at == 0:
		return 0, fmt.Errorf("%w: %s is the tenant's first deployment; remove the tenant from git instead", ErrNoWayBack, deployment)
	}
	return at - 1, nil
}

// rollback goes back to the journal row of an index; -1 is before all of them.
func (d *Deployer) rollback(ctx context.Context, conn database.Conn, journal []apply.Entry, at int, r Request) Result {
	start := d.now()
	back := &rollback{undone: journal[at+1:], to: "0"}
	digest := ""
	if at >= 0 {
		digest, back.to, r.Revision = journal[at].Bundle, journal[at].Deployment, journal[at].Revision
	}
	var err error
	if r.Desired, err = d.former(ctx, conn, digest, back.undone); err != nil {
		return Result{Assessment: Fail(err)}
	}
	newest := back.undone[len(back.undone)-1].Deployment
	r.Subject = "rollback of " + newest
	r.Policy.Plan.KeepValues, r.Policy.Plan.Retire, r.Policy.Plan.DropTables = false, true, nil // whatever came since is kept
	r.Policy.Plan.rollback = true
	r.Policy.Drift, r.back = driftHeal, back
	a := d.Assess(ctx, conn, r)
	if last := a.seen.Record.Last; last != nil && last.Deployment != newest {
		return Result{Assessment: Fail(fmt.Errorf("%w: another deployment came first", apply.ErrStale))}
	}
	result := d.carryOut(ctx, conn, r, a, start)
	result.Revision = r.Revision
	return result
}

// former returns a bundle that was deployed before: from state, or as the
// tenant's own registry and journal have it.
func (d *Deployer) former(ctx context.Context, conn database.Conn, digest string, undone []apply.Entry) (*bundle.Desired, error) {
	if digest == "" {
		return compile(protocol.DeployBundle{Manifest: protocol.DeployManifest{Version: "0"}})
	}
	stored, err := d.bundles.load(ctx, digest)
	if !errors.Is(err, state.ErrNotFound) {
		return stored, err
	}
	return fromJournal(ctx, conn, digest, undone)
}

// rollback is what a deployment takes back. The nil one takes nothing back.
type rollback struct {
	undone []apply.Entry // oldest first
	to     string        // deployment that it goes back to
}

func (b *rollback) entries() []apply.Entry {
	if b == nil {
		return nil
	}
	return b.undone
}

func (b *rollback) name() string {
	if b == nil {
		return ""
	}
	return b.to
}

// permit lets a rollback retire what came with the deployments, and nothing
// that was there before the reconciler: not the table that they took over.
func (b *rollback) permit(pl *plan.Plan) error {
	owned, err := schema.ParseOwned(pl.Owned)
	if err != nil {
		return err
	}
	deployment := b.undone[len(b.undone)-1].Deployment
	for _, t := range owned.Tables {
		for _, c := range t.Retired {
			if c.Found && pl.Retires(c.Name) {
				return &NotAddedError{Change: "retire column " + t.Name + "." + c.Column, Deployment: deployment}
			}
		}
	}
	for _, t := range owned.Retired {
		if len(t.Found) > 0 && pl.Retires(t.Name) {
			return &NotAddedError{Change: "retire table " + t.Was, Deployment: deployment}
		}
	}
	return nil
}

// NotAddedError says that a rollback would remove what the deployment that it
// takes back did not add.
type NotAddedError struct{ Change, Deployment string }

func (e *NotAddedError) Error() string {
	return fmt.Sprintf("%s: deployment %s did not add it, so its rollback does not remove it", e.Change, e.Deployment)
}

// Reason and Next explain the error in a tenant's status.
func (e *NotAddedError) Reason() string { return reason.NotAdded }

// Next says what to do about it.
func (e *NotAddedError) Next() string { return "deploy the earlier revision from git instead" }

// RollbackDeployment brings the tenant back to the bundle before its newest
// deployment, as a deployment of its own; see Deployer.Rollback. A rollback is
// taken back in the same way, by the id that it has in the tenant's journal.
func (p *Pipeline) RollbackDeployment(ctx context.Context, tenant protocol.TenantID, deployment string) error {
	fail := func(err error) error {
		return fmt.Errorf("roll back deployment %q of tenant %q: %w", deployment, tenant, err)
	}
	conn, err := p.config.Tenants.Open(ctx, tenant)
	if err != nil {
		return fail(err)
	}
	if err := errors.Join(p.rollback(ctx, conn, tenant, deployment), conn.Close()); err != nil {
		return fail(err)
	}
	return nil
}

func (p *Pipeline) rollback(ctx context.Context, conn database.Conn, tenant protocol.TenantID, deployment string) error {
	journal, err := apply.Journal(ctx, conn)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(journal, func(e apply.Entry) bool { return e.Deployment == deployment })
	switch last := len(journal) - 1; {
	case at < 0:
		return fmt.Errorf("%w: the tenant's journal has none of that id; a deployment that failed changed nothing",
			protocol.ErrUnknownDeployment)
	case at < last:
		return fmt.Errorf("%w: roll back %s first, or deploy the earlier bundle", protocol.ErrNotNewest, journal[last].Deployment)
	}
	return p.config.Deployer.rollback(ctx, conn, journal, at-1, Request{
		Owner: p.owner(tenant), Policy: p.config.Policy, Snapshots: p.config.Snapshots,
	}).Err
}
