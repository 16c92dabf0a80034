package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// Known is what state says of a tenant's database after its last deployment.
// The zero Known says nothing.
type Known struct {
	Deployment  string // newest in its journal
	Bundle      string // digest, that the deployment brought
	Fingerprint string // of the schema
	Applied     string // applied digest
}

// look is what was found in one database of a plan class, and the plan for it. It
// is remembered for the others of the class: what state says of them is the
// class, and their transaction makes sure of it. So they need no look, which costs a
// server as much as the deployment.
type look struct {
	seen  apply.Reading
	plan  *plan.Plan
	class string
}

const maxLooks = 64 // classes that are deployed at the same time are few, and each look holds a schema

// remember keeps a look for the tenants that are alike, where none of them has
// anything of its own that its plan or policy depends on.
func (d *Deployer) remember(conn database.Conn, r Request, a Assessment) {
	last := a.seen.Record.Last
	if !database.Remote(conn) || !r.guessable() || a.Err != nil || a.Action != Update || last == nil || last.To != a.seen.Master.Fingerprint() ||
		a.seen.Master.Filling || schema.HasRetired(a.seen.Record.Owned) || len(a.Differences) > 0 || !alone(a.Plan) {
		return
	}
	known := Known{Bundle: last.Bundle, Fingerprint: last.To, Applied: a.seen.Record.Applied}
	d.alike.Remember(r.likeness(known), look{a.seen, a.Plan, a.Class}, maxLooks)
}

// guess is the assessment of a database that was not looked at, where one of
// its likeness was. An empty likeness is that of none.
func (d *Deployer) guess(conn database.Conn, r Request, likeness string) (Assessment, bool) {
	if likeness == "" {
		return Assessment{}, false
	}
	found, ok := d.alike.Recall(likeness)
	if !ok || r.permit(found.plan) != nil {
		return Assessment{}, false
	}
	takes, most := time.Duration(len(found.plan.Migration.Statements))*anyStatement, r.MaxLock.on(conn)
	if most != 0 && takes > most {
		return Assessment{}, false
	}
	seen := found.seen
	seen.Record.Owner = r.Owner
	seen.Record.Last = &apply.Entry{Deployment: r.Known.Deployment, Bundle: r.Known.Bundle, To: r.Known.Fingerprint}
	return Assessment{Action: Update, Class: found.class, Plan: found.plan, Checked: true, Estimate: takes, seen: seen, guess: true}, true
}

// mayBeGuessed tells that the database needs no look where one like it had one.
func (r Request) mayBeGuessed(conn database.Conn) bool {
	return database.Remote(conn) && r.guessable() && r.Known.Deployment != "" && r.Known.Bundle != r.Desired.Digest
}

// guessable tells that nothing in the request depends on what a look at this
// very database finds: its use of quotas, its record of apps, edits of its
// registry that are to be put right.
func (r Request) guessable() bool {
	return r.back == nil && !r.kept && !r.Fresh && r.Known != (Known{}) && r.unlimited() && r.Policy.Drift != driftHeal && !r.Apps.Exact && r.Apps.Last == nil
}

// alone tells that a plan runs the same way whatever rows there are.
func alone(p *plan.Plan) bool {
	for i, s := range p.Migration.Statements {
		if i >= len(p.Steps) || perRow(s.SQL, p.Steps[i].Copies) > 0 {
			return false
		}
	}
	return len(p.PreChecks)+len(p.Fills)+len(p.Seeds)+len(p.SeedIssues) == 0 && !risksRows(p) && apply.Guessable(p)
}

// likeness is the plan class as far as it is known without a look, and what
// else a look was made for.
func (r Request) likeness(k Known) string {
	apps := make([]string, len(r.Desired.Apps))
	for i, a := range r.Desired.Apps {
		apps[i] = a.Name
	}
	return digestOf(k.Fingerprint, k.Applied, k.Bundle, r.Desired.Digest, r.Policy.Plan.text(), fmt.Sprint(r.Policy.Plan.rollback),
		r.Policy.Drift, strings.Join(apps, " "))
}
