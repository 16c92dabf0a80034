package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Backfill is the action of a tenant whose tables are being filled for a plan
// that would keep writers waiting too long. Nothing is deployed yet.
const Backfill Action = "backfill"

// batchAim is how long a batch may keep writers waiting: less than they notice,
// and some ten thousand rows.
const batchAim = 200 * time.Millisecond

// MaxLock is how long writers may be kept waiting; 0 for as long as it takes.
type MaxLock struct{ File, Remote time.Duration }

func (l MaxLock) on(conn database.Conn) time.Duration {
	if database.Remote(conn) {
		return l.Remote
	}
	return l.File
}

// TooLargeError says that a plan would keep writers waiting for longer than
// they may be, whichever way it goes.
type TooLargeError struct {
	Takes, MaxLock time.Duration
	Why            string // it does not go in stages
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the plan would keep writers waiting for about %v, and maxLock is %v; it cannot be done in batches: %s",
		e.Takes.Round(max(time.Millisecond, e.MaxLock/10)), e.MaxLock, e.Why)
}

// Reason and Next explain the error in a tenant's status.
func (e *TooLargeError) Reason() string { return reason.TooLarge }

// Next says what to do about it.
func (e *TooLargeError) Next() string {
	return "raise maxLock in fleet.yaml for a time in which writers can wait, or make the change in smaller steps"
}

// way decides whether the plan runs at once or in stages, which is a matter of
// the tenant's rows and no part of the plan.
func (a *Assessment) way(ctx context.Context, conn database.Conn, r Request) error {
	if a.seen.Master.Empty() {
		return nil
	}
	a.Estimate = Estimate(ctx, conn, a.Plan)
	most := r.MaxLock.on(conn)
	if most == 0 || a.Estimate <= most {
		return nil
	}
	swap := a.Plan.Swap()
	if swap == nil {
		return &TooLargeError{Takes: a.Estimate, MaxLock: most, Why: wholly(a.Plan)}
	}
	if takes := Estimate(ctx, conn, swap); takes > most {
		return &TooLargeError{Takes: takes, MaxLock: most, Why: wholly(swap)}
	}
	a.Staged, a.Estimate = true, Estimate(ctx, conn, swap)
	return nil
}

// wholly names the statements of a plan that take their time as a whole.
func wholly(p *plan.Plan) string {
	var slow []string
	for i, s := range p.Migration.Statements {
		if i < len(p.Steps) && perRow(s.SQL, p.Steps[i].Copies) > 0 {
			slow = append(slow, p.Steps[i].Change)
		}
	}
	if len(slow) == 0 {
		return "the rows that are filled have to be held against their values at the end"
	}
	return strings.Join(slow, ", ") + " goes through a table in one statement"
}

// prepare brings the database to where the plan of the result can run: what an
// earlier plan has begun and this one does not want goes, and columns are
// filled. It tells whether the plan may run now; else the result says why not.
func (d *Deployer) prepare(ctx context.Context, conn database.Conn, r Request, result *Result) bool {
	if result.Err != nil {
		return true // of which the caller makes a record
	}
	var fills []plan.Fill
	if result.Staged {
		fills = result.Plan.Staged.Fills
	}
	most := r.MaxLock.on(conn)
	strip := func(table string) bool {
		return most == 0 || time.Duration(highest(ctx, conn, table))*strippedRow <= most
	}
	if result.seen.Master.Filling {
		gone, err := apply.Abandon(ctx, conn, fills, strip)
		if err == nil && gone {
			err = d.tellFill(ctx, r, *result, state.EventBackfillDropped, "what was begun for another bundle is gone")
		}
		if err != nil {
			result.Assessment = result.failed(err)
			return true
		}
	}
	if !result.Staged {
		return true
	}
	filled, err := apply.Fill(ctx, conn, fills, apply.Pace{Batch: min(batchAim, most/10), For: r.Slice, Strip: strip})
	if filled.Begun {
		err = errors.Join(err, d.tellFill(ctx, r, *result, state.EventBackfillBegun, fmt.Sprintf("%d rows to fill", filled.Total)))
	}
	switch {
	case err != nil && ctx.Err() == nil:
		result.Assessment = result.failed(d.damaged(ctx, conn, result.Plan, err))
	case !filled.Complete:
		result.backfilling(filled)
		return false
	default:
		result.whole, result.Plan = result.Plan, result.Plan.Swap()
	}
	return true
}

func (a *Assessment) backfilling(filled apply.Filled) {
	a.Action, a.Reason = Backfill, reason.Backfilling
	a.Message = fmt.Sprintf("%d of %d rows are filled; the deployment follows in one short transaction", filled.Done, filled.Total)
	a.Next = "wait: it goes on by itself, while applications use what they used; a commit that takes the change back ends it"
}

// damaged names the rows that a fill has come upon, or what else went wrong.
func (d *Deployer) damaged(ctx context.Context, conn database.Conn, p *plan.Plan, err error) error {
	if !errors.Is(err, apply.ErrDamaged) {
		return err
	}
	findings, failed := apply.Check(ctx, conn, p)
	if failed != nil || len(findings) == 0 {
		return errors.Join(err, failed) // it has been corrected
	}
	return &apply.BlockedError{Findings: findings}
}

func (d *Deployer) tellFill(ctx context.Context, r Request, result Result, kind, detail string) error {
	e := state.Event{
		At: d.now(), Actor: d.by.name(), Via: d.by.Via, Kind: kind, Tenant: protocol.TenantID(r.Owner.Tenant),
		Revision: r.Revision, Author: author(r.Author, r.Email), Detail: detail,
	}
	if result.Plan != nil {
		e.Plan = result.Plan.Digest
	}
	return d.store.AddEvent(context.WithoutCancel(ctx), e)
}
