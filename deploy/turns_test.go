package deploy

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Others wait for the first of their kind, no longer than patience, and once.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		waited := func(ctx context.Context, likeness string) time.Duration {
			start := time.Now()
			all.take(ctx, likeness)()
			return time.Since(start)
		}
		done := all.take(t.Context(), "a")
		time.AfterFunc(time.Millisecond, func() {
			done()
			done()
		})
		if got := waited(t.Context(), "a"); got != time.Millisecond {
			t.Errorf("waited %v for one that took a millisecond", got)
		}
		hanging := all.take(t.Context(), "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := waited(ctx, "b"); got != time.Second {
			t.Errorf("waited %v with a context of a second", got)
		}
		if got := waited(t.Context(), "b"); got != patience-time.Second {
			t.Errorf("waited %v more for one that hangs", got)
		}
		hanging()
		for _, likeness := range []string{"a", "b", "c"} {
			if got := waited(t.Context(), likeness); got != 0 {
				t.Errorf("waited %v for %s, which is over or the first", got, likeness)
			}
		}
	})
}
