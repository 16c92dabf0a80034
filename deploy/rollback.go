package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
)

// RollbackDeployment brings the tenant back to the bundle before its newest
// deployment, as a deployment of its own. What the deployment added goes, with
// the values that it holds by now; rows that were there before stay. A
// rollback is taken back in the same way, by the id that it has in the
// tenant's journal.
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
	entry, err := newest(journal, deployment)
	if err != nil {
		return err
	}
	desired, err := p.config.Deployer.bundles.before(ctx, entry)
	if err != nil {
		return err
	}
	r := p.request(tenant, desired)
	r.Policy.Plan.KeepValues, r.Policy.Plan.undo, r.undo = false, entry.Bundle, &undo{entry}
	r.Revision, r.Subject = revisionOf(journal, entry.PreviousBundle), "rollback of "+deployment
	start := p.config.Deployer.now()
	a := p.config.Deployer.Assess(ctx, conn, r)
	if last := a.seen.Record.Last; last != nil && last.Deployment != deployment {
		return notNewest(last.Deployment)
	}
	return p.config.Deployer.carryOut(ctx, conn, r, a, start).Err
}

// newest returns the last entry of a journal if it is that of the deployment.
func newest(journal []apply.Entry, deployment string) (apply.Entry, error) {
	at := slices.IndexFunc(journal, func(e apply.Entry) bool { return e.Deployment == deployment })
	switch last := len(journal) - 1; {
	case at < 0:
		return apply.Entry{}, fmt.Errorf("%w: the tenant's journal has none of that id; a deployment that failed changed nothing",
			protocol.ErrUnknownDeployment)
	case at < last:
		return apply.Entry{}, notNewest(journal[last].Deployment)
	}
	return journal[at], nil
}

func notNewest(id string) error {
	return fmt.Errorf("%w: roll back %s first, or deploy the earlier bundle", protocol.ErrNotNewest, id)
}

// revisionOf returns the revision that a bundle was last deployed from.
func revisionOf(journal []apply.Entry, digest string) string {
	for _, e := range slices.Backward(journal) {
		if e.Bundle == digest {
			return e.Revision
		}
	}
	return ""
}

// undo is the deployment that another one takes back.
type undo struct{ apply.Entry }

// permit lets a rollback retire what is not wanted any more, and drop what the
// deployment added, which is what its stored way back drops, and nothing else:
// not the table that it took over.
func (u undo) permit(pl *plan.Plan) error {
	if pl.Migration.Reversible {
		return nil
	}
	for i, s := range pl.Steps {
		if s.Class == diff.Destructive && !slices.Contains(u.WayBack, pl.Migration.Statements[i].SQL) {
			return &NotAddedError{Change: s.Change, Deployment: u.Deployment}
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
func (e *NotAddedError) Reason() string { return "NotAdded" }

// Next says what to do about it.
func (e *NotAddedError) Next() string { return "deploy the earlier revision from git instead" }

// before returns the bundle that a deployment replaced, with the renames of
// that deployment turned around: the rollback gives names back, and rows stay
// with them.
func (b *bundles) before(ctx context.Context, e apply.Entry) (*bundle.Desired, error) {
	if e.PreviousBundle == "" {
		return compile(protocol.DeployBundle{Manifest: protocol.DeployManifest{Version: "0"}})
	}
	previous, err := b.load(ctx, e.PreviousBundle)
	if err != nil {
		return nil, err
	}
	current, err := b.load(ctx, e.Bundle)
	if err != nil {
		return nil, err
	}
	return renamedBack(previous, current), nil
}

// renamedBack returns previous with renames that undo those of current. They
// go before its own, which matter only where they have not been done: after a
// rollback that is itself taken back.
func renamedBack(previous, current *bundle.Desired) *bundle.Desired {
	result := *previous
	result.Objects = slices.Clone(previous.Objects)
	for i := range result.Objects {
		o := &result.Objects[i]
		now, ok := successor(o.Name, current.Objects)
		if !ok {
			continue
		}
		if now.Name != o.Name {
			o.RenamedFrom = now.Name
		}
		o.FieldRenames = maps.Clone(o.FieldRenames)
		for field, before := range now.FieldRenames {
			_, had := o.Fields[before]
			if _, both := o.Fields[field]; had && !both {
				if o.FieldRenames == nil {
					o.FieldRenames = map[string]string{}
				}
				o.FieldRenames[before] = field
			}
		}
	}
	return &result
}

// successor finds what became of an object.
func successor(name string, current []bundle.Object) (bundle.Object, bool) {
	for _, is := range []func(bundle.Object) bool{
		func(o bundle.Object) bool { return o.Name == name },
		func(o bundle.Object) bool { return o.RenamedFrom == name },
	} {
		if at := slices.IndexFunc(current, is); at >= 0 {
			return current[at], true
		}
	}
	return bundle.Object{}, false
}
