package deploy

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/tenantrouter"
)

// hold holds the plan against the tenant's quotas. A rollback exceeds none.
func (a *Assessment) hold(ctx context.Context, conn database.Conn, r Request, now time.Time) error {
	if r.unlimited() {
		return nil
	}
	demand, err := a.demand(r)
	if err == nil {
		a.Quotas, err = r.Quotas.Check(ctx, conn, now, demand)
	}
	return err
}

func (r Request) unlimited() bool { return r.back != nil || r.Quotas.Limits == protocol.TenantQuota{} }

// watch holds the plan against the quotas once more in its transaction, where
// that can tell more: for its rows and the pages that they take.
func (r Request) watch(a Assessment) apply.Watch {
	if r.unlimited() {
		return nil
	}
	demand, err := a.demand(r)
	if err != nil || !demand.Grows {
		return nil
	}
	return r.Quotas.Watch(demand)
}

// demand is what the plan asks of the tenant's quotas.
func (a *Assessment) demand(r Request) (tenantrouter.Demand, error) {
	before, err := schema.ParseOwned(a.seen.Record.Owned)
	if err != nil {
		return tenantrouter.Demand{}, err
	}
	after, err := schema.ParseOwned(a.Plan.Owned)
	if err != nil {
		return tenantrouter.Demand{}, err
	}
	d := tenantrouter.Demand{ObjectsBefore: tenantrouter.Objects(before), Objects: tenantrouter.Objects(after), Seeds: seedDemands(a.Plan)}
	if last := a.seen.Record.Last; last == nil || last.Bundle != r.Desired.Digest {
		d.Bundle = r.Desired.Digest
	}
	d.Pages, d.Grows = growth(a.Plan)
	return d, nil
}

// growth is how many pages a plan takes at the least: one for each new table,
// for the index of its key and for each new index, and one for seed data. What
// copies rows may take more or less; that shows in the transaction.
func growth(p *plan.Plan) (pages int64, grows bool) {
	for _, s := range p.Steps {
		switch {
		case strings.HasPrefix(s.Change, "add table "):
			pages += 2
		case strings.HasPrefix(s.Change, "add index "):
			pages++
		}
		grows = grows || s.Copies
	}
	if len(p.Seeds) > 0 {
		pages++
	}
	return pages, grows || pages > 0
}

// seedDemands are the records that a plan loads, by object in the order of
// their first.
func seedDemands(p *plan.Plan) []tenantrouter.SeedDemand {
	var demands []tenantrouter.SeedDemand
	loaded := map[string]bool{}
	for _, s := range p.Seeds {
		record := s.Set + "\x00" + s.Key
		if loaded[record] {
			continue // what had to wait of one
		}
		loaded[record] = true
		at := slices.IndexFunc(demands, func(d tenantrouter.SeedDemand) bool { return d.Object == s.Object })
		if at < 0 {
			at = len(demands)
			made := slices.ContainsFunc(p.Steps, func(step plan.Step) bool { return step.Change == "add table "+s.Table })
			demands = append(demands, tenantrouter.SeedDemand{Object: s.Object, Table: s.Table, New: made})
		}
		demands[at].Finds = append(demands[at].Finds, s.Find)
	}
	return demands
}
