package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

func TestPipelineKeepsItsContract(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, kind databasetest.Kind) {
		contracttest.DeployPipeline(t, func(t testing.TB) contracttest.DeployPipelineFixture { return pipelineFixture(t, kind) })
	}, databasetest.File, databasetest.Memory, databasetest.Server)
}

func pipelineFixture(t testing.TB, kind databasetest.Kind) contracttest.DeployPipelineFixture {
	x := newTenantsOn(t, kind)
	return contracttest.DeployPipelineFixture{
		Service: x.pipeline(t), Tenant: "acme",
		Insert: x.insert,
		Values: x.values,
		Registered: func(t testing.TB) []string {
			return x.query(t, "SELECT type || ' ' || name FROM sys_metadata ORDER BY 1")
		},
		Interfere: func(t testing.TB) { x.exec(t, "CREATE TABLE somebody_elses (id TEXT)") },
		Fail:      func(_ testing.TB, sql string) { x.failing = sql },
	}
}

// tenantFiles are two tenants, acme and beta, each with a database, and any
// number called memory..., each with an empty one that nobody keeps.
type tenantFiles struct {
	*databasetest.Place
	store   *state.Store
	classes map[string]string // of the policy
	failing string            // statement
}

func newTenants(t testing.TB) *tenantFiles { return newTenantsOn(t, databasetest.File) }

func newTenantsOn(t testing.TB, kind databasetest.Kind) *tenantFiles {
	t.Helper()
	return &tenantFiles{Place: databasetest.New(t, kind)}
}

// pipeline returns a new Pipeline, which remembers nothing, for the tenants.
func (x *tenantFiles) pipeline(t testing.TB) *deploy.Pipeline {
	t.Helper()
	if x.store == nil {
		store, err := state.Open(t.Context(), filepath.Join(x.Dir, "state.db"), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		x.store = store
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return deploy.NewPipeline(deploy.PipelineConfig{
		Deployer: deploy.New(deploy.Config{Store: x.store}), Tenants: x, Fleet: "main", Environment: "prod",
		Policy: deploy.Policy{Plan: policy, Classes: x.classes},
	})
}

// policy is the strictest one about rows.
var policy = deploy.PlanPolicy{SeedMode: "strict", KeepValues: true}

func (x *tenantFiles) Open(ctx context.Context, tenant protocol.TenantID) (database.Conn, error) {
	if strings.HasPrefix(string(tenant), "memory") {
		return libsql.OpenMemory(ctx)
	}
	if tenant != "acme" && tenant != "beta" {
		return nil, fmt.Errorf("%w %q", protocol.ErrUnknownTenant, tenant)
	}
	conn, err := x.Place.Open(ctx, string(tenant))
	if err != nil {
		return nil, err
	}
	return &databasetest.Struck{Conn: conn, Call: x.failOnce}, nil
}

// failOnce fails one statement, once.
func (x *tenantFiles) failOnce(_ int, sql string, do func() error) error {
	if sql == x.failing {
		x.failing = ""
		return database.ErrFull
	}
	return do()
}

// on runs f on the database of acme, past the pipeline.
func (x *tenantFiles) on(t testing.TB, f func(database.Conn) error) {
	t.Helper()
	conn, err := x.Open(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(conn), conn.Close()); err != nil {
		t.Fatal(err)
	}
}

func (x *tenantFiles) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	x.on(t, func(conn database.Conn) error {
		_, err := conn.Exec(t.Context(), sql, args...)
		return err
	})
}

// query returns the first column of every row, nil where there is no such
// table or column.
func (x *tenantFiles) query(t testing.TB, sql string) (values []string) {
	t.Helper()
	x.on(t, func(conn database.Conn) error {
		rows, err := conn.Query(t.Context(), sql)
		if err != nil && strings.Contains(err.Error(), "no such") {
			return nil
		}
		values = []string{}
		for _, row := range rows.Values {
			values = append(values, fmt.Sprint(row[0]))
		}
		return err
	})
	return values
}

func (x *tenantFiles) insert(t testing.TB, table string, row map[string]string) {
	t.Helper()
	columns, values := []string{"id"}, []string{"lower(hex(randomblob(8)))"}
	for _, column := range slices.Sorted(maps.Keys(row)) {
		columns, values = append(columns, schema.Quote(column)), append(values, schema.QuoteText(row[column]))
	}
	x.exec(t, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", schema.Quote(table), strings.Join(columns, ", "), strings.Join(values, ", ")))
}

// values returns a column of a table, sorted.
func (x *tenantFiles) values(t testing.TB, table, column string) []string {
	t.Helper()
	return x.query(t, fmt.Sprintf("SELECT %[1]s FROM %[2]s ORDER BY %[1]s", schema.Quote(column), schema.Quote(table)))
}
