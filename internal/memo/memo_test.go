package memo_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/internal/memo"
)

// Many who ask for one key at once have it made once.
func TestOf(t *testing.T) {
	var m memo.Map[int]
	var made atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if got := m.Of("a", 10, func() (int, bool) { return int(made.Add(1)), true }); got != 1 {
				t.Errorf("got %d", got)
			}
		})
	}
	group.Wait()
}

// What is not to be kept is made anew.
func TestOfKeepsNothing(t *testing.T) {
	var m memo.Map[int]
	for i := range 3 {
		if got := m.Of("a", 10, func() (int, bool) { return i, false }); got != i {
			t.Errorf("got %d, want %d", got, i)
		}
	}
	if _, ok := m.Recall("a"); ok {
		t.Error("it was kept")
	}
}

// A map never has more than it may have.
func TestBound(t *testing.T) {
	var m memo.Map[int]
	for i := range 10 {
		m.Remember(fmt.Sprint(i), i, 3)
		there := 0
		for j := range 10 {
			if got, ok := m.Recall(fmt.Sprint(j)); ok {
				if there++; got != j {
					t.Errorf("%d is remembered as %d", j, got)
				}
			}
		}
		if _, ok := m.Recall(fmt.Sprint(i)); !ok || there > 3 {
			t.Errorf("after %d there are %d", i, there)
		}
	}
}
