package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// What fills know of themselves. There is no such table while none is under
// way. Keys are as their tables have them: numbers or text.
var fillTables = []string{
	`CREATE TABLE IF NOT EXISTS _reconciler_fill (
 id TEXT NOT NULL PRIMARY KEY,
 at, upto, last,
 done INTEGER NOT NULL DEFAULT 0,
 total INTEGER NOT NULL,
 walks INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS _reconciler_stale (fill TEXT NOT NULL, key NOT NULL, PRIMARY KEY (fill, key)) WITHOUT ROWID`,
}

// Pace says how fast Fill goes.
type Pace struct {
	Batch time.Duration // that one transaction should take; default 200ms
	Rows  int           // of the first one; default 1000
	Strip Strips
	For   time.Duration // Fill returns after the first batch past it; 0 when all is done
	Now   func() time.Time
	// OnBatch is told of each batch. May be nil.
	OnBatch func(Filled)
}

// Strips tells whether a column of a table may be dropped, which rewrites every
// row in one statement. The nil one lets every column be.
type Strips func(table string) bool

func (s Strips) may(table string) bool { return s == nil || s(table) }

// Filled is how far the fills of a plan have come.
type Filled struct {
	Done, Total int64 // rows; Total is what the tables had at the beginning
	Complete    bool  // nothing is left but what the swap does itself
	Begun       bool  // it was this call that began
}

// What a batch begins with, and what the swap is left to do at most.
const (
	firstBatch = 1000 // rows, some milliseconds of work
	leftToSwap = 1000 // rows that were written since
	mostWalks  = 3    // through a table; see ErrUnfilled
	mostBusy   = 5    // times in a row that a batch finds the database locked
)

// Fill brings the fills of a plan on: begins those that are not under way, and
// works on them in transactions of their own, each as short as Pace says and
// followed by as long a pause, so that applications write as they did. What it
// has done stays done: after a crash, or in another process, it goes on where
// it was. It may be called when all is complete.
//
// Rows with a value that cannot be carried over give ErrDamaged and stay as
// they are; so does everything that applications see. The connection must be
// outside a transaction, and is so afterwards unless database.ErrAway says
// that nobody knows.
func Fill(ctx context.Context, conn database.Conn, fills []plan.Fill, p Pace) (Filled, error) {
	if p.Batch == 0 {
		p.Batch = 200 * time.Millisecond
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	work := filler{conn: conn, pace: p, start: p.Now(), rows: cmp.Or(p.Rows, firstBatch)}
	for _, f := range fills {
		record, begun, err := work.begin(ctx, f)
		if err == nil {
			record.others, err = triggersOf(ctx, conn, f.Table)
		}
		if err != nil {
			return work.sum(), fmt.Errorf("begin to fill %q: %w", f.Table, err)
		}
		work.filled.Begun = work.filled.Begun || begun
		work.records = append(work.records, record)
	}
	for {
		for i, f := range fills {
			done, err := work.fill(ctx, f, &work.records[i])
			if err != nil {
				return work.sum(), fmt.Errorf("fill %q: %w", f.Table, err)
			}
			if !done {
				return work.sum(), nil
			}
		}
		if filled := work.sum(); filled.Complete {
			return filled, nil
		}
	}
}

// fill works on one table until it is complete, or the time is over.
func (w *filler) fill(ctx context.Context, f plan.Fill, record *fillRecord) (bool, error) {
	for {
		complete, err := w.complete(ctx, f, record)
		if err != nil || complete {
			return complete, err
		}
		if err := w.advance(ctx, f, record); err != nil {
			return false, err
		}
		if w.pace.For > 0 && w.pace.Now().Sub(w.start) >= w.pace.For {
			return false, nil
		}
	}
}

// complete tells that nothing is left to do. It looks at the whole table once,
// as the swap will under its lock, so that a row which was written past the
// triggers is found before.
func (w *filler) complete(ctx context.Context, f plan.Fill, record *fillRecord) (bool, error) {
	if err := w.read(ctx, f, record); err != nil || !record.complete() {
		return false, err
	}
	found, err := w.conn.Query(ctx, f.Missed())
	if err != nil || len(found.Values) == 0 {
		return err == nil, err
	}
	if record.walks >= mostWalks {
		return false, fmt.Errorf("%w: rows are out of step after %d passes through the table; something writes to it with triggers switched off",
			ErrGuard, record.walks)
	}
	if _, err := w.conn.Exec(ctx, f.Restart()); err != nil {
		return false, err
	}
	return false, w.read(ctx, f, record)
}

func (w *filler) read(ctx context.Context, f plan.Fill, record *fillRecord) error {
	rows, err := w.conn.Query(ctx, recordQuery, f.ID())
	if err != nil {
		return err
	}
	return record.update(rows)
}

// update takes in what the database says.
func (r *fillRecord) update(rows database.Rows) error {
	now, ok := recordOf(rows)
	if !ok {
		return fmt.Errorf("%w: somebody took the record of its fill away", ErrStale)
	}
	now.others = r.others
	*r = now
	return nil
}

// ErrDamaged says that a row has a value that a conversion would damage: the
// pre-checks of the plan name it.
var ErrDamaged = errors.New("a value cannot be carried over")

// filler is one call of Fill.
type filler struct {
	conn    database.Conn
	pace    Pace
	start   time.Time
	rows    int // of the next batch
	records []fillRecord
	filled  Filled
}

// fillRecord is the row of a fill in the database.
type fillRecord struct {
	walked      bool // through all rows that were there
	done, total int64
	walks, left int64 // left of the rows that were written since, at most leftToSwap + 1
	others      aside // triggers of the table that are not ours
}

func (r fillRecord) complete() bool { return r.walked && r.left <= leftToSwap }

func (w *filler) sum() Filled {
	w.filled.Done, w.filled.Total, w.filled.Complete = 0, 0, len(w.records) > 0
	for _, r := range w.records {
		w.filled.Done += min(r.done, r.total)
		w.filled.Total += r.total
		w.filled.Complete = w.filled.Complete && r.complete()
	}
	return w.filled
}

var recordQuery = fmt.Sprintf(`SELECT at IS NULL, done, total, walks,
 (SELECT count(*) FROM (SELECT 1 FROM _reconciler_stale WHERE fill = id LIMIT %d)) FROM _reconciler_fill WHERE id = ?`, leftToSwap+1)

func recordOf(rows database.Rows) (fillRecord, bool) {
	if len(rows.Values) == 0 {
		return fillRecord{}, false
	}
	var n [5]int64
	for i, v := range rows.Values[0] {
		n[i], _ = v.(int64)
	}
	return fillRecord{walked: n[0] == 1, done: n[1], total: n[2], walks: n[3], left: n[4]}, true
}

// begin makes sure that a fill is under way, with all that it has in the
// database. One of which something is missing begins anew: nobody knows what
// was written since.
func (w *filler) begin(ctx context.Context, f plan.Fill) (record fillRecord, begun bool, err error) {
	seen, err := schema.ReadMaster(ctx, w.conn)
	if err != nil {
		return record, false, err
	}
	if seen.Filling {
		intact, err := w.conn.Query(ctx, intactQuery(f))
		if err != nil {
			return record, false, err
		}
		if intact.Values[0][0] == int64(1) {
			rows, err := w.conn.Query(ctx, recordQuery, f.ID())
			if record, ok := recordOf(rows); err != nil || ok {
				return record, false, err
			}
		}
		if err := w.dropOne(ctx, f); err != nil {
			return record, false, err
		}
	}
	columns, err := columnsOf(ctx, w.conn, f.Table)
	if err != nil {
		return record, false, err
	}
	there := func(column string) bool { return slices.Contains(columns, column) }
	total, err := w.conn.Query(ctx, "SELECT count(*) FROM "+schema.Quote(f.Table))
	if err != nil {
		return record, false, err
	}
	b := begin()
	for _, sql := range fillTables {
		b.add(sql)
	}
	statements := f.Begin(there)
	for _, sql := range statements[:len(statements)-1] {
		b.add(sql)
	}
	b.add(statements[len(statements)-1], total.Values[0][0])
	read := b.add(recordQuery, f.ID())
	results, err := b.run(ctx, w.conn)
	if err != nil {
		return record, false, err
	}
	record, _ = recordOf(results[read].Rows)
	return record, true, nil
}

// intactQuery gives 1 when a fill has all that it needs in the database.
func intactQuery(f plan.Fill) string {
	conditions := []string{"(SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('_reconciler_fill', '_reconciler_stale')) = 2"}
	for _, t := range f.Triggers() {
		conditions = append(conditions, fmt.Sprintf("EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = %s AND sql = %s)",
			schema.QuoteText(t.Name), schema.QuoteText(t.SQL)))
	}
	return "SELECT " + strings.Join(append(conditions, inPlace(f)...), " AND ")
}

// inPlace are the conditions that the columns of a fill are there, and in their
// place: in order, and no column of the application's comes after one that was
// added. Where one does they would end elsewhere than in the proof.
func inPlace(f plan.Fill) []string {
	var conditions []string
	before := "-1"
	for _, c := range f.Columns {
		cid := fmt.Sprintf("(SELECT cid FROM pragma_table_xinfo(%s) WHERE name = %s)", schema.QuoteText(f.Table), schema.QuoteText(c.Name))
		if c.Type == "" {
			conditions = append(conditions, cid+" IS NOT NULL")
			continue
		}
		conditions = append(conditions, cid+" > "+before, fmt.Sprintf("NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(%s) WHERE cid > %s AND NOT %s)",
			schema.QuoteText(f.Table), cid, ours("name")))
		before = cid
	}
	return conditions
}

// advance runs one batch and waits as long as it took: first through the rows
// that were there, then through those that were written since.
func (w *filler) advance(ctx context.Context, f plan.Fill, record *fillRecord) error {
	var took time.Duration
	for busy := 1; ; busy++ {
		var err error
		took, err = w.batch(ctx, f, record)
		if !errors.Is(err, database.ErrBusy) || busy == mostBusy {
			if err != nil {
				return err
			}
			break
		}
		if err := pause(ctx, w.pace.Batch); err != nil {
			return err
		}
	}
	w.rows = resize(w.rows, took, w.pace.Batch)
	if w.pace.OnBatch != nil {
		w.pace.OnBatch(w.sum())
	}
	return pause(ctx, min(took, 2*w.pace.Batch))
}

// resize is how many rows the next batch has, when one of so many took so long.
func resize(rows int, took, aim time.Duration) int {
	factor := min(4, float64(aim)/float64(max(took, time.Millisecond)))
	return max(1, int(float64(rows)*factor))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// batch is one transaction, in one round trip. It returns for how long the
// lock was held, by the clock of the database.
func (w *filler) batch(ctx context.Context, f plan.Fill, record *fillRecord) (time.Duration, error) {
	others := record.others
	b := begin()
	since := b.add(clock)
	b.require(intactQuery(f), fmt.Errorf("%w: somebody changed its triggers or columns", ErrStale))
	others.unchanged(b)
	rows := f.Batch()
	if record.walked {
		rows = f.Noted(w.rows)
	} else {
		b.add(f.Advance(w.rows))
	}
	if damaged := f.Damaged(rows); damaged != "" {
		b.require("SELECT NOT EXISTS ("+damaged+")", ErrDamaged)
	}
	others.around(b, func() { b.add(f.Update(rows)) })
	if record.walked {
		b.add(f.Forget(w.rows))
	} else {
		b.add(f.Advanced())
	}
	read := b.add(recordQuery, f.ID())
	results, err := b.run(ctx, w.conn, clock)
	if err != nil {
		return 0, err
	}
	return between(results[since].Rows, results[len(results)-2].Rows), record.update(results[read].Rows)
}

// clock reads the time in milliseconds where the statement runs.
const clock = "SELECT CAST(julianday('now') * 86400000 AS INTEGER)"

func between(since, until database.Rows) time.Duration {
	if len(since.Values) == 0 || len(until.Values) == 0 {
		return 0
	}
	a, _ := since.Values[0][0].(int64)
	b, _ := until.Values[0][0].(int64)
	return time.Duration(max(0, b-a)) * time.Millisecond
}

// settleFills does in the transaction of the swap what is left of a plan's
// fills, makes sure that every row is in step, and takes away what they had in
// the database.
func (r *runner) settleFills(ctx context.Context) error {
	b, err := settling(ctx, r.conn, r.plan.Fills)
	if err != nil {
		return err
	}
	for i, s := range b.steps[1:] { // the transaction is open
		if _, err := r.conn.Query(ctx, s.SQL, s.Args...); err != nil {
			return b.failure(i+1, err)
		}
	}
	return nil
}

// settling is what settleFills does, as a transaction of its own. It reads what
// is somebody else's, and the transaction fails where that has changed.
func settling(ctx context.Context, conn database.Conn, fills []plan.Fill) (*batch, error) {
	b := begin()
	for _, f := range fills {
		others, err := triggersOf(ctx, conn, f.Table)
		if err != nil {
			return nil, err
		}
		b.require(intactQuery(f), fmt.Errorf("%w: the fill of %q is not there any more", ErrUnfilled, f.Table))
		others.unchanged(b)
		if damaged := f.Damaged(f.Noted(-1)); damaged != "" {
			b.require("SELECT NOT EXISTS ("+damaged+")", fmt.Errorf("%w: in %q", ErrDamaged, f.Table))
		}
		others.around(b, func() {
			b.add(f.Update(f.Noted(-1)))
			for _, t := range f.Triggers() {
				b.add("DROP TRIGGER " + schema.Quote(t.Name))
			}
		})
		b.require("SELECT NOT EXISTS ("+f.OutOfStep()+")", fmt.Errorf("%w: of %q", ErrUnfilled, f.Table))
	}
	if len(fills) > 0 {
		b.add("DROP TABLE _reconciler_fill")
		b.add("DROP TABLE _reconciler_stale")
	}
	return b, nil
}
