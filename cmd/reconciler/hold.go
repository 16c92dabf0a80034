package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Names of what is held, in flags.
const (
	flagMatch = "match"
	flagAll   = "all"
)

// target is what holds are set on and released from: one of the three.
type target struct {
	Tenant protocol.TenantID `json:"tenant,omitempty"`
	Match  map[string]string `json:"match,omitempty"`
	All    bool              `json:"all,omitempty"`
}

// flags adds the flags of a target to a command.
func (t *target) flags(command *cobra.Command) {
	command.Flags().StringToStringVar(&t.Match, flagMatch, nil, "the tenants with these `labels`: tier=canary,region=eu")
	command.Flags().BoolVar(&t.All, flagAll, false, "the whole fleet")
}

// args completes a target with the arguments of its command.
func (t *target) args(args []string) error {
	if len(args) > 0 {
		t.Tenant = protocol.TenantID(args[0])
	}
	return t.check()
}

// check says that a target is none, or more than one.
func (t *target) check() error {
	given := 0
	for _, yes := range []bool{t.Tenant != "", len(t.Match) > 0, t.All} {
		if yes {
			given++
		}
	}
	if given != 1 {
		return usagef("name what is meant, once: a tenant, --match LABELS or --all")
	}
	for key, value := range t.Match {
		if key == "" || strings.ContainsAny(key+value, ",=") {
			return usagef("--match %s=%s: a label has no comma and no equals sign", key, value)
		}
	}
	return nil
}

// labels are those of Match as a hold has them.
func (t target) labels() string {
	terms := make([]string, 0, len(t.Match))
	for _, key := range slices.Sorted(maps.Keys(t.Match)) {
		terms = append(terms, key+"="+t.Match[key])
	}
	return strings.Join(terms, ",")
}

func holdCommand(c *cli) *cobra.Command {
	var on target
	var end string
	q := holdRequest{}
	command := &cobra.Command{
		Use:   "hold TENANT | --match LABELS | --all",
		Short: "keep tenants as they are until they are released",
		Long: `Keep a tenant from being deployed, or those with some labels, or the whole fleet,
whatever git says, until it is released or --until is over. A deployment that is
under way ends as it would have. Held tenants are still looked at for drift;
"reconciler status" says who holds them and why, and they are no failure.

A hold that is there already is replaced. That of a tenant is in the tenant's
database too, and comes back with "reconciler state rebuild"; after one the whole
fleet is paused, and the holds on labels and on the fleet have to be set again.`,
		Example: `  reconciler hold acme --reason "incident 42" --until 4h --data ./data
  reconciler hold --match tier=canary --reason "audit" --data ./data
  reconciler hold --all --reason "code freeze" --until 2026-01-02 --data ./data`,
		Args: cobra.MaximumNArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			if err := on.args(args); err != nil {
				return err
			}
			at, err := until(end, time.Now())
			if err != nil {
				return err
			}
			if q.Reason == "" {
				return usagef("--reason is missing: say why, for those who find the tenant held")
			}
			q.target, q.Actor, q.Until, q.place = on, c.actor(), at, c.placeToTell(ctx, on.Tenant)
			answer, err := change(ctx, c, holdPath, q, (*control).hold)
			if err != nil {
				return err
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data", "repo", "secrets-dir", "file-root", "actor")
	on.flags(command)
	command.Flags().StringVar(&q.Reason, "reason", "", "why; needed")
	command.Flags().StringVar(&end, "until", "", "hold until this `time`, such as 4h, 7d or 2026-01-31T12:00; until released otherwise")
	return command
}

func releaseCommand(c *cli) *cobra.Command {
	var on target
	q := releaseRequest{}
	command := &cobra.Command{
		Use:   "release TENANT | --match LABELS | --all",
		Short: "end a hold",
		Long: `End the holds of a tenant, the hold on some labels, or the one on the whole
fleet. Each ends only what "reconciler hold" began in the same words: a tenant
stays held as long as another hold covers it.`,
		Example: `  reconciler release acme --data ./data
  reconciler release --all --reason "the freeze is over" --data ./data`,
		Args: cobra.MaximumNArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			if err := on.args(args); err != nil {
				return err
			}
			q.target, q.Actor, q.place = on, c.actor(), c.placeToTell(ctx, on.Tenant)
			answer, err := change(ctx, c, releasePath, q, (*control).release)
			if err != nil {
				return err
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data", "repo", "secrets-dir", "file-root", "actor")
	on.flags(command)
	command.Flags().StringVar(&q.Reason, "reason", "", "why, for the record")
	return command
}

// holdRequest asks for a hold.
type holdRequest struct {
	target
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
	place            // of the tenant's database; zero where none is known
}

// releaseRequest asks for the end of holds.
type releaseRequest struct {
	target
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
	place         // as of holdRequest
}

// placeToTell finds the database that is to know of a hold. The repository is
// asked only for a tenant whose database is not found without it, and a
// repository that is away is in no hold's way.
func (c *cli) placeToTell(ctx context.Context, tenant protocol.TenantID) place {
	if tenant == "" || c.settings.Data == "" {
		return place{}
	}
	if found, err := c.placeOf(ctx, nil, tenant); err == nil {
		return found.place
	}
	fleet, err := c.fleetIfAny(ctx)
	if err != nil || fleet == nil {
		return place{}
	}
	found, err := c.placeOf(ctx, fleet, tenant)
	if err != nil {
		return place{}
	}
	return found.place
}

// tellTime is how long a hold waits for a deployment that has the tenant's
// database, which may take minutes.
const tellTime = 10 * time.Second

// tell records in the tenant's database who holds it; nil for nobody. It is
// what a lost state is rebuilt from: where it cannot be, the hold counts all
// the same, and the answer says so.
func (k *control) tell(ctx context.Context, at place, tenant protocol.TenantID, h *apply.Hold) *string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	err := errors.New("the database is not known here; give --repo")
	if observing := k.mayWrite(); observing != nil {
		err = observing
	} else if at.known() {
		var saved error
		saved, err = onTenant(ctx, k, tenant, at, func(conn database.Conn) error { return apply.SaveHold(ctx, conn, string(tenant), h) })
		err = errors.Join(saved, err)
	}
	if err == nil || errors.Is(err, apply.ErrUnknownDatabase) || !at.known() && h == nil {
		return nil // nothing was ever deployed to it, or nothing is to be told
	}
	return optional(fmt.Sprintf("the database of tenant %q does not know of it, as after \"reconciler state rebuild\": %v", tenant, err))
}

// holdAnswer is a hold. Without tenant and match it is on the whole fleet.
type holdAnswer struct {
	Tenant       *protocol.TenantID `json:"tenant"`
	Match        *string            `json:"match"`        // labels
	BundleDigest *string            `json:"bundleDigest"` // held back; null for any
	Owner        string             `json:"owner"`
	Reason       *string            `json:"reason"`
	Since        *stamp             `json:"since"`
	Until        *stamp             `json:"until"` // null for until released
	Warning      *string            `json:"warning,omitempty"`
}

func holdAnswerOf(h state.Hold) holdAnswer {
	answer := holdAnswer{
		Match: optional(h.Labels), BundleDigest: optional(h.Bundle), Owner: h.Owner, Reason: optional(h.Reason),
		Since: stampOf(h.SetAt), Until: stampOf(h.Until),
	}
	if h.Tenant != "" {
		answer.Tenant = &h.Tenant
	}
	return answer
}

// target says in a word or two what is held.
func (a holdAnswer) target() string {
	switch {
	case a.Tenant != nil:
		return string(*a.Tenant)
	case a.Match != nil:
		return *a.Match
	}
	return "the fleet"
}

func (a holdAnswer) people(p *page) {
	p.holds([]holdAnswer{a})
	p.warning(a.Warning)
}

func (p *page) warning(text *string) {
	if text != nil {
		p.line("%s %s", p.word("warning"), *text)
	}
}

// holds adds a table of holds.
func (p *page) holds(list []holdAnswer) {
	var rows [][]string
	for _, h := range list {
		rows = append(rows, []string{
			h.target(), orDash(short(text(h.BundleDigest))), h.Owner, h.Since.String(), h.Until.String(), text(h.Reason),
		})
	}
	p.table([]string{"HELD", "BUNDLE", "BY", "SINCE", "UNTIL", "REASON"}, rows)
}

// releaseAnswer is what is not held any more.
type releaseAnswer struct {
	Released []holdAnswer `json:"released"`
	Warning  *string      `json:"warning,omitempty"`
}

func (a releaseAnswer) people(p *page) {
	for _, h := range a.Released {
		p.line("released %s, held by %s: %s", h.target(), h.Owner, text(h.Reason))
	}
	p.warning(a.Warning)
}

// hold sets a hold.
func (k *control) hold(ctx context.Context, q holdRequest) (holdAnswer, error) {
	if err := errors.Join(q.check(), needActor(q.Actor)); err != nil {
		return holdAnswer{}, err
	}
	if q.Tenant != "" {
		// A hold on a name that is misspelled would hold nothing.
		if _, seen, err := k.store.ObservedOf(ctx, q.Tenant); err != nil {
			return holdAnswer{}, err
		} else if !seen {
			return holdAnswer{}, unseen(q.Tenant)
		}
	}
	h := state.Hold{
		Tenant: q.Tenant, Labels: q.labels(), Owner: q.Actor, Via: viaCLI, Reason: q.Reason,
		SetAt: k.now(), Until: q.Until,
	}
	if err := k.store.SetHold(ctx, h); err != nil {
		return holdAnswer{}, err
	}
	answer := holdAnswerOf(h)
	err := k.changed(ctx)
	if q.Tenant != "" {
		answer.Warning = k.tell(ctx, q.place, q.Tenant,
			&apply.Hold{Owner: h.Owner, Via: h.Via, Reason: h.Reason, SetAt: h.SetAt, Until: h.Until})
	}
	return answer, err
}

// release ends the holds on a target. On a tenant these may be several: one
// for any bundle, and those of rollbacks.
func (k *control) release(ctx context.Context, q releaseRequest) (releaseAnswer, error) {
	answer := releaseAnswer{Released: []holdAnswer{}}
	if err := errors.Join(q.check(), needActor(q.Actor)); err != nil {
		return answer, err
	}
	holds, err := k.store.Holds(ctx)
	if err != nil {
		return answer, err
	}
	for _, h := range holds {
		if h.Tenant != q.Tenant || h.Labels != q.labels() {
			continue
		}
		e := state.Event{Actor: q.Actor, Via: viaCLI, Kind: state.EventReleased, Reason: q.Reason}
		ended, err := k.store.EndHold(ctx, h, e)
		if err != nil {
			return answer, err
		}
		if ended {
			answer.Released = append(answer.Released, holdAnswerOf(h))
		}
	}
	if len(answer.Released) == 0 {
		return answer, notHeld(q.target, holds)
	}
	if q.Tenant != "" { // before the next pass may have the database open for long
		answer.Warning = k.tell(ctx, q.place, q.Tenant, nil)
	}
	return answer, k.changed(ctx)
}

// notHeld says that there is nothing to release, and what there is instead.
func notHeld(t target, holds []state.Hold) error {
	wanted := state.Hold{Tenant: t.Tenant, Labels: t.labels()}
	var others []string
	for _, h := range holds {
		others = append(others, h.Target())
	}
	if len(others) == 0 {
		return fmt.Errorf("there is no hold on %s, nor any other", wanted.Target())
	}
	return fmt.Errorf("there is no hold on %s; held are: %s", wanted.Target(), strings.Join(others, "; "))
}
