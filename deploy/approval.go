package deploy

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/plan"
)

// approved lifts the policy's refusal of a plan that somebody has approved.
// What the policy denies stays denied.
func (r Request) approved(ctx context.Context, refused error) error {
	var policy *PolicyError
	if !errors.As(refused, &policy) || policy.Rule != "approve" || r.store == nil {
		return refused
	}
	approvals, err := r.store.Approvals(ctx, policy.Digest)
	if err != nil {
		return err
	}
	for _, a := range approvals {
		if !r.Policy.NotByAuthor || !isAuthor(a.Actor, r.Author, r.Email) {
			return nil
		}
		policy.ByAuthor = a.Actor
	}
	return refused
}

// awaits tells that an approval would lift a refusal.
func awaits(refused error) bool {
	var policy *PolicyError
	return errors.As(refused, &policy) && policy.Rule == "approve"
}

// parted parts what stands in the way of a plan from what it would lose.
func parted(findings []apply.Finding) (losses, others []apply.Finding) {
	for _, f := range findings {
		if f.Waivable() {
			losses = append(losses, f)
		} else {
			others = append(others, f)
		}
	}
	return losses, others
}

// withLosses is the refusal of a plan that would lose values, with them. What
// is refused already names the change that it is refused for.
func withLosses(refused error, p *plan.Plan, losses []apply.Finding) error {
	var policy *PolicyError
	if !errors.As(refused, &policy) {
		at := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Class == diff.Destructive })
		policy = &PolicyError{Change: p.Steps[at].Change, Class: diff.Destructive, Rule: "approve", Digest: p.Digest}
	}
	policy.Losses = losses
	return policy
}

// isAuthor tells whether the words for a person may mean the author of a
// commit: "Ada", "ada@example.com", "Ada <ada@example.com>", and "ada", the user
// of that address. When in doubt it is the author, since that only asks for
// one more approval.
func isAuthor(actor, name, email string) bool {
	user, _, _ := strings.Cut(email, "@")
	words := []string{actor}
	if before, after, ok := strings.Cut(actor, "<"); ok {
		words = append(words, before, strings.TrimSuffix(strings.TrimSpace(after), ">"))
	}
	for _, word := range words {
		word = strings.TrimSpace(word)
		for _, own := range []string{name, email, user} {
			if word != "" && strings.EqualFold(word, own) {
				return true
			}
		}
	}
	return false
}
