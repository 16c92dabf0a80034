package preview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/schema"
)

// MaxCopies is how many copies one plan is tried on at most.
const MaxCopies = 20

// Rehearse says on how many copies plans are tried, and what that may take.
type Rehearse struct {
	Copies   int           // of each plan; 0 for none, at most MaxCopies
	MaxBytes int64         // of one copy; default 4 GiB
	Timeout  time.Duration // of all together; default 10m. What is under way then ends first
	// Provider copies the databases; default those that the daemon has.
	Provider provision.Provider
	// Dir is where copies are made; default DIR/previews. What a preview has left
	// there that did not end is removed.
	Dir string
}

// rehearsing is how many copies there are at a time: one is made while another
// is worked on, and two of the largest size are all that a disk has to hold.
const rehearsing = 2

// rehearsals try the plans of a report on copies.
type rehearsals struct {
	Rehearse
	run     *run
	look    *reconcile.Reconciler
	ahead   reconcile.Ahead
	scratch *scratch
	until   time.Time
}

// rehearse tries each plan on copies of the databases that it takes longest in.
func (r *run) rehearse(ctx context.Context, look *reconcile.Reconciler, ahead reconcile.Ahead) (err error) {
	q := r.Rehearse
	if q.Copies <= 0 {
		return nil
	}
	q.defaults(look, r.Reconcile.Router.DataDir())
	all := rehearsals{Rehearse: q, run: r, look: look, ahead: ahead, until: time.Now().Add(q.Timeout)}
	if all.scratch, err = openScratch(q.Dir); err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	defer func() { err = errors.Join(err, all.scratch.close()) }()
	var group errgroup.Group
	group.SetLimit(rehearsing)
	for i := range r.report.Plans {
		g := &r.report.Plans[i]
		chosen := g.heaviest(q.Copies)
		if why := g.unrehearsed(chosen); why != "" {
			g.Rehearsals = []Rehearsal{{Tenant: g.Tenants[0], Skipped: why}}
			continue
		}
		g.Rehearsals = make([]Rehearsal, len(chosen))
		for at, id := range chosen {
			group.Go(func() error {
				g.Rehearsals[at] = all.one(ctx, id, g)
				return nil
			})
		}
	}
	_ = group.Wait() // what failed is in the rehearsals
	return ctx.Err()
}

func (q *Rehearse) defaults(look *reconcile.Reconciler, data string) {
	q.Copies = min(q.Copies, MaxCopies)
	if q.MaxBytes == 0 {
		q.MaxBytes = 4 << 30
	}
	if q.Timeout == 0 {
		q.Timeout = 10 * time.Minute
	}
	if q.Provider == nil {
		q.Provider = look.Provider()
	}
	if q.Dir == "" {
		q.Dir = scratchDir(data)
	}
}

// weight is how long a plan is estimated to take in a tenant.
type weight struct {
	id    tenantID
	takes time.Duration
}

// weigh keeps the tenants that the plan takes longest in, of those that would
// get it now or after an approval.
func (g *Group) weigh(t reconcile.Tenant) {
	if t.Result.Err != nil && t.Result.Reason != reason.AwaitingApproval {
		return
	}
	at, _ := slices.BinarySearchFunc(g.heavy, t.Estimate, func(w weight, takes time.Duration) int {
		if w.takes >= takes {
			return -1
		}
		return 1
	})
	g.heavy = slices.Insert(g.heavy, at, weight{t.ID, t.Estimate})
	g.heavy = g.heavy[:min(len(g.heavy), MaxCopies)]
}

// unrehearsed says why a plan is not tried on any copy, empty where it is.
func (g *Group) unrehearsed(chosen []tenantID) Optional {
	switch {
	case g.Digest == "":
		return "the plan is not bound"
	case g.Action == deploy.Create:
		return "there is no database yet"
	case len(chosen) == 0:
		return "something stands in the way of the plan in every tenant"
	}
	return ""
}

func (g *Group) heaviest(n int) []tenantID {
	var ids []tenantID
	for _, w := range g.heavy[:min(n, len(g.heavy))] {
		ids = append(ids, w.id)
	}
	return ids
}

// one tries a plan on a copy of one tenant's database. A fault in it must not
// end the daemon, nor the rehearsals beside it.
func (all *rehearsals) one(ctx context.Context, id tenantID, g *Group) (h Rehearsal) {
	h.Tenant = id
	defer func() {
		if fault := recover(); fault != nil {
			h.Failure = Optional(fmt.Sprintf("the rehearsal broke: %v", fault))
		}
	}()
	switch {
	case ctx.Err() != nil:
		h.Skipped = "it was interrupted"
		return h
	case time.Now().After(all.until):
		h.Skipped = Optional(fmt.Sprintf("all rehearsals together have taken %s already", all.Timeout))
		return h
	}
	ctx, cancel := context.WithDeadline(ctx, all.until)
	defer cancel()
	c, err := all.copy(ctx, id, &h)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		h.Skipped = Optional(refused.Error())
		return h
	case errors.Is(err, provision.ErrOnServer):
		h.Skipped = Optional(err.Error())
		return h
	case errors.Is(err, database.ErrReadOnly):
		h.Skipped = "a branch has to be recorded, and a daemon has the state: set forge.rehearse, and it rehearses"
		return h
	case err != nil:
		h.Failure = Optional("the database could not be copied: " + err.Error())
		return h
	}
	defer func() {
		if err := c.close(); err != nil && h.Failure == "" {
			h.Failure = Optional("the copy could not be removed, which the next rehearsal does: " + err.Error())
		}
	}()
	if err := all.try(ctx, c, id, g, &h); errors.As(err, &refused) {
		h.Skipped = Optional(refused.Error())
	} else if err != nil {
		h.Failure = Optional(err.Error())
	}
	return h
}

// refusal is why there is no rehearsal, which is no fault of the plan.
type refusal struct{ string }

func (e *refusal) Error() string { return e.string }

// try runs the plan, the queries and the way back on a copy.
func (all *rehearsals) try(ctx context.Context, c *copied, id tenantID, g *Group, h *Rehearsal) error {
	request := all.look.RequestFor(all.ahead, find(all.run.after, id))
	queries := request.Desired.Verify
	alone := *request.Desired
	alone.Verify = nil // they are asked, and timed, apart
	request.Desired, request.Policy.Classes, request.Policy.RollBack = &alone, nil, false
	request.Snapshots, request.LastDeployment, request.Known, request.Rollout = deploy.SnapshotPolicy{}, "", deploy.Known{}, 0
	tables := touched(g)
	before, err := c.count(ctx, tables)
	if err != nil {
		return err
	}
	for _, n := range before {
		h.Rows += n
	}
	var done deploy.Result
	h.Applied = timed(func() { done = c.deployer.Deploy(ctx, c.conn, request) })
	switch {
	case done.Plan == nil || done.Plan.Digest != g.made.Digest:
		return &refusal{"the database has changed meanwhile and needs another plan"}
	case done.Err != nil:
		return fmt.Errorf("%s: %w", done.Reason, done.Err)
	}
	var failed []deploy.FailedQuery
	h.Queries = len(queries)
	h.Verified = timed(func() { failed = deploy.Verify(ctx, c.conn, queries) })
	if len(failed) > 0 {
		return &deploy.VerifyError{Tenant: id, Queries: failed}
	}
	return all.back(ctx, c, id, tables, before, h)
}

// back takes the plan back and counts the rows.
func (all *rehearsals) back(ctx context.Context, c *copied, id tenantID, tables []string, before map[string]int64, h *Rehearsal) error {
	if !c.deployed {
		return nil // nothing was deployed to it before: there is nothing to go back to
	}
	var done deploy.Result
	h.Back = timed(func() {
		done = c.deployer.Rollback(ctx, c.conn, deploy.RollbackRequest{Tenant: id, Author: "reconciler preview", Reason: "rehearsal"})
	})
	if done.Err != nil {
		return fmt.Errorf("going back: %s: %w", done.Reason, done.Err)
	}
	after, err := c.count(ctx, tables)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if before[table] != after[table] {
			return fmt.Errorf("going back: %s had %s and has %s", schema.Quote(table), plural(int(before[table]), "row"), plural(int(after[table]), "row"))
		}
	}
	return nil
}

// touched are the tables of a plan's steps.
func touched(g *Group) []string {
	var tables []string
	for _, s := range g.made.Steps {
		if !slices.Contains(tables, s.Table) {
			tables = append(tables, s.Table)
		}
	}
	return tables
}

func timed(do func()) Milliseconds {
	start := time.Now()
	do()
	return Milliseconds(time.Since(start))
}
