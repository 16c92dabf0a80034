package provision_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/provision"
)

var errAway = errors.New("the host is away")

// closedBranch takes no commit, first for one reason, then for another.
type closedBranch struct{ tries int }

func (b *closedBranch) Commit(context.Context, func(*gitrepo.Tree) (gitrepo.Change, error)) (gitrepo.Commit, error) {
	if b.tries++; b.tries > 10 {
		return gitrepo.Commit{}, errAway
	}
	return gitrepo.Commit{}, gitrepo.ErrCheckedOut
}

// What keeps tenants from being committed is told once while it lasts, and
// tried again all the same.
func TestCommitterTellsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		w.provision("acme")
		var log strings.Builder
		w.Log = slog.New(slog.NewTextHandler(&log, nil))
		branch := &closedBranch{}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			provision.NewCommitter(w.Service, branch, nil).Run(ctx)
		}()
		time.Sleep(20 * time.Minute) // of the bubble, which takes none
		stop()
		<-ended
		for _, why := range []error{gitrepo.ErrCheckedOut, errAway} {
			if got := strings.Count(log.String(), why.Error()); got != 1 {
				t.Errorf("%v is told %d times:\n%s", why, got, &log)
			}
		}
		if branch.tries < 20 {
			t.Errorf("it was tried %d times", branch.tries)
		}
	})
}
