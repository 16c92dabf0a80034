package hrana

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
)

// FuzzAnswer gives the client whatever a server may say: it gives results of
// the right number, or an error.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"baton":null,"base_url":null,"results":[{"type":"ok","response":{"type":"batch","result":{"step_results":[{"cols":[{"name":"a"}],"rows":[[{"type":"integer","value":"1"}]],"affected_row_count":1},null],"step_errors":[null,{"message":"m","code":"SQLITE_BUSY"}]}}},{"type":"ok","response":{"type":"close"}}]}`)
	f.Add(`{"results":[{"type":"error","error":{"message":"m"}},{}]}`)
	f.Add(`{"baton":"x","base_url":"http://other","results":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		answers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		c, err := Open(t.Context(), Options{URL: "http://a.test", HTTP: &http.Client{Transport: direct{answers}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		results, err := c.Batch(t.Context(), []database.Step{{Statement: database.Statement{SQL: "SELECT 1"}}, {Statement: database.Statement{SQL: "SELECT 2"}}})
		if err == nil && len(results) != 2 {
			t.Fatalf("%d results", len(results))
		}
		_, _ = c.Query(t.Context(), "SELECT 1")
		_, _ = c.Examine(t.Context(), "SELECT 1", 1)
	})
}

// direct carries a request to a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestSession holds what each kind of statement leaves on its connection.
func TestSession(t *testing.T) {
	for sql, want := range map[string]keeps{
		"BEGIN IMMEDIATE": keepsOpen, "savepoint a": keepsOpen, " -- it\n/* is */ Begin": keepsOpen, "BEGIN": keepsOpen,
		"COMMIT": keepsEnded, "end": keepsEnded, "ROLLBACK": keepsEnded,
		"PRAGMA foreign_keys = OFF": keepsOpen, "pragma user_version(3)": keepsOpen, "PRAGMA data_version": keepsNothing,
		"SELECT 1": keepsNothing, "select'BEGIN'": keepsNothing, "INSERT INTO a VALUES (1)": keepsNothing, "/* BEGIN */ DELETE FROM a": keepsNothing,
		"": keepsNothing, "é": keepsNothing, "REPLACE": keepsNothing, "SELECT 'no end": keepsNothing, "WITH a AS (SELECT 1) SELECT 1": keepsNothing,
	} {
		if got := session(sql); got != want {
			t.Errorf("%q leaves %d, want %d", sql, got, want)
		}
	}
}

// TestRequest holds what a server reads in a request against what it was made of.
func TestRequest(t *testing.T) {
	texts := []string{"", "a", "\"", `\`, "\\\"x\n\r\t\x01\x1f", "é \u2028 </script> 🎉", "'?'", strings.Repeat("long\n\"", 1000)}
	for _, text := range append(texts, texts...) { // the second time a long one is known
		sent, faults := batch([]database.Step{
			{Statement: database.Statement{SQL: "SELECT ?, ?, ?, ?, ?, ? -- " + text, Args: []any{text, int64(math.MinInt64), 1.5, []byte(text), nil, true}}},
			{Statement: database.Statement{SQL: "SELECT :a"}},
		})
		if faults[0] != nil || faults[1] == nil {
			t.Fatalf("%q: faults are %v", text, faults)
		}
		var got struct {
			Baton    *string
			Requests []struct {
				Type  string
				Batch struct {
					Steps []struct {
						Stmt struct {
							SQL  string
							Args []value
						}
					}
				}
			}
		}
		if err := json.Unmarshal(pipeline{baton: &text, of: sent, close: true}.text(), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		steps := got.Requests[0].Batch.Steps
		if *got.Baton != text || got.Requests[1].Type != "close" || steps[1].Stmt.SQL != never {
			t.Errorf("%q: got %+v", text, got)
		}
		var args []any
		for _, v := range steps[0].Stmt.Args {
			arg, err := v.decode()
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, arg)
		}
		want := []any{text, int64(math.MinInt64), 1.5, []byte(text), nil, int64(1)}
		if diff := cmp.Diff(want, args); diff != "" || !strings.HasSuffix(steps[0].Stmt.SQL, text) {
			t.Errorf("%q: %s %s", text, diff, steps[0].Stmt.SQL)
		}
	}
}
