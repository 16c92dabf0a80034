package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// image is a row that seed data wrote: as it was before and as it was left.
// The journal keeps it, so that a rollback can take the row back where nobody
// has touched it since. Values are SQL literals by column, NULLs left out.
type image struct {
	Object string            `json:"object"`
	Key    string            `json:"key"`
	Table  string            `json:"table"`
	ID     string            `json:"id"`
	Values map[string]string `json:"values"`          // of what was overwritten; nil for a new row
	Noted  map[string]string `json:"noted,omitempty"` // what earlier seeds had written of the row
	After  map[string]string `json:"after"`           // every value but its times
}

const noteQuery = "SELECT CAST(written AS BLOB) FROM _reconciler_seed WHERE object = ? AND key = ?"

// imageOf describes the row that a statement of seed data has just written.
func imageOf(ctx context.Context, conn database.Conn, s plan.Seed, before []any, noted database.Rows) (*image, error) {
	row, err := conn.Query(ctx, s.Row)
	if err != nil {
		return nil, err
	}
	if len(row.Values) == 0 {
		return nil, nil // a trigger of somebody else's has taken it away
	}
	written := &image{Object: s.Object, Key: s.Key, Table: s.Table, ID: str(row.Values[0][0])}
	if written.After, err = literals(str(row.Values[0][1])); err != nil || before[0] == nil {
		return written, err
	}
	if err := json.Unmarshal([]byte(str(before[1])), &written.Values); err != nil {
		return nil, fmt.Errorf("read seeded row: %w", err)
	}
	if len(noted.Values) > 0 {
		written.Noted, err = literals(str(noted.Values[0][0]))
	}
	return written, err
}

// literals reads a JSON object of SQL literals and leaves out NULLs.
func literals(text string) (map[string]string, error) {
	var values map[string]string
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, fmt.Errorf("read seeded row: %w", err)
	}
	maps.DeleteFunc(values, func(_, literal string) bool { return literal == "NULL" })
	return values, nil
}

// undoSeeds takes back what seed data of earlier deployments wrote, the last
// first, and leaves alone what somebody has touched since.
func (r *runner) undoSeeds(ctx context.Context) error {
	for _, entry := range slices.Backward(r.deployment.Undo) {
		for _, written := range slices.Backward(entry.images) {
			if err := r.undoSeed(ctx, written); err != nil {
				return fmt.Errorf("take seed data of %s back: %w", entry.Deployment, err)
			}
		}
	}
	return nil
}

func (r *runner) undoSeed(ctx context.Context, written image) error {
	untouched, err := r.untouched(ctx, written)
	if err != nil || !untouched {
		return err
	}
	note, args := "DELETE FROM _reconciler_seed WHERE object = ? AND key = ?", []any{written.Object, written.Key}
	if written.Noted != nil {
		text, err := json.Marshal(written.Noted)
		if err != nil {
			return err
		}
		note, args = "UPDATE _reconciler_seed SET written = ? WHERE object = ? AND key = ?", append([]any{string(text)}, args...)
	}
	sql := "DELETE FROM " + schema.Quote(written.Table)
	if written.Values != nil {
		var sets []string
		for _, column := range slices.Sorted(maps.Keys(written.Values)) {
			if err := checkLiteral(written.Values[column]); err != nil {
				return err
			}
			sets = append(sets, schema.Quote(column)+" = "+written.Values[column])
		}
		sql = fmt.Sprintf("UPDATE %s SET %s", schema.Quote(written.Table), strings.Join(sets, ", "))
	}
	if _, err := r.conn.Exec(ctx, sql+" WHERE id = ?", written.ID); err != nil {
		return err
	}
	_, err = r.conn.Exec(ctx, note, args...)
	return err
}

// untouched tells whether a row holds what a seed left in it, and nothing
// else. A row or table that is not there any more has been touched.
func (r *runner) untouched(ctx context.Context, written image) (bool, error) {
	columns, err := r.conn.Query(ctx, "SELECT name FROM pragma_table_info(?)", written.Table)
	if err != nil || len(columns.Values) == 0 {
		return false, err
	}
	var left int
	conditions := []string{"id = ?"}
	for _, row := range columns.Values {
		name := str(row[0])
		if schema.IsTimestamp(name) {
			continue
		}
		literal, ok := written.After[name]
		if ok {
			left++
		} else {
			literal = "NULL"
		}
		if err := checkLiteral(literal); err != nil {
			return false, err
		}
		conditions = append(conditions, fmt.Sprintf("%s IS %s", schema.Quote(name), literal))
	}
	if left < len(written.After) {
		return false, nil // a column has gone or has another name
	}
	rows, err := r.conn.Query(ctx, fmt.Sprintf("SELECT 1 FROM %s WHERE %s", schema.Quote(written.Table), strings.Join(conditions, " AND ")), written.ID)
	return len(rows.Values) > 0, err
}

// checkLiteral accepts what quote() gives. The journal is in the tenant's
// database, where others may have written: what it says goes into a statement
// only as one value.
func checkLiteral(text string) error {
	tokens, err := database.Tokens(text)
	if err != nil {
		return err
	}
	if len(tokens) == 2 && tokens[0].Is("-") {
		tokens = tokens[1:]
	}
	if len(tokens) != 1 || !schema.IsLiteral(text) && !isBlob(text) {
		return fmt.Errorf("the journal has %.40q where a value belongs", text)
	}
	return nil
}

func isBlob(text string) bool { return strings.HasPrefix(text, "X'") }
