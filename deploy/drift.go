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
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

// ErrNeverDeployed says that nothing was deployed to a tenant, so that there is
// nothing that it could have drifted from.
var ErrNeverDeployed = errors.New("nothing was ever deployed to the tenant")

// ReasonHeal is why a deployment ran that put drift right.
const ReasonHeal = "heal"

// Difference is one thing in which a database is not what its last deployment
// left. Rows, seeded ones among them, and what is foreign are none.
type Difference struct {
	Kind string `json:"kind"` // table, column, index or metadata
	Name string `json:"name"` // customer, customer.phone, idx_customer_name, view deals
	What string `json:"what"` // in words
}

// Words are differences as a sentence for people, the first few of many.
func Words(differences []Difference) string {
	const most = 5
	var words []string
	for i, d := range differences {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(differences)-most))
			break
		}
		words = append(words, d.What)
	}
	return strings.Join(words, "; ")
}

// Drift says how a tenant's database differs from what its last deployment
// left, in order of table; it is empty when it does not. It writes nothing and
// needs no git: what was deployed is in state, or in the tenant's own registry.
// known stands in for a bundle that neither has, if it is the one that was
// deployed; it may be nil.
//
// Errors match ErrNeverDeployed, apply.ErrOwnedElsewhere and those of
// apply.Read.
func (d *Deployer) Drift(ctx context.Context, conn database.Conn, tenant protocol.TenantID, known *bundle.Desired) ([]Difference, error) {
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return nil, err
	}
	if seen.Record.Last == nil {
		return nil, ErrNeverDeployed
	}
	if owner := seen.Record.Owner; owner.Tenant != string(tenant) {
		return nil, fmt.Errorf("%w: it is tenant %q of fleet %q (%s)", apply.ErrOwnedElsewhere, owner.Tenant, owner.Fleet, owner.Environment)
	}
	differences, _, err := d.drift(ctx, conn, seen, known)
	return differences, err
}

// drift compares what was seen with what the last deployment left: the schema
// by its fingerprint first, and in detail where that has moved; the metadata
// row by row.
func (d *Deployer) drift(ctx context.Context, conn database.Conn, seen apply.Reading, known *bundle.Desired) ([]Difference, []edit, error) {
	var differences []Difference
	if seen.Record.Last.To != seen.Master.Fingerprint() {
		var err error
		if differences, err = d.structure(ctx, conn, seen, known); err != nil {
			return nil, nil, err
		}
	}
	edits, err := editsOf(ctx, conn, seen)
	for _, e := range edits {
		differences = append(differences, e.difference())
	}
	return differences, edits, err
}

// structure compares the schema with that of the bundle that was deployed, or,
// where that is not known any more, with the names that the deployment recorded.
func (d *Deployer) structure(ctx context.Context, conn database.Conn, seen apply.Reading, known *bundle.Desired) ([]Difference, error) {
	s := situation{conn: conn, master: seen.Master, record: seen.Record}
	var err error
	if s.desired, s.policy, err = d.lastApplied(ctx, conn, seen, known); errors.Is(err, ErrNoWayBack) {
		return namesGone(ctx, seen)
	}
	if err != nil {
		return nil, err
	}
	return d.planner.differences(ctx, s)
}

// lastApplied is the bundle that was deployed last and how it was planned. An
// error matching ErrNoWayBack says that nobody has it any more.
func (d *Deployer) lastApplied(ctx context.Context, conn database.Conn, seen apply.Reading, known *bundle.Desired) (*bundle.Desired, PlanPolicy, error) {
	var policy PlanPolicy
	if err := json.Unmarshal([]byte(seen.Record.Policy), &policy); err != nil {
		return nil, policy, fmt.Errorf("%w: the database does not say how it was planned: %w", ErrNoWayBack, err)
	}
	digest := seen.Record.Last.Bundle
	if known != nil && known.Digest == digest {
		return known, policy, nil
	}
	if d.store != nil {
		stored, err := d.bundles.load(ctx, digest)
		if !errors.Is(err, state.ErrNotFound) {
			return stored, policy, err
		}
	}
	desired, err := fromJournal(ctx, conn, digest, nil)
	return desired, policy, err
}

// differences compares a database with the bundle that it should have. Equal
// situations are compared once.
func (p *planner) differences(ctx context.Context, s situation) ([]Difference, error) {
	class := "drift " + s.class()
	if found, ok := p.compared.Recall(class); ok {
		return found, nil
	}
	live, err := inspect(ctx, s.master)
	if err != nil {
		return nil, err
	}
	owned, err := schema.ParseOwned(s.record.Owned)
	if err != nil {
		return nil, err
	}
	tables, _, err := desiredTables(s.desired, s.policy)
	if err != nil {
		return nil, err
	}
	compared, err := diff.Compute(diff.Live{Tables: live, Owned: owned}, diff.Desired{Tables: tables})
	if err != nil {
		return nil, err
	}
	found := structural(compared)
	p.compared.Remember(class, slices.Clip(found), maxKnown) // what is appended to it is the caller's own
	return found, nil
}

// structural says a comparison in words: what a change would put right is what
// differs.
func structural(r diff.Result) []Difference {
	var found []Difference
	for _, c := range r.Conflicts {
		found = append(found, Difference{"table", c.Table, fmt.Sprintf("table %s was changed: its primary key is another", c.Table)})
	}
	missing, dropped, changed := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range r.Changes {
		switch c.Op {
		case diff.AddTable:
			missing[c.Table] = true
		case diff.DropIndex:
			dropped[c.Index.Name] = true
		}
	}
	for _, c := range r.Changes {
		if c.Op == diff.AddIndex && dropped[c.Index.Name] {
			changed[c.Index.Name] = true
		}
	}
	for _, c := range r.Changes {
		ofMissing := c.Op == diff.AddIndex && missing[c.Table]
		half := c.Op == diff.DropIndex && changed[c.Index.Name]
		if !ofMissing && !half {
			found = append(found, differenceOf(c, changed))
		}
	}
	return found
}

func differenceOf(c diff.Change, changed map[string]bool) Difference {
	switch c.Op {
	case diff.AddTable:
		return Difference{"table", c.Table, "table " + c.Table + " is missing"}
	case diff.AddColumn:
		name := c.Table + "." + c.To.Name
		return Difference{"column", name, "column " + name + " is missing"}
	case diff.AddIndex:
		what := " is missing"
		if changed[c.Index.Name] {
			what = " was changed"
		}
		return Difference{"index", c.Index.Name, "index " + c.Index.Name + " on " + c.Table + what}
	case diff.RetypeColumn, diff.AlterColumn:
		name := c.Table + "." + c.To.Name
		return Difference{"column", name, fmt.Sprintf("column %s is %s in place of %s", name, c.From.Definition(), c.To.Definition())}
	}
	return Difference{"table", c.Table, c.Describe() + " is outstanding"}
}

// namesGone finds what is missing of the names that are on record.
func namesGone(ctx context.Context, seen apply.Reading) ([]Difference, error) {
	live, err := inspect(ctx, seen.Master)
	if err != nil {
		return nil, err
	}
	owned, err := schema.ParseOwned(seen.Record.Owned)
	if err != nil {
		return nil, err
	}
	var found []Difference
	for _, want := range owned.Tables {
		have, ok := tableOf(live, want.Name)
		if !ok {
			found = append(found, Difference{"table", want.Name, "table " + want.Name + " is missing"})
			continue
		}
		for _, name := range want.Columns {
			if _, ok := have.Column(name); !ok {
				name = want.Name + "." + name
				found = append(found, Difference{"column", name, "column " + name + " is missing"})
			}
		}
		for _, name := range want.Indexes {
			if _, ok := have.Index(name); !ok {
				found = append(found, Difference{"index", name, "index " + name + " on " + want.Name + " is missing"})
			}
		}
	}
	return found, nil
}

func tableOf(tables []schema.Table, name string) (*schema.Table, bool) {
	for i := range tables {
		if strings.EqualFold(tables[i].Name, name) {
			return &tables[i], true
		}
	}
	return nil, false
}

// Kept turns a request into one for what the last deployment left, and nothing
// newer: it puts drift right in a tenant that is held. Its error is one of
// Drift, or matches ErrNoWayBack when nobody has that bundle any more.
func (d *Deployer) Kept(ctx context.Context, conn database.Conn, r Request) (Request, error) {
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return r, err
	}
	last := seen.Record.Last
	if last == nil {
		return r, ErrNeverDeployed
	}
	r.Desired, r.Policy.Plan, err = d.lastApplied(ctx, conn, seen, r.Desired)
	r.Revision, r.Author, r.Email, r.Subject, r.Reverts = last.Revision, last.Author, "", "", ""
	r.Rollout, r.Apps, r.Authors, r.kept = 0, AppRequest{}, nil, true
	return r, err
}
