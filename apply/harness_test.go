package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// tenant is one real database and the deployments made to it.
type tenant struct {
	t     testing.TB
	place *databasetest.Place
	name  string // of the database there
	n     int
	keep  bool     // KeepValues
	due   []string // retired names whose retention is over
}

func newTenant(t testing.TB) *tenant { return newTenantOn(t, databasetest.File) }

// newRemote is a tenant on a libSQL server.
func newRemote(t testing.TB) *tenant { return newTenantOn(t, databasetest.Server) }

func newTenantOn(t testing.TB, kind databasetest.Kind) *tenant {
	t.Helper()
	return &tenant{t: t, place: databasetest.New(t, kind), name: "tenant"}
}

func (x *tenant) open() database.Conn {
	x.t.Helper()
	conn, err := x.place.Open(x.t.Context(), x.name)
	if err != nil {
		x.t.Fatal(err)
	}
	return conn
}

// exec runs statements on one connection to the tenant as somebody else would.
func (x *tenant) exec(statements ...string) {
	x.t.Helper()
	conn := x.open()
	defer conn.Close()
	steps := make([]database.Step, len(statements))
	for i, sql := range statements {
		steps[i].SQL = sql
	}
	results, err := conn.Batch(x.t.Context(), steps)
	if err != nil {
		x.t.Fatal(err)
	}
	for i, result := range results {
		if result.Err != nil {
			x.t.Fatalf("%s: %v", statements[i], result.Err)
		}
	}
}

// query returns the answer to a query as text, one line a row.
func (x *tenant) query(sql string) string {
	x.t.Helper()
	conn := x.open()
	defer conn.Close()
	rows, err := conn.Query(x.t.Context(), sql)
	if err != nil {
		x.t.Fatalf("%s: %v", sql, err)
	}
	var lines []string
	for _, row := range rows.Values {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = fmt.Sprint(v)
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	return strings.Join(lines, "\n")
}

// dump is the whole database as text: schema and every row.
func (x *tenant) dump() string {
	x.t.Helper()
	var b strings.Builder
	b.WriteString(x.query("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"))
	for name := range strings.SplitSeq(x.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"), "\n") {
		if name != "" {
			fmt.Fprintf(&b, "\n-- %s\n%s", name, x.query("SELECT * FROM "+schema.Quote(name)))
		}
	}
	return b.String()
}

// plan makes and proves the plan for a bundle of objects, given as JSON.
func (x *tenant) plan(objects string) (*plan.Plan, error) {
	x.t.Helper()
	conn := x.open()
	defer conn.Close()
	return planFor(x.t.Context(), conn, parse(x.t, objects), x.keep, x.due)
}

// planFor makes and proves a plan. prepare may add to its input, knowing what
// the database says about itself.
func planFor(ctx context.Context, conn database.Conn, objects []schema.Object, keep bool, due []string,
	prepare ...func(apply.Record, *plan.Input),
) (*plan.Plan, error) {
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return nil, err
	}
	master, record := seen.Master, seen.Record
	owned, err := schema.ParseOwned(record.Owned)
	if err != nil {
		return nil, err
	}
	private, err := apply.NewCopy(ctx, master)
	if err != nil {
		return nil, err
	}
	defer private.Close()
	live, err := private.Tables(ctx)
	if err != nil {
		return nil, err
	}
	tables, faults := schema.Desired(objects, schema.Options{})
	for _, f := range faults {
		if !f.Warning {
			return nil, f
		}
	}
	compared, err := diff.Compute(diff.Live{Tables: live, Owned: owned, Retire: true, Due: due}, diff.Desired{Tables: tables})
	if err != nil {
		return nil, err
	}
	in := plan.Input{
		Diff: compared, Master: master, Live: live, Desired: tables, KeepValues: keep, Retire: true,
		FromApplied: record.Applied, Bundle: schema.Digest(tables),
	}
	for _, add := range prepare {
		add(record, &in)
	}
	made, err := plan.Build(in)
	if err != nil {
		return nil, err
	}
	return made, apply.Prove(ctx, private, in, made)
}

// deploy plans and runs, and makes sure that nothing is left to do.
func (x *tenant) deploy(objects string) (*plan.Plan, error) {
	x.t.Helper()
	p, err := x.plan(objects)
	if err != nil {
		return nil, err
	}
	if err := x.run(p); err != nil {
		return p, err
	}
	again, err := x.plan(objects)
	if err != nil {
		return p, err
	}
	if len(again.Migration.Statements) > 0 {
		return p, fmt.Errorf("a second plan is not empty: %s", again.Migration.Statements[0].SQL)
	}
	return p, nil
}

func (x *tenant) run(p *plan.Plan) error {
	conn := x.open()
	return errors.Join(x.runOn(conn, p), conn.Close())
}

func (x *tenant) runOn(conn database.Conn, p *plan.Plan) error {
	x.n++
	_, err := apply.Run(x.t.Context(), conn, p, apply.Deployment{
		ID: fmt.Sprintf("d%03d", x.n), Owner: apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"},
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Adopt: true,
	})
	return err
}

func (x *tenant) mustDeploy(objects string) *plan.Plan {
	x.t.Helper()
	p, err := x.deploy(objects)
	if err != nil {
		if p != nil {
			for _, s := range p.Migration.Statements {
				x.t.Log(s.SQL)
			}
		}
		x.t.Fatal(err)
	}
	return p
}

// parse reads objects as JSON: {"account": {"fields": {...}}}, with our own
// key renamedFrom on objects and fields.
func parse(t testing.TB, text string) []schema.Object {
	t.Helper()
	var raw map[string]struct {
		RenamedFrom string `json:"renamedFrom"`
		TableName   string `json:"tableName"`
		Fields      map[string]struct {
			protocol.Field
			RenamedFrom string `json:"renamedFrom"`
		} `json:"fields"`
		Indexes []protocol.Index `json:"indexes"`
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	var objects []schema.Object
	for name, o := range raw {
		object := schema.Object{RenamedFrom: o.RenamedFrom, FieldRenames: map[string]string{}}
		object.Name, object.TableName, object.Indexes = name, o.TableName, o.Indexes
		object.Fields = map[string]protocol.Field{}
		for key, f := range o.Fields {
			object.Fields[key] = f.Field
			if f.RenamedFrom != "" {
				object.FieldRenames[key] = f.RenamedFrom
			}
		}
		objects = append(objects, object)
	}
	return objects
}
