package statetest

import (
	"testing"

	"github.com/tenantops/reconciler/internal/libsql"
)

// PlanClasses is how many classes the state in a file has a plan of. It may be in
// use.
func PlanClasses(t testing.TB, path string) int {
	t.Helper()
	conn, err := libsql.Open(t.Context(), path, libsql.Options{Shared: true, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(t.Context(), "SELECT count(*) FROM plan_classes")
	if err != nil {
		t.Fatal(err)
	}
	return int(rows.Values[0][0].(int64))
}
