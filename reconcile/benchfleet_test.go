package reconcile_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// pairsOf is how many times each side of a comparison is measured, in turn;
// BENCH_PAIRS, 1 unless set.
func pairsOf(b *testing.B) int { return numberOf(b, "BENCH_PAIRS", 1) }

func numberOf(b *testing.B, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(b, err)
	return n
}

// fleetBench is a fleet that exists three times: ours, and one for each of two
// loops that do by hand what was done to ours.
type fleetBench struct {
	b       *testing.B
	n       int
	pairs   int
	w       *world
	loops   [2]string // directories: for one database after the other, and eight at once
	daemon  *child
	columns int // that were added so far
	lines   []line
}

// line is one of the table.
type line struct {
	what   string
	ours   []answer
	took   func(answer) float64
	loop   []float64 // ms, one after the other
	loop8  []float64 // ms, eight at once; nil for the same
	wanted string    // what the ratio, or ours, should be
	note   string
}

// BenchmarkFleet measures a whole fleet, prints a table of what it cost beside a
// loop by hand, with the medians of BENCH_PAIRS pairs, and fails where something
// is planned more than once or a database is opened for nothing. BENCH_TENANTS
// is the size of the fleet.
func BenchmarkFleet(b *testing.B) {
	n := tenantsOf(b)
	for range b.N {
		f := &fleetBench{b: b, n: n, pairs: pairsOf(b), w: newWorld(b, bigFleet(n))}
		for i := range f.loops {
			f.loops[i] = b.TempDir()
		}
		f.newTenants()
		f.daemon = startChild(b, f.w.repo, f.w.data)
		f.daemon.mustSync(0) // sees what the first pass left
		f.addColumn()
		f.touchOne()
		f.poll()
		f.driftScan()
		f.failing()
		f.daemon.close()
		f.restart()
		f.table("")
	}
	b.ReportMetric(0, "ns/op")
}

// newTenants makes the fleets, as often as there are pairs; the last ones stay.
func (f *fleetBench) newTenants() {
	statements := firstPlan(f.b, f.w)
	l := line{what: "20 tables and 40 indexes to new tenants, in a new process", wanted: "1.25"}
	for range f.pairs {
		for _, dir := range []string{f.w.data, f.loops[0], f.loops[1]} {
			f.clear(dir)
		}
		c := startChild(f.b, f.w.repo, f.w.data)
		l.ours = append(l.ours, c.mustSync(f.n))
		c.close()
		l.loop = append(l.loop, f.loop(0, statements))
		l.loop8 = append(l.loop8, f.loop(1, statements))
	}
	if plans := f.plans(); plans != 1 {
		f.b.Errorf("got %d plans for tenants that are all new, want 1", plans)
	}
	f.lines = append(f.lines, l)
}

func (f *fleetBench) clear(dir string) {
	entries, err := os.ReadDir(dir)
	must(f.b, err)
	for _, entry := range entries {
		must(f.b, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
}

// loop runs statements on a loop's databases: the first one's one at a time.
func (f *fleetBench) loop(which int, statements []string) float64 {
	return milliseconds(timed(func() { rawLoop(f.b, paths(f.loops[which], f.n), []int{1, 8}[which], statements) }))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// plans counts the plans that were ever made.
func (f *fleetBench) plans() int { return f.w.plans() }

// pushColumn commits another column of the app, and returns what a loop runs for it.
func (f *fleetBench) pushColumn() []string {
	path := "apps/big/objects/object_00.yaml"
	object, err := os.ReadFile(filepath.Join(f.w.repo, path))
	must(f.b, err)
	name := fmt.Sprintf("added_%d", f.columns)
	f.columns++
	f.w.commit("add a column", files{path: string(fmt.Appendf(object, "  %s: {type: text}\n", name))})
	return slices.Concat([]string{"ALTER TABLE object_00 ADD COLUMN " + name + " text NULL"}, rows[2:])
}

func (f *fleetBench) addColumn() {
	l := line{what: "one column to every tenant", wanted: "1.25"}
	before := f.plans()
	for range f.pairs {
		statements := f.pushColumn()
		l.ours = append(l.ours, f.daemon.mustSync(f.n))
		l.loop = append(l.loop, f.loop(0, statements))
		l.loop8 = append(l.loop8, f.loop(1, statements))
	}
	made := f.plans() - before
	if made != f.pairs {
		f.b.Errorf("got %d plans for %d commits to tenants of one class", made, f.pairs)
	}
	l.note = fmt.Sprintf("planned once for %d tenants", f.n)
	f.lines = append(f.lines, l)
}

// touchOne deploys a commit that one tenant gets something from, and the same
// to a fleet that has one other. Both count until state says of the tenant that
// it is in sync.
func (f *fleetBench) touchOne() {
	alone := newWorld(f.b, bigFleet(2))
	c := startChild(f.b, alone.repo, alone.data)
	defer c.close()
	c.mustSync(2)
	c.mustSync(0)
	l := line{
		what: "a commit that touches one tenant; beside it the same in a fleet of two", wanted: "3, and 100 ms",
		took: func(a answer) float64 { return a.Saved }, loop8: []float64{},
	}
	before := f.plans()
	object := "name: extra\nfields:\n  name: {type: text}\n"
	var applied, whole []float64
	times := max(f.pairs, 5)
	for i := range times + 1 { // the first one makes the table
		object += fmt.Sprintf("  more_%d: {type: text}\n", i)
		change := files{"tenants/t0000/objects/extra.yaml": object}
		f.w.commit("one", change)
		alone.commit("one", change)
		ours, theirs := f.daemon.mustSync(1), c.mustSync(1)
		if i > 0 {
			l.ours, l.loop = append(l.ours, ours), append(l.loop, theirs.Saved)
			applied, whole = append(applied, ours.Applied), append(whole, ours.Took)
		}
	}
	if made := f.plans() - before; made != times+1 {
		f.b.Errorf("got %d plans for %d commits to one tenant", made, times+1)
	}
	l.note = fmt.Sprintf("committed in its database after %.0f ms, all looked at after %.0f ms", middle(applied), middle(whole))
	f.lines = append(f.lines, l)
}

// poll is what the daemon does when the repository has nothing new. The loop
// opens each file.
func (f *fleetBench) poll() {
	l := line{what: "a poll without a change, processor time; the loop opens each file", wanted: "5 ms", took: func(a answer) float64 { return a.CPU }}
	f.daemon.mustSync(0)
	opened := opens(f.b, filepath.Join(f.w.data, "tenants"), func() {
		for range max(f.pairs, 5) {
			l.ours = append(l.ours, f.daemon.do("poll"))
		}
	})
	if opened > 0 {
		f.b.Errorf("polls without a change opened databases %d times", opened)
	}
	l.loop, l.loop8 = f.look()
	l.note = "0 databases opened"
	f.lines = append(f.lines, l)
}

// look opens each database of ours and reads its schema's version.
func (f *fleetBench) look() (one, eight []float64) {
	at := func(once int) float64 {
		return milliseconds(timed(func() {
			var group errgroup.Group
			group.SetLimit(once)
			for _, path := range paths(filepath.Join(f.w.data, "tenants"), f.n) {
				group.Go(func() error { return schemaVersion(f.b.Context(), path) })
			}
			must(f.b, group.Wait())
		}))
	}
	for range f.pairs {
		one, eight = append(one, at(1)), append(eight, at(8))
	}
	f.daemon.mustSync(0) // the loop has touched the files
	return one, eight
}

func (f *fleetBench) driftScan() {
	l := line{what: "a drift scan, nothing has changed; the loop reads each file's header", wanted: "1.5"}
	files := paths(filepath.Join(f.w.data, "tenants"), f.n)
	f.daemon.do("drift")
	for range max(f.pairs, 3) {
		l.ours = append(l.ours, f.daemon.do("drift"))
		l.loop = append(l.loop, milliseconds(timed(func() {
			for _, path := range files {
				must(f.b, readHeader(path))
			}
		})))
	}
	f.lines = append(f.lines, l)
}

// readHeader reads what SQLite has before the first page of a file that nobody
// has open.
func readHeader(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	var header [100]byte
	_, err = io.ReadFull(file, header[:])
	return errors.Join(err, file.Close())
}

// failing adds a column while the databases of every twentieth tenant are away,
// and holds the healthy ones' time against that of a fleet without failures.
func (f *fleetBench) failing() {
	away := max(1, f.n/20)
	l := line{
		what:   fmt.Sprintf("one column while %d tenants' databases are away; beside it with all there", away),
		wanted: "1.1", took: func(a answer) float64 { return a.Healthy }, loop8: []float64{},
	}
	aside := f.b.TempDir()
	files := paths(filepath.Join(f.w.data, "tenants"), f.n)
	move := func(back bool) {
		for i := range away {
			from, to := files[i*(f.n/away)], filepath.Join(aside, filepath.Base(files[i*(f.n/away)]))
			if back {
				from, to = to, from
			}
			must(f.b, os.Rename(from, to))
		}
	}
	for range f.pairs {
		f.pushColumn()
		l.loop = append(l.loop, f.daemon.mustSync(f.n).Healthy)
		move(false)
		f.pushColumn()
		ours := f.daemon.do("sync")
		if ours.Changed != f.n-away || ours.Failed != away {
			f.b.Fatalf("got %d changed and %d failed tenants, want %d and %d", ours.Changed, ours.Failed, f.n-away, away)
		}
		// Fewer tenants are deployed: as long as all of them would take.
		ours.Healthy *= float64(f.n) / float64(f.n-away)
		l.ours = append(l.ours, ours)
		move(true)
		f.daemon.mustSync(away)
		f.daemon.mustSync(0)
	}
	l.note = "healthy tenants, per tenant"
	f.lines = append(f.lines, l)
}

// restart is a new process, from its beginning to the end of its first pass,
// which finds nothing to do. The loop opens each file.
func (f *fleetBench) restart() {
	l := line{what: "restart to idle; the loop opens each file", wanted: "3 s"}
	for range max(f.pairs, 3) {
		c := startChild(f.b, f.w.repo, f.w.data)
		idle := c.mustSync(0)
		idle.Took = milliseconds(time.Since(c.began))
		l.ours = append(l.ours, idle)
		c.close()
	}
	poll := f.lines[slices.IndexFunc(f.lines, func(l line) bool { return strings.HasPrefix(l.what, "a poll") })]
	l.loop, l.loop8 = poll.loop, poll.loop8
	f.lines = append(f.lines, l)
}

func middle(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// table prints the lines for docs/benchmarks.md.
func (f *fleetBench) table(beside string) {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%d tenants, medians of %d pairs%s\n\n", f.n, f.pairs, beside)
	out.WriteString("| what | ours | one at a time | ratio | eight at once | ratio | wanted | peak memory | descriptors | |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range f.lines {
		fmt.Fprintln(&out, l)
	}
	f.w.usage(&out, f.n)
	fmt.Print(out.String()) // the log of a benchmark is cut short
}

func (l line) String() string {
	if l.took == nil {
		l.took = func(a answer) float64 { return a.Took }
	}
	var took []float64
	peak, open := 0, 0
	for _, a := range l.ours {
		took = append(took, l.took(a))
		peak, open = max(peak, a.Peak), max(open, a.Open)
	}
	ours, loop := middle(took), middle(l.loop)
	cells := []string{l.what, inWords(ours), inWords(loop), fmt.Sprintf("%.2f", ours/loop), "", ""}
	if len(l.loop8) > 0 {
		cells[4], cells[5] = inWords(middle(l.loop8)), fmt.Sprintf("%.2f", ours/middle(l.loop8))
	}
	cells = append(cells, l.wanted, fmt.Sprintf("%d MiB", peak>>10), fmt.Sprint(open), l.note)
	return "| " + strings.Join(cells, " | ") + " |"
}

// inWords is a time with three digits.
func inWords(ms float64) string {
	switch {
	case ms >= 10_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// usage says what a fleet takes of the disk.
func (w *world) usage(out *strings.Builder, n int) {
	var tenants, record int64
	for name, size := range sizes(w.t, w.data) {
		if strings.HasPrefix(name, "tenants/") {
			tenants += size
		} else if strings.HasPrefix(name, "state.db") {
			record += size
		}
	}
	fmt.Fprintf(out, "\nOn disk: %d KiB a tenant, and %d bytes of state.\n", tenants/int64(n)>>10, record/int64(n))
}

func sizes(t testing.TB, dir string) map[string]int64 {
	all := map[string]int64{}
	must(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		all[name] = info.Size()
		return err
	}))
	return all
}

// BenchmarkGrowth has fleets of several sizes in one table; BENCH_GROWTH lists
// them, 10 and BENCH_TENANTS unless set. BENCH_MANY is how many new tenants are
// planned for, each an empty database in memory: what "reconciler plan" does.
func BenchmarkGrowth(b *testing.B) {
	var out strings.Builder
	out.WriteString("\n| tenants | new | a column | a pass without a change, processor | restart | peak memory, descriptors: new | a column | idle | disk, a tenant | state, a tenant |\n")
	out.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	sizes := os.Getenv("BENCH_GROWTH")
	if sizes == "" {
		sizes = fmt.Sprintf("10,%d", tenantsOf(b))
	}
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(text)
		must(b, err)
		out.WriteString(growth(b, n))
	}
	out.WriteString(many(b, numberOf(b, "BENCH_MANY", 100)))
	fmt.Print(out.String())
	b.ReportMetric(0, "ns/op")
}

func growth(b *testing.B, n int) string {
	f := &fleetBench{b: b, n: n, w: newWorld(b, bigFleet(n))}
	defer f.clear(f.w.data)
	c := startChild(b, f.w.repo, f.w.data)
	made := c.mustSync(n)
	c.mustSync(0)
	f.pushColumn()
	column := c.mustSync(n)
	c.mustSync(0)
	idle := c.mustSync(0)
	c.close()
	c = startChild(b, f.w.repo, f.w.data)
	c.mustSync(0)
	restart := milliseconds(time.Since(c.began))
	c.close()
	var tenants, record int64
	for name, size := range maps.All(sizes(b, f.w.data)) {
		if strings.HasPrefix(name, "tenants/") {
			tenants += size
		} else if strings.HasPrefix(name, "state.db") {
			record += size
		}
	}
	use := func(a answer) string { return fmt.Sprintf("%d MiB, %d", a.Peak>>10, a.Open) }
	return fmt.Sprintf("| %d | %s | %s | %s | %s | %s | %s | %s | %d KiB | %d bytes |\n", n, inWords(made.Took), inWords(column.Took),
		inWords(idle.CPU), inWords(restart), use(made), use(column), use(idle), tenants/int64(n)>>10, record/int64(n))
}

// many plans for tenants that are all new.
func many(b *testing.B, n int) string {
	w := newWorld(b, bigFleet(n))
	c := startChild(b, w.repo, w.data)
	planned := c.do("plan")
	c.close()
	return fmt.Sprintf("\nA plan for %d new tenants, each an empty database in memory: %s, peak memory %d MiB, %d descriptors.\n",
		n, inWords(planned.Took), planned.Peak>>10, planned.Open)
}
