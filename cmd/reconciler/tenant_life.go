package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// What a lifeRequest asks for.
const (
	verbSuspend  = "suspend"
	verbResume   = "resume"
	verbDestroy  = "destroy"
	verbPlan     = "migrate-plan"
	verbRecreate = "recreate"
	verbTake     = "take"
	verbErase    = "erase"
	verbRotate   = "rotate"
)

// lifeRequest asks for something to be done to a tenant now.
type lifeRequest struct {
	Verb   string              `json:"verb"`
	Tenant protocol.TenantID   `json:"tenant"`
	Plan   protocol.TenantPlan `json:"plan,omitempty"`
	Reason string              `json:"reason"`
	Actor  string              `json:"actor"`
}

// lifeAnswer is what was done.
type lifeAnswer struct {
	Tenant    protocol.TenantID `json:"tenant"`
	Done      string            `json:"done"`
	Status    *string           `json:"status"` // of the tenant now; null for one that is gone
	Detail    *string           `json:"detail"`
	Backups   []backupAnswer    `json:"backups"`   // that were erased
	Snapshots []string          `json:"snapshots"` // likewise, by id
}

func (a lifeAnswer) people(p *page) {
	switch {
	case a.Detail != nil:
		p.line("tenant %s: %s (%s)", a.Tenant, a.Done, *a.Detail)
	default:
		p.line("tenant %s: %s", a.Tenant, a.Done)
	}
	p.backups(a.Backups)
	if len(a.Snapshots) > 0 {
		p.line("snapshots erased: %s", strings.Join(a.Snapshots, ", "))
	}
}

// life has a request carried out and prints what was done.
func (c *cli) life(ctx context.Context, q lifeRequest) error {
	answer, err := changeLife(ctx, c, q)
	if err != nil {
		return err
	}
	return c.print(answer, answer.people)
}

// changeLife carries a request out through the daemon, or by itself.
func changeLife(ctx context.Context, c *cli, q lifeRequest) (lifeAnswer, error) {
	return changeBy(ctx, c, lifePath, q, aloneWithFleet)
}

// aloneWithFleet is alone for requests about a tenant's life, which need the
// repository: fleet.yaml says where backups are, and for how long.
func aloneWithFleet(ctx context.Context, c *cli, q lifeRequest) (answer lifeAnswer, err error) {
	held, err := c.claimExisting()
	if err != nil {
		return answer, err
	}
	if err := held.release(); err != nil {
		return answer, err
	}
	w, err := c.openFleet(ctx)
	if err != nil {
		return answer, err
	}
	defer w.close()
	loop := reconcile.New(w.config)
	return (&control{store: w.config.Store, now: loop.Now, snapshots: c.snapshots(), life: loop.Life()}).tenant(ctx, q)
}

// tenant does something to a tenant.
func (k *control) tenant(ctx context.Context, q lifeRequest) (lifeAnswer, error) {
	answer := lifeAnswer{Tenant: q.Tenant, Backups: []backupAnswer{}, Snapshots: []string{}}
	if err := needActor(q.Actor); err != nil {
		return answer, err
	}
	if q.Tenant == "" {
		return answer, usagef("the tenant is missing")
	}
	if err := k.mayWrite(); err != nil {
		return answer, err
	}
	if err := k.live(ctx, q, &answer); err != nil {
		return answer, k.pending(ctx, q, err)
	}
	if t, err := k.store.Tenant(ctx, q.Tenant); err == nil {
		answer.Status = optional(string(t.Status))
	} else if !errors.Is(err, state.ErrNotFound) {
		return answer, err
	}
	return answer, k.changed(ctx)
}

// pending adds to what went wrong that it is tried again, where it is.
func (k *control) pending(ctx context.Context, q lifeRequest, err error) error {
	t, gone := k.store.Tenant(ctx, q.Tenant)
	what := map[string]string{verbSuspend: state.PendingStatus, verbResume: state.PendingStatus, verbDestroy: state.PendingRemoval}[q.Verb]
	if gone != nil || what == "" || !t.Awaits(what) {
		return err
	}
	return fmt.Errorf("%w (it is recorded that the tenant is to be so, and the next pass tries again)", err)
}

func (k *control) live(ctx context.Context, q lifeRequest, answer *lifeAnswer) error {
	life := k.life.As(deploy.Doer{Actor: q.Actor, Via: viaCLI})
	switch q.Verb {
	case verbSuspend:
		answer.Done = "suspended"
		return life.SetStatus(ctx, q.Tenant, protocol.TenantSuspended, q.Reason)
	case verbResume:
		answer.Done = "resumed"
		return life.SetStatus(ctx, q.Tenant, protocol.TenantActive, q.Reason)
	case verbDestroy:
		answer.Done = "is being removed"
		return life.Destroy(ctx, q.Tenant, q.Reason)
	case verbPlan:
		answer.Done = "has plan " + string(q.Plan)
		return life.MigrateTenantPlan(ctx, q.Tenant, q.Plan)
	case verbRecreate:
		answer.Done = "gets a new database with the next pass"
		return life.Recreate(ctx, q.Tenant, q.Reason)
	case verbTake:
		return take(ctx, life, q, answer)
	case verbRotate:
		answer.Done = "has a new token"
		rotated, err := life.Rotate(ctx, q.Tenant, q.Reason)
		answer.Detail = optional("cut off is " + rotated.CutOff)
		return err
	case verbErase:
		return k.erase(ctx, life, q, answer)
	}
	return usagef("%q is nothing that can be done to a tenant", q.Verb)
}

func take(ctx context.Context, life *provision.Service, q lifeRequest, answer *lifeAnswer) error {
	taken, err := life.Take(ctx, q.Tenant, q.Reason)
	answer.Done = "has taken " + taken.URL
	detail := "it belonged to nobody; the next deployment adopts it"
	if b := taken.Before; b.Tenant != "" {
		detail = fmt.Sprintf("it belonged to tenant %q of fleet %q", b.Tenant, b.Fleet)
	}
	answer.Detail = &detail
	return err
}

func (k *control) erase(ctx context.Context, life *provision.Service, q lifeRequest, answer *lifeAnswer) error {
	if q.Reason == "" {
		return usagef("--reason is missing: say why, for the record that stays")
	}
	c, err := life.Fleet.Config(ctx)
	if err != nil {
		return err
	}
	switch _, looked, err := k.store.LastPass(ctx); {
	case err != nil:
		return err
	case !looked: // what nobody has looked for is not known to be destroyed
		return errors.New("state knows of no pass, and so not which tenants there are (run reconciler sync first)")
	}
	erased, err := life.Erase(ctx, q.Tenant, c.Backup, q.Reason)
	answer.Done = fmt.Sprintf("%s and %s erased", plural(len(erased.Backups), "backup"), plural(len(erased.Snapshots), "snapshot"))
	for _, b := range erased.Backups {
		answer.Backups = append(answer.Backups, backupAnswerOf(b))
	}
	for _, s := range erased.Snapshots {
		answer.Snapshots = append(answer.Snapshots, s.ID)
	}
	return err
}

// takenAnswer is what became of each tenant, in the order of the call.
type takenAnswer struct {
	Tenants []takenTenant `json:"tenants"`
}

type takenTenant struct {
	Tenant protocol.TenantID `json:"tenant"`
	Done   *string           `json:"done"`
	Status *string           `json:"status"` // of the tenant now
	Detail *string           `json:"detail"` // whose the database was
	Error  *string           `json:"error"`
}

// takeEach goes through the tenants, one that fails aside. The error of a single
// one says it all.
func (c *cli) takeEach(ctx context.Context, q lifeRequest, tenants []string) error {
	answer := takenAnswer{Tenants: []takenTenant{}}
	failed := 0
	for _, id := range tenants {
		q.Tenant = protocol.TenantID(id)
		done, err := changeLife(ctx, c, q)
		if err != nil && len(tenants) == 1 {
			return err
		}
		one := takenTenant{Tenant: q.Tenant, Done: optional(done.Done), Status: done.Status, Detail: done.Detail}
		if err != nil {
			failed++
			one = takenTenant{Tenant: q.Tenant, Error: optional(err.Error())}
		}
		answer.Tenants = append(answer.Tenants, one)
	}
	err := c.print(answer, answer.people)
	switch {
	case err != nil || failed == 0:
		return err
	case failed == len(tenants):
		return outcome(exitFailed)
	}
	return outcome(exitPartial)
}

func (a takenAnswer) people(p *page) {
	for _, t := range a.Tenants {
		if t.Error != nil {
			p.line("tenant %s: %s", t.Tenant, *t.Error)
		} else {
			p.line("tenant %s: %s (%s)", t.Tenant, text(t.Done), text(t.Detail))
		}
	}
}

func tenantTakeCommand(c *cli) *cobra.Command {
	q := lifeRequest{Verb: verbTake}
	command := &cobra.Command{
		Use:   "take TENANT...",
		Short: "make a database the tenant's own that belongs to somebody else",
		Long: `Write into the database of each tenant that it belongs to this tenant, fleet and
environment. It is for a tenant that is Blocked as OwnedElsewhere because it was
renamed, or moved from another fleet, and for one whose database has moved to
another server (DatabaseElsewhere). Make sure that nobody else works on the
database: it is taken from them.

One without a journal (JournalMissing) is deployed to as it is from then on: what
the tenant had in another database is not brought back.

One that fails does not keep the others from it. Exit code 3: some databases were
not taken. 2: none was.`,
		Example: `  reconciler tenant take acme2 --reason "acme was renamed" --repo ./company --data ./data
  reconciler tenant take acme globex --reason "state was lost" --repo ./company --data ./data`,
		Args: cobra.MinimumNArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			q.Actor = c.actor()
			return c.takeEach(ctx, q, args)
		}),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "actor")
	command.Flags().StringVar(&q.Reason, "reason", "", "why, for the record")
	return command
}

func tenantEraseCommand(c *cli) *cobra.Command {
	q := lifeRequest{Verb: verbErase}
	command := &cobra.Command{
		Use:   "erase TENANT",
		Short: "remove the backups and snapshots of a destroyed tenant before their time",
		Long: `Remove the backups and the snapshots of a tenant that is destroyed. The record of
them stays: who had them taken, when and at which commit, their sha256, and who
erased them, when and why. A legal hold forbids it.`,
		Example: `  reconciler tenant erase acme --reason "request of 3 May" --repo ./company --data ./data`,
		Args:    cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			q.Tenant, q.Actor = protocol.TenantID(args[0]), c.actor()
			return c.life(ctx, q)
		}),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "actor")
	command.Flags().StringVar(&q.Reason, "reason", "", "why; needed")
	return command
}
