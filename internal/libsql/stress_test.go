package libsql_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

// 400 cycles at each level take a few seconds; make stress runs 50,000.
var stressCycles = flag.Int("stress.cycles", 400, "open, query, close cycles at each number of goroutines")

// TestStress opens, uses and closes connections from several goroutines at
// once. Each goroutine has a file of its own, and all share a few for which
// they wait. Every answer is checked, every error that a cycle provokes, and
// the number of descriptors at the end.
func TestStress(t *testing.T) {
	for _, goroutines := range []int{1, 2, 8, 32} {
		t.Run(fmt.Sprintf("%d goroutines", goroutines), func(t *testing.T) {
			s := newStress(t, goroutines)
			descriptors := countDescriptors(t)
			start := time.Now()
			group, ctx := errgroup.WithContext(t.Context())
			for g := range goroutines {
				group.Go(func() error { return s.work(ctx, g, (*stressCycles+goroutines-1)/goroutines) })
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			elapsed := time.Since(start)
			if got := countDescriptors(t); got != descriptors {
				t.Errorf("%d descriptors are open, %d were at the start", got, descriptors)
			}
			s.check(t)
			t.Logf("%d cycles, %d of them with an error provoked, %v a cycle",
				s.cycles.Load(), s.provoked.Load(), elapsed/time.Duration(max(s.cycles.Load(), 1)))
		})
	}
}

// stress has a file for each goroutine and then the shared ones. Each holds
// one row: its own number, and how often it was counted up.
type stress struct {
	files            []string
	counted          []atomic.Int64 // what each file must hold
	own              int
	cycles, provoked atomic.Int64
}

func newStress(t *testing.T, goroutines int) *stress {
	t.Helper()
	files := goroutines + 1 + goroutines/4
	s := &stress{own: goroutines, counted: make([]atomic.Int64, files)}
	dir := t.TempDir()
	for i := range files {
		s.files = append(s.files, filepath.Join(dir, fmt.Sprintf("%d.db", i)))
		c := open(t, s.files[i], libsql.Options{Create: true, WAL: true})
		exec1(t, c, "CREATE TABLE t (file INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
		exec1(t, c, "INSERT INTO t VALUES (?, 0)", int64(i))
		closed(t, c)
	}
	return s
}

// work runs cycles, three of four on the goroutine's own file.
func (s *stress) work(ctx context.Context, goroutine, cycles int) error {
	choice := rand.New(rand.NewPCG(1, uint64(goroutine)))
	for range cycles {
		file := goroutine
		if choice.IntN(4) == 0 {
			file = s.own + choice.IntN(len(s.files)-s.own)
		}
		if err := s.cycle(ctx, file, choice.IntN(8) == 0); err != nil {
			return fmt.Errorf("file %d: %w", file, err)
		}
		s.cycles.Add(1)
	}
	return nil
}

// cycle opens a file, reads its row, counts it up and closes it. Nobody else
// may have counted in between.
func (s *stress) cycle(ctx context.Context, file int, provoke bool) error {
	c, err := libsql.Open(ctx, s.files[file], libsql.Options{Synchronous: "OFF"})
	if err != nil {
		return err
	}
	want := [][]any{{int64(file), s.counted[file].Load()}}
	rows, queryErr := c.Query(ctx, "SELECT file, n FROM t")
	if queryErr == nil && !cmp.Equal(want, rows.Values) {
		queryErr = fmt.Errorf("read %v, want %v", rows.Values, want)
	}
	n, execErr := c.Exec(ctx, "UPDATE t SET n = n + 1")
	if execErr == nil && n != 1 {
		execErr = fmt.Errorf("changed %d rows, want 1", n)
	}
	s.counted[file].Add(1)
	var provokeErr error
	if provoke {
		provokeErr = s.provoke(ctx, c, s.files[file])
	}
	return errors.Join(queryErr, execErr, provokeErr, c.Close())
}

// provoke makes three errors, each of which must be reported as what it is.
func (s *stress) provoke(ctx context.Context, c *libsql.Conn, path string) error {
	s.provoked.Add(1)
	_, constraint := c.Exec(ctx, "INSERT INTO t SELECT file, 0 FROM t")
	_, missing := libsql.Open(ctx, path+".missing", libsql.Options{})
	_, syntax := c.Query(ctx, "SELECT nothing FROM t")
	if !errors.Is(constraint, database.ErrConstraint) || !errors.Is(missing, database.ErrMissing) || syntax == nil {
		return fmt.Errorf("a provoked error is not among them: %w", errors.Join(constraint, missing, syntax))
	}
	return nil
}

// check reads each file once more.
func (s *stress) check(t *testing.T) {
	t.Helper()
	for i, path := range s.files {
		c := open(t, path, libsql.Options{ReadOnly: true})
		answers(t, c, "SELECT file, n FROM t", []any{int64(i), s.counted[i].Load()})
		answers(t, c, "PRAGMA integrity_check", []any{"ok"})
		closed(t, c)
	}
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("count descriptors: %v", err)
	}
	return len(entries)
}
