package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/memo"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

// PlanPolicy is the part of the fleet's policy that changes statements, as
// opposed to who may approve them.
type PlanPolicy struct {
	NullableRequired bool   `json:"nullableRequired,omitempty"` // notNull: engine
	SeedMode         string `json:"seedMode,omitempty"`         // strict or skip
	KeepValues       bool   `json:"keepValues,omitempty"`       // a column or table that goes must hold nothing
	Retire           bool   `json:"retire,omitempty"`           // what goes is kept under a retired name
	// DropTables are apps that the tenant does not have and whose tables are
	// not kept.
	DropTables []string `json:"dropTables,omitempty"`

	rollback bool // seed data is taken back and not loaded
}

// text is the policy as it is recorded in a tenant's database, from where a
// rollback reads it: equal texts are equal policies.
func (p PlanPolicy) text() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic("plan policy cannot be marshalled: " + err.Error()) // words and booleans
	}
	return string(text)
}

// planner makes plans and remembers them by class, so that all tenants in the
// same state share one: inspected, planned and proved once.
type planner struct {
	store    *state.Store
	readOnly bool
	known    memo.Map[planned]
	apps     memo.Map[[]string]     // that have definitions in a registry, by its record
	compared memo.Map[[]Difference] // by class, for a fleet in which many tenants have drifted in the same way
}

// planned is what one class led to. A class that has no plan keeps its error:
// its other tenants get the same.
type planned struct {
	plan *plan.Plan
	err  error
}

// maxKnown bounds the plans kept in memory. A fleet has as many classes as it
// has different histories; more than this many at once are read from state.
const maxKnown = 512

// situation is one database and what is wanted of it.
type situation struct {
	conn    database.Conn
	master  schema.Master
	record  apply.Record
	desired *bundle.Desired
	policy  PlanPolicy
	due     []string // retired names whose retention is over
	edits   []edit   // of the registry, to be put right
	apps    []string // that have definitions in it, in byte order
}

// class is the plan class: everything that a plan depends on.
func (s situation) class() string {
	parts := []string{
		s.master.Fingerprint(), s.record.Applied, s.desired.Digest, s.policy.text(), fmt.Sprint(s.policy.rollback), schema.Dialect,
		fmt.Sprint(apply.Format), fmt.Sprint(s.master.Reconciled), strings.Join(s.due, " "), strings.Join(s.gone(), " "),
	}
	if len(s.edits) > 0 {
		parts = append(parts, fmt.Sprint(s.edits))
	}
	return digestOf(parts...)
}

// gone lists the apps whose definitions the database has and that the bundle
// does not have any more, in byte order: two bundles of one digest may differ
// in the apps that bring nothing. A record that cannot be read has none, and
// is an error when the plan is made.
func (s situation) gone() []string {
	var gone []string
	for _, app := range s.apps {
		if !slices.ContainsFunc(s.desired.Apps, func(a protocol.AppManifest) bool { return a.Name == app }) {
			gone = append(gone, app)
		}
	}
	return gone
}

// appsOf lists the apps of the definitions in a registry. Tenants that have the
// same share the record of it, which is read once.
func (p *planner) appsOf(registered string) []string {
	return p.apps.Of(registered, maxKnown, func() (apps []string, keep bool) {
		list, _ := plan.ParseRegistered(registered)
		for _, d := range list {
			if d.Package != "" && !slices.Contains(apps, d.Package) {
				apps = append(apps, d.Package)
			}
		}
		slices.Sort(apps)
		return apps, true
	})
}

// plan returns the plan for a situation, from memory, from state, or made and
// proved now. Many goroutines may ask for one class at once: one does the work.
func (p *planner) plan(ctx context.Context, s situation) (*plan.Plan, string, error) {
	s.apps = p.appsOf(s.record.Registered)
	class := s.class()
	found := p.known.Of(class, maxKnown, func() (planned, bool) {
		made, err := p.load(ctx, class)
		if made == nil && err == nil {
			made, err = p.make(ctx, s)
			if err == nil {
				err = p.save(ctx, class, made)
			}
		}
		return planned{made, err}, err == nil || isPermanent(err)
	})
	return found.plan, class, found.err
}

// isPermanent tells an error that every tenant of the class would get again.
func isPermanent(err error) bool {
	var invalid *InvalidError
	return errors.Is(err, plan.ErrConflict) || errors.Is(err, apply.ErrProof) || errors.As(err, &invalid)
}

func (p *planner) load(ctx context.Context, class string) (*plan.Plan, error) {
	if p.store == nil {
		return nil, nil
	}
	stored, err := p.store.PlanByClass(ctx, class)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return plan.Decode(stored.Body)
}

func (p *planner) save(ctx context.Context, class string, made *plan.Plan) error {
	if p.store == nil || p.readOnly {
		return nil
	}
	body, err := made.Encode()
	if err != nil {
		return err
	}
	return p.store.SavePlan(ctx, state.Plan{Digest: made.Digest, Class: class, Body: body})
}

// make inspects a copy of the database's schema, compares, plans, and proves in
// that copy.
func (p *planner) make(ctx context.Context, s situation) (*plan.Plan, error) {
	private, err := apply.NewCopy(ctx, s.master)
	if err != nil {
		return nil, err
	}
	defer private.Close()
	live, err := private.Tables(ctx)
	if err != nil {
		return nil, err
	}
	owned, err := schema.ParseOwned(s.record.Owned)
	if err != nil {
		return nil, err
	}
	before, err := recorded(ctx, s)
	if err != nil {
		return nil, err
	}
	mark(before, s.edits)
	tables, warnings, err := desiredTables(s.desired, s.policy)
	if err != nil {
		return nil, err
	}
	after := definitions(s.desired)
	compared, err := diff.Compute(diff.Live{Tables: live, Owned: owned, Definitions: before, Retire: s.policy.Retire, Due: s.due},
		diff.Desired{Tables: tables, Definitions: after, Gone: s.gone(), DropApps: s.policy.DropTables})
	if err != nil {
		return nil, err
	}
	seeds, err := compileSeeds(s, tables)
	if err != nil {
		return nil, err
	}
	if s.policy.rollback {
		seeds.Seeds, seeds.Issues = nil, nil
	}
	in := plan.Input{
		Diff: compared, Master: s.master, Live: live, Desired: tables, Bundle: s.desired.Digest,
		KeepValues: s.policy.KeepValues, Retire: s.policy.Retire, AnyLimit: s.policy.rollback, Seeds: seeds, SeedMode: s.policy.SeedMode,
		Registered: plan.Registered(after), Policy: s.policy.text(), FromApplied: s.record.Applied,
	}
	made, err := plan.Build(in)
	if err != nil {
		return nil, err
	}
	made.Warnings = append(made.Warnings, warnings...)
	if err := apply.Prove(ctx, private, in, made); err != nil {
		return nil, err
	}
	return made, nil
}

// inspect reads the tables of a schema.
func inspect(ctx context.Context, master schema.Master) ([]schema.Table, error) {
	private, err := apply.NewCopy(ctx, master)
	if err != nil {
		return nil, err
	}
	defer private.Close()
	return private.Tables(ctx)
}

// desiredTables are the tables of a bundle and the one of the registry, which
// a bundle may define itself.
func desiredTables(d *bundle.Desired, policy PlanPolicy) ([]schema.Table, []plan.Warning, error) {
	objects := d.Objects
	if !hasRegistry(objects) {
		objects = append(objects[:len(objects):len(objects)], registryObject())
	}
	tables, faults := schema.Desired(objects, schema.Options{NullableRequired: policy.NullableRequired})
	var warnings []plan.Warning
	var wrong []string
	for _, f := range faults {
		if f.Warning {
			warnings = append(warnings, plan.Warning{Code: f.Code, Message: f.Error()})
		} else {
			wrong = append(wrong, f.Error())
		}
	}
	if len(wrong) > 0 {
		return nil, nil, &InvalidError{Message: strings.Join(wrong, "; ")}
	}
	return tables, warnings, nil
}

func hasRegistry(objects []bundle.Object) bool {
	for _, o := range objects {
		if schema.TableName(o.Object) == plan.RegistryTable {
			return true
		}
	}
	return false
}

// recorded returns the definitions that earlier deployments registered. Their
// bodies are read for the comparison's words only, and only where they are
// still what was registered.
func recorded(ctx context.Context, s situation) ([]diff.Definition, error) {
	list, err := plan.ParseRegistered(s.record.Registered)
	gone := !slices.ContainsFunc(s.master.Of("table"), func(e schema.Entry) bool { return e.Name == plan.RegistryTable })
	if err != nil || len(list) == 0 || gone {
		return list, err // the plan makes a table again that somebody dropped
	}
	rows, err := s.conn.Query(ctx, metadataQuery)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	bodies := map[string]string{}
	for _, row := range rows.Values {
		id, _ := row[0].(string)
		body, _ := row[1].([]byte)
		bodies[id] = string(body)
	}
	for i := range list {
		body := bodies[plan.RowID(plan.RegistryTable, string(list[i].Type), list[i].Name)]
		if digestOf(body) == list[i].Checksum {
			list[i].Body = body
		}
	}
	return list, nil
}

// InvalidError says that a bundle has no form in the database.
type InvalidError struct{ Message string }

func (e *InvalidError) Error() string { return e.Message }

// Reason is the word for programs.
func (e *InvalidError) Reason() string { return reason.InvalidBundle }

// Next is the next step, for people.
func (e *InvalidError) Next() string { return "correct the definitions and commit" }

func digestOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// packages names the app that each definition came with.
func packages(apps []protocol.AppManifest) map[string]string {
	owner := map[string]string{}
	for _, app := range apps {
		for kind, names := range map[protocol.EntityType][]string{
			protocol.EntityObject: app.Objects, protocol.EntityView: app.Views, protocol.EntityFlow: app.Flows,
		} {
			for _, name := range names {
				owner[string(kind)+"\x00"+name] = app.Name
			}
		}
	}
	return owner
}
