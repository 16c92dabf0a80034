package pull_test

import (
	"strings"
	"testing"

	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/preview/forge/forgetest"
	"github.com/tenantops/reconciler/preview/pull"
)

func blocked(b *bench) {
	b.result = pull.Result{State: forge.Failure, Summary: "blocked", Plans: []string{plan1, plan2}}
}

// A plan is approved by who may write, with enough of its digest, in a comment
// that nobody has changed.
func TestApprove(t *testing.T) {
	each(t, func(b *bench) {
		b.set(blocked)
		head := b.topic(1, "first")
		b.forge.Open(1, eve, head)
		b.shows(1, head)
		say := func(author forgetest.User, text, want string) {
			b.Helper()
			b.forge.Say(1, author, text)
			b.shows(1, want)
		}
		say(eve, "/reconciler approve "+plan1, "`eve` refused: only who may write")
		say(ci, "/reconciler approve "+plan1, "refused: a program cannot approve")
		say(ada, "/reconciler approve", "`ada` refused: give at least the first 12 digits")
		say(ada, "/reconciler approve "+plan1[:14], "`ada` refused: more than one plan begins so")
		say(ada, "/reconciler approve ffffffffffff", "`ada` refused: no plan of this preview")
		say(forgetest.User{ID: 66, Login: "x` @everyone <b>"}, "/reconciler approve "+plan1, "`x???everyone??b?` refused")
		id := b.forge.Say(1, ada, "looks good")
		b.forge.Correct(1, id, "/reconciler approve "+plan1)
		b.shows(1, "refused: the comment was changed after it was written")
		b.forge.Say(1, ada, "> /reconciler approve "+plan1+"\n\nI would not")
		b.forge.Say(1, ada, "as in\n/reconciler approve "+plan1)

		say(ada, " /reconciler approve "+strings.ToUpper(plan1[:20])+"\r\nthank you", "`ada` approved: `0123456789ab`")
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.approved) != 1 || b.approved[0].Plan != plan1 || b.approved[0].Actor != "ada" || !strings.HasPrefix(b.approved[0].URL, b.forge.URL) {
			b.Errorf("got %+v", b.approved)
		}
	})
}

// A comment may name several plans, in a line or in a line each, of which all
// have to be there.
func TestApproveSeveral(t *testing.T) {
	b := newBench(t, "github")
	b.set(blocked)
	head := b.topic(1, "first")
	b.forge.Open(1, eve, head)
	b.shows(1, head)
	b.forge.Say(1, ada, "/reconciler approve "+plan1+"\n/reconciler approve ffffffffffff")
	b.shows(1, "`ada` refused: no plan of this preview that waits for an approval begins so: `ffffffffffff`")
	b.set(func(b *bench) {
		if len(b.approved) > 0 {
			t.Errorf("one of two was approved: %+v", b.approved)
		}
	})
	b.forge.Say(1, ada, "/reconciler approve "+plan1+"\r\n/reconciler approve `"+plan2+"` "+plan1+"\nthank you\n/reconciler approve ffffffffffff")
	b.shows(1, "`ada` approved: `0123456789ab`, `0123456789ab`")
	b.set(func(b *bench) {
		if len(b.approved) != 2 || b.approved[0].Plan != plan1 || b.approved[1].Plan != plan2 {
			t.Errorf("got %+v", b.approved)
		}
	})
}

// What was heard is not heard again after a restart.
func TestApprovedOnce(t *testing.T) {
	b := newBench(t, "github")
	b.set(blocked)
	head := b.topic(1, "first")
	b.forge.Open(1, eve, head)
	b.shows(1, head)
	b.forge.Say(1, ada, "/reconciler approve "+plan1)
	b.shows(1, "approved")
	b.end()
	b.set(func(b *bench) { b.result.Summary = "after a restart" })
	b.start()
	b.shows(1, "after a restart")
	b.forge.Say(1, ada, "another word")
	b.forge.Say(1, eve, "/reconciler approve "+plan2)
	b.shows(1, "`eve` refused")
	b.set(func(b *bench) {
		if len(b.approved) != 1 {
			t.Errorf("got %+v", b.approved)
		}
	})
}

// An approving review counts where fleet.yaml says so, of the head that was
// previewed, and after its preview.
func TestReview(t *testing.T) {
	each(t, func(b *bench) {
		gate := make(chan struct{})
		b.set(func(b *bench) { blocked(b); b.gate = gate })
		head := b.topic(1, "first")
		b.forge.Open(1, eve, head)
		b.forge.Approve(1, bo) // who has seen no preview
		close(gate)
		b.shows(1, head)
		b.forge.Approve(1, ada)
		b.forge.Say(1, eve, "/reconciler approve "+plan1)
		b.shows(1, "`eve` refused")
		b.set(func(b *bench) {
			if len(b.approved) > 0 {
				b.Errorf("a review counts that fleet.yaml does not have count: %+v", b.approved)
			}
			b.result.ByReview = true
		})
		b.w.Changed()
		b.shows(1, "`ada` approved: `0123456789ab`, `0123456789ab`")
		b.set(func(b *bench) {
			if len(b.approved) != 2 || b.approved[1].Plan != plan2 || b.approved[0].Actor != "ada" {
				b.Errorf("got %+v", b.approved)
			}
			b.approved = nil
			b.result.Summary = "of another head"
		})
		second := b.topic(1, "second") // the reviews are of the head before
		b.forge.Push(1, second)
		b.shows(1, second)
		b.forge.Say(1, eve, "/reconciler approve "+plan1)
		b.until("refusal", func() bool { return strings.Count(b.forge.Written(1)[0], "`eve` refused") == 2 })
		b.set(func(b *bench) {
			if len(b.approved) > 0 {
				b.Errorf("a review of an earlier head counts: %+v", b.approved)
			}
		})
	})
}

// With notByAuthor neither who opened the pull request nor who wrote one of its
// commits can approve.
func TestNotByAuthor(t *testing.T) {
	b := newBench(t, "github")
	b.set(blocked)
	b.set(func(b *bench) { b.result.NotByAuthor = true })
	b.topic(1, "first") // by Ada <ada@example.com>
	b.git("checkout", "-q", "topic")
	b.git("commit", "-q", "--allow-empty", "-m", "second", "--author", "Dee <dee@example.com>")
	head := b.git("rev-parse", "HEAD")
	b.git("checkout", "-q", "main")
	b.git("update-ref", "refs/pull/1/head", head)
	b.forge.Open(1, bo, head)
	b.shows(1, head)
	for _, author := range []forgetest.User{ada, bo} {
		b.forge.Say(1, author, "/reconciler approve "+plan1)
		b.shows(1, "`"+author.Login+"` refused: fleet.yaml has approval.notByAuthor")
	}
	cy := forgetest.User{ID: 5, Login: "cy", Access: "write"}
	b.forge.Users(cy)
	b.forge.Say(1, cy, "/reconciler approve "+plan1)
	b.shows(1, "`cy` approved")
}
