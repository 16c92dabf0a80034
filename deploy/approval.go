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
	if len(approvals) == 0 {
		return refused
	}
	authors, err := r.authors(ctx)
	if err != nil {
		return err
	}
	for _, a := range approvals {
		if !slices.ContainsFunc(authors, func(p Person) bool { return IsAuthor(a.Actor, p.Name, p.Email) }) {
			return nil
		}
		policy.ByAuthor = a.Actor
	}
	return refused
}

// Person is somebody as a commit names its author.
type Person struct{ Name, Email string }

// authors are those whose approval does not count.
func (r Request) authors(ctx context.Context) ([]Person, error) {
	switch {
	case !r.Policy.NotByAuthor:
		return nil, nil
	case r.Authors != nil:
		return r.Authors(ctx)
	}
	return []Person{{r.Author, r.Email}}, nil
}

// awaits tells that an approval would lift a refusal.
func awaits(refused error) bool {
	var policy *PolicyError
	return errors.As(refused, &policy) && policy.Rule == "approve"
}

// rule is what the policy says to the rows of a pre-check: allow, approve, or
// nothing where they stand in the way whatever it says.
func (r Request) rule(c plan.PreCheck) string {
	class, ok := c.Waivable()
	rule := r.Policy.Classes[class.String()]
	switch {
	case !ok || rule == "deny":
		return ""
	case rule != "approve" && class == diff.Destructive:
		return "" // the plan has such a check because nothing may be lost
	case rule == "":
		return "allow"
	}
	return rule
}

// parted finds, in what pre-checks found, the rows that somebody may agree to,
// and those that stand in the way.
func (r Request) parted(findings []apply.Finding) (asking, others []apply.Finding) {
	for _, f := range findings {
		switch rule := r.rule(f.PreCheck); {
		case f.Advisory || rule == "allow":
		case rule == "approve":
			asking = append(asking, f)
		default:
			others = append(others, f)
		}
	}
	return asking, others
}

// withFindings is the refusal of a plan with the rows that an approval agrees
// to. One that refuses already names the change that it does so for.
func withFindings(refused error, p *plan.Plan, asking []apply.Finding) error {
	var policy *PolicyError
	if !errors.As(refused, &policy) {
		class, _ := asking[0].Waivable()
		policy = &PolicyError{Change: "the new limit of " + asking[0].Table + "." + asking[0].Column, Class: class, Rule: "approve", Digest: p.Digest}
		if at := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Class == class }); at >= 0 {
			policy.Change = p.Steps[at].Change
		}
	}
	policy.Findings = asking
	return policy
}

// IsAuthor tells whether the words for a person may mean the author of a
// commit: "Ada", "ada@example.com", "Ada <ada@example.com>", and "ada", the user
// of that address, of 12+ada@users.noreply.github.com too. When in doubt it is
// the author, since that only asks for one more approval.
func IsAuthor(actor, name, email string) bool {
	user, _, _ := strings.Cut(email, "@")
	if _, login, ok := strings.Cut(user, "+"); ok && strings.Contains(email, "@users.noreply.") {
		user = login
	}
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
