package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Staged is the other way to the same result as Migration, for a database in
// which that would keep writers waiting too long: columns are filled before,
// in many short transactions, and what is left is done in a last one. The
// database is ready for that when every Fill is complete.
type Staged struct {
	Fills      []Fill                        `json:"fills"`
	Statements []protocol.MigrationStatement `json:"statements"`
	Steps      []Step                        `json:"steps"`
	PreChecks  []PreCheck                    `json:"preChecks,omitempty"` // those that no fill asks
	WayBack    []string                      `json:"wayBack,omitempty"`
	To         string                        `json:"to"` // fingerprint that its proof ended with
}

// Swap returns the last transaction of the staged way as a plan: the same one,
// known by the same digest, whose statements find their columns filled. Of a
// plan that has no such way it returns nil.
func (p *Plan) Swap() *Plan {
	if p.Staged == nil {
		return nil
	}
	swap := *p
	swap.Migration.Statements, swap.Steps = p.Staged.Statements, p.Staged.Steps
	swap.PreChecks, swap.WayBack, swap.To = p.Staged.PreChecks, p.Staged.WayBack, p.Staged.To
	swap.Fills = p.Staged.Fills
	swap.text = journalText(&swap)
	return &swap
}

// Fill brings columns of one table in step with what they are made from, row
// by row, while applications go on writing to it. Its statements take no
// argument, and name rows by conditions, so that they run anywhere.
//
// What it knows of its progress is in the database: _reconciler_fill has how far
// it has come through the rows that were there at the beginning, and
// _reconciler_stale the keys of rows that were written since, which triggers add.
type Fill struct {
	Table   string       `json:"table"` // as it is named before the plan
	Key     string       `json:"key"`   // column that orders the rows and never changes by itself
	Watch   []string     `json:"watch"` // columns of which a change takes a row out of step
	Columns []FillColumn `json:"columns"`
}

// FillColumn is one column of a Fill.
type FillColumn struct {
	Name    string `json:"name"`
	Type    string `json:"type,omitempty"`    // that it is added with; empty for one that was retired before
	Value   string `json:"value"`             // expression over a row
	Stale   string `json:"stale"`             // condition: the row is not in step
	Every   bool   `json:"every,omitempty"`   // rows in step are written as well, see impliesValues
	Damaged string `json:"damaged,omitempty"` // condition: the value cannot be carried over; empty for never
}

// The statements below come from database texts and names alone, all quoted.

// ID names the fill in the database by what it does: a plan for another bundle
// that needs the same goes on where the one before has stopped.
func (f Fill) ID() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic("fill cannot be marshalled: " + err.Error()) // plain text
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func (f Fill) table() string { return schema.Quote(f.Table) }
func (f Fill) key() string   { return f.table() + "." + schema.Quote(f.Key) }

// record is a value of the fill's row in _reconciler_fill.
func (f Fill) record(column string) string {
	return fmt.Sprintf("(SELECT f.%s FROM _reconciler_fill AS f WHERE f.id = '%s')", column, f.ID())
}

// Begin returns the statements that begin the fill, without columns that are
// there. The last one takes the number of rows, for people.
func (f Fill) Begin(there func(column string) bool) []string {
	var statements []string
	for _, c := range f.Columns {
		if c.Type != "" && !there(c.Name) {
			statements = append(statements, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", f.table(), schema.Quote(c.Name), c.Type))
		}
	}
	for _, t := range f.Triggers() {
		statements = append(statements, t.SQL)
	}
	return append(statements, fmt.Sprintf(
		"INSERT INTO _reconciler_fill (id, at, last, total) SELECT '%s', min(%s), max(%[2]s), ? FROM %s", f.ID(), f.key(), f.table()))
}

// Triggers are what notes the rows that somebody writes while the fill is
// under way. They compute nothing and touch no other row of the table, so that
// they neither fail nor set off what is not ours.
func (f Fill) Triggers() []schema.Entry {
	id := f.ID()
	// Without OR IGNORE, which a statement's own OR clause would take the place
	// of (sqlite.org/lang_createtrigger.html).
	note := fmt.Sprintf("BEGIN INSERT INTO _reconciler_stale (fill, key) SELECT '%s', NEW.%s WHERE NOT EXISTS "+
		"(SELECT 1 FROM _reconciler_stale WHERE fill = '%[1]s' AND key = NEW.%[2]s); END", id, schema.Quote(f.Key))
	trigger := func(event, of string) schema.Entry {
		name := schema.FillPrefix + id + "_" + event
		return schema.Entry{Type: "trigger", Name: name, Table: f.Table, SQL: fmt.Sprintf(
			"CREATE TRIGGER %s AFTER %s%s ON %s %s", name, strings.ToUpper(event), of, f.table(), note)}
	}
	watched := make([]string, len(f.Watch))
	for i, column := range f.Watch {
		watched[i] = schema.Quote(column)
	}
	return []schema.Entry{trigger("insert", ""), trigger("update", " OF "+strings.Join(watched, ", "))}
}

// Advance moves the end of the next batch of at most n rows.
func (f Fill) Advance(n int) string {
	return fmt.Sprintf("UPDATE _reconciler_fill SET upto = coalesce((SELECT %[1]s FROM %[2]s WHERE %[1]s >= _reconciler_fill.at AND %[1]s <= _reconciler_fill.last "+
		"ORDER BY %[1]s LIMIT 1 OFFSET %[3]d), last) WHERE id = '%[4]s' AND at IS NOT NULL", f.key(), f.table(), max(0, n-1), f.ID())
}

// Batch is the condition of the rows that Advance has chosen.
func (f Fill) Batch() string {
	return fmt.Sprintf("%s >= %s AND %[1]s <= %[3]s", f.key(), f.record("at"), f.record("upto"))
}

// Advanced records that the rows of a batch are in step.
func (f Fill) Advanced() string {
	return fmt.Sprintf("UPDATE _reconciler_fill SET done = done + (SELECT count(*) FROM %[2]s WHERE %[3]s), "+
		"at = (SELECT %[1]s FROM %[2]s WHERE %[1]s > _reconciler_fill.upto AND %[1]s <= _reconciler_fill.last ORDER BY %[1]s LIMIT 1) WHERE id = '%[4]s'",
		f.key(), f.table(), f.Batch(), f.ID())
}

// Noted is the condition of at most n rows that were written meanwhile; of all
// of them for -1.
func (f Fill) Noted(n int) string { return f.key() + " IN " + f.noted(n) }

func (f Fill) noted(n int) string {
	return fmt.Sprintf("(SELECT s.key FROM _reconciler_stale AS s WHERE s.fill = '%s' ORDER BY s.key LIMIT %d)", f.ID(), n)
}

// Forget takes the rows of Noted off the list.
func (f Fill) Forget(n int) string {
	return fmt.Sprintf("DELETE FROM _reconciler_stale WHERE fill = '%s' AND key IN %s", f.ID(), f.noted(n))
}

// Update brings the rows of a condition in step.
func (f Fill) Update(rows string) string {
	var sets []string
	every := false
	for _, c := range f.Columns {
		sets = append(sets, schema.Quote(c.Name)+" = "+c.Value)
		every = every || c.Every
	}
	sql := fmt.Sprintf("UPDATE %s SET %s WHERE %s", f.table(), strings.Join(sets, ", "), rows)
	if every {
		return sql
	}
	return sql + " AND (" + f.stale() + ")"
}

func (f Fill) stale() string {
	conditions := make([]string, len(f.Columns))
	for i, c := range f.Columns {
		conditions[i] = "(" + c.Stale + ")"
	}
	return strings.Join(conditions, " OR ")
}

// OutOfStep gives a row when one of the table is not in step.
func (f Fill) OutOfStep() string {
	return fmt.Sprintf("SELECT 1 FROM %s WHERE %s LIMIT 1", f.table(), f.stale())
}

// Missed gives a row when one is not in step that no trigger has noted.
func (f Fill) Missed() string {
	return fmt.Sprintf("SELECT 1 FROM %s WHERE (%s) AND NOT (%s) LIMIT 1", f.table(), f.stale(), f.Noted(-1))
}

// Damaged gives a row when the value of one of those rows cannot be carried
// over; empty where every value can be.
func (f Fill) Damaged(rows string) string {
	var conditions []string
	for _, c := range f.Columns {
		if c.Damaged != "" {
			conditions = append(conditions, c.Damaged)
		}
	}
	if len(conditions) == 0 {
		return ""
	}
	return fmt.Sprintf("SELECT 1 FROM %s WHERE %s AND (%s) LIMIT 1", f.table(), rows, strings.Join(conditions, " OR "))
}

// Restart makes the fill look at every row again.
func (f Fill) Restart() string {
	return fmt.Sprintf("UPDATE _reconciler_fill SET (at, last) = (SELECT min(%s), max(%[1]s) FROM %s), upto = NULL, done = 0, walks = walks + 1 WHERE id = '%s'",
		f.key(), f.table(), f.ID())
}
