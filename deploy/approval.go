package deploy

import (
	"context"
	"errors"
	"strings"
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
