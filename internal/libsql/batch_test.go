package libsql_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
)

func step(sql string, when *database.Condition) database.Step {
	return database.Step{Statement: database.Statement{SQL: sql}, When: when}
}

func ok(i int) *database.Condition     { return &database.Condition{OK: &i} }
func failed(i int) *database.Condition { return &database.Condition{Error: &i} }
func not(c *database.Condition) *database.Condition {
	return &database.Condition{Not: c}
}

func and(parts ...database.Condition) *database.Condition { return &database.Condition{And: parts} }
func or(parts ...database.Condition) *database.Condition  { return &database.Condition{Or: parts} }

var autocommit = &database.Condition{IsAutocommit: true}

// TestBatchConditions runs steps after one that succeeds (0), one that fails
// (1) and one that is skipped (2).
func TestBatchConditions(t *testing.T) {
	tests := map[string]struct {
		when *database.Condition
		runs bool
	}{
		"no condition":               {nil, true},
		"ok of a success":            {ok(0), true},
		"ok of a failure":            {ok(1), false},
		"ok of a skipped step":       {ok(2), false},
		"error of a success":         {failed(0), false},
		"error of a failure":         {failed(1), true},
		"error of a skipped step":    {failed(2), false},
		"not ok of a skipped step":   {not(ok(2)), true},
		"and of both":                {and(*ok(0), *failed(1)), true},
		"and of one":                 {and(*ok(0), *ok(1)), false},
		"and of nothing":             {&database.Condition{And: []database.Condition{}}, true},
		"or of one":                  {or(*ok(1), *ok(0)), true},
		"or of none":                 {or(*ok(1), *ok(2)), false},
		"nested":                     {not(or(*ok(1), *not(and(*ok(0), *autocommit)))), true},
		"autocommit outside a begin": {autocommit, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			results, err := memory(t).Batch(t.Context(), []database.Step{
				step("SELECT 1", nil), step("SELECT nothing", nil), step("SELECT 1", ok(1)), step("SELECT 'ran' AS a", test.when),
			})
			if err != nil {
				t.Fatal(err)
			}
			want := database.StepResult{Skipped: true}
			if test.runs {
				want = database.StepResult{Rows: database.Rows{Columns: []string{"a"}, Values: [][]any{{"ran"}}}}
			}
			if diff := cmp.Diff(want, results[3]); diff != "" {
				t.Errorf("last step (-want +got):\n%s", diff)
			}
			if results[1].Err == nil || !results[2].Skipped {
				t.Errorf("got %+v for the failure and %+v for the skipped step", results[1], results[2])
			}
		})
	}
}

// TestBatchTransaction is the batch that everyone writes: commit when the last
// step is well, else roll back if the database has not done so itself.
func TestBatchTransaction(t *testing.T) {
	for name, test := range map[string]struct {
		last string
		want int64
	}{
		"commits":    {"INSERT INTO t VALUES (2)", 2},
		"rolls back": {"INSERT INTO t VALUES (1)", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := memory(t)
			exec1(t, c, "CREATE TABLE t (a PRIMARY KEY)")
			results, err := c.Batch(t.Context(), []database.Step{
				step("BEGIN IMMEDIATE", nil),
				step("INSERT INTO t VALUES (1)", ok(0)),
				step(test.last, ok(1)),
				step("COMMIT", ok(2)),
				step("ROLLBACK", and(*not(ok(3)), *not(autocommit))),
			})
			if err != nil {
				t.Fatal(err)
			}
			if results[1].RowsAffected != 1 {
				t.Errorf("got %d rows affected, want 1", results[1].RowsAffected)
			}
			answers(t, c, "SELECT count(*) FROM t", []any{test.want})
			exec1(t, c, "BEGIN") // none is open
		})
	}
}

func TestBatchRefusesAConditionBeforeItRunsAnything(t *testing.T) {
	for name, test := range map[string]struct {
		when *database.Condition
		says string
	}{
		"on itself":            {ok(1), "step 1 does not come before it"},
		"on a later step":      {not(and(*failed(2))), "step 2 does not come before it"},
		"on a step before all": {ok(-1), "step -1"},
		"on nothing":           {&database.Condition{}, "not exactly one"},
		"on two things":        {&database.Condition{OK: new(int), IsAutocommit: true}, "not exactly one"},
		"on an empty part":     {or(database.Condition{}), "not exactly one"},
	} {
		t.Run(name, func(t *testing.T) {
			c := memory(t)
			_, err := c.Batch(t.Context(), []database.Step{step("CREATE TABLE t (a)", nil), step("SELECT 1", test.when)})
			if err == nil || !strings.Contains(err.Error(), "condition of step 1: ") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
			answers(t, c, "SELECT count(*) FROM sqlite_master", []any{int64(0)})
		})
	}
}
