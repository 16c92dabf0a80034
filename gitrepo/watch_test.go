package gitrepo_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
)

// patience is how long a test waits for what must happen before it fails.
const patience = 2 * time.Minute

func watch(t *testing.T, r *gitrepo.Repo) <-chan struct{} {
	t.Helper()
	signals, err := r.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return signals
}

// awaitHead takes signals until the repository is at want: a signal is a hint,
// and may come before a later step of the same command.
func awaitHead(t *testing.T, r *gitrepo.Repo, signals <-chan struct{}, want string) {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case <-signals:
			if fetch(t, r).Hash == want {
				return
			}
		case <-end:
			t.Fatalf("no signal that brought %s", want)
		}
	}
}

func TestWatchSignalsMovedRefs(t *testing.T) {
	dir := newRepo(t)
	base := commit(t, dir, "base", company)
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, dir, "clone", "-q", "--bare", ".", bare)
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", "--detach", linked)
	git(t, dir, "update-ref", "refs/heads/spare", base)
	next := func(message string) string {
		return git(t, dir, "commit-tree", "-m", message, "-p", base, base+"^{tree}")
	}
	cases := map[string]struct {
		url, ref string
		move     func(hash string)
	}{
		"a commit": {dir, "main", func(hash string) { git(t, dir, "checkout", "-q", "-B", "main", hash) }},
		"a push":   {bare, "main", func(hash string) { git(t, dir, "push", "-q", "-f", bare, hash+":refs/heads/main") }},
		"a push of packed refs": {bare, "main", func(hash string) {
			git(t, bare, "pack-refs", "--all", "--prune")
			git(t, dir, "push", "-q", "-f", bare, hash+":refs/heads/main")
			git(t, bare, "pack-refs", "--all", "--prune")
		}},
		"a rename over the ref": {dir, "main", func(hash string) {
			file := filepath.Join(dir, ".git", "refs", "heads", "main")
			if err := os.WriteFile(file+".lock", []byte(hash+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".lock", file); err != nil {
				t.Fatal(err)
			}
		}},
		"a checkout":                    {dir, "HEAD", func(hash string) { git(t, dir, "checkout", "-q", "--detach", hash) }},
		"a commit in a linked worktree": {linked, "HEAD", func(hash string) { git(t, linked, "reset", "-q", "--hard", hash) }},
		"a branch seen from a worktree": {linked, "spare", func(hash string) { git(t, dir, "update-ref", "refs/heads/spare", hash) }},
		"a tag":                         {dir, "v1", func(hash string) { git(t, dir, "tag", "-f", "v1", hash) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := open(t, gitrepo.Config{URL: c.url, Ref: c.ref})
			signals := watch(t, r)
			hash := next(name)
			c.move(hash)
			awaitHead(t, r, signals, hash)
		})
	}
}

func TestWatchFollowsNewDirectories(t *testing.T) {
	dir := newRepo(t)
	base := commit(t, dir, "base", company)
	r := open(t, gitrepo.Config{URL: dir, Ref: "team/a/topic"})
	signals := watch(t, r)
	other := open(t, gitrepo.Config{URL: dir})
	otherSignals := watch(t, other)

	// The directories refs/heads/team/a may be watched only after the branch is
	// in them, so a first move may be told by their own creation alone.
	git(t, dir, "branch", "team/a/topic")
	awaitHead(t, r, signals, base)
	for _, message := range []string{"second", "third"} {
		hash := git(t, dir, "commit-tree", "-m", message, "-p", base, base+"^{tree}")
		git(t, dir, "update-ref", "refs/heads/team/a/topic", hash)
		awaitHead(t, r, signals, hash)
	}
	awaitHead(t, other, otherSignals, base)
}

func TestWatchEnds(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "base", company)
	ended := func(signals <-chan struct{}) {
		t.Helper()
		select {
		case _, ok := <-signals:
			if ok {
				t.Error("got a signal, want the end")
			}
		case <-time.After(patience):
			t.Fatal("the channel stayed open")
		}
	}
	r := open(t, gitrepo.Config{URL: dir})
	ctx, cancel := context.WithCancel(t.Context())
	signals, err := r.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	ended(signals)

	signals = watch(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	ended(signals)
}

func TestWatchOfARemoteIsSilent(t *testing.T) {
	if signals := watch(t, remote(t, "https://example.com/x.git")); signals != nil {
		t.Error("got a channel, want nil")
	}
}
