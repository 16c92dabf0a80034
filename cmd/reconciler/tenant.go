package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

func tenantCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "tenant",
		Short: "the life of a tenant, from sign-up to erasure",
		Long: `Show tenants, and change what becomes of them. What git decides is printed as a
patch that "git apply" takes; --commit commits and pushes it instead, and --now
does it at once as well, before git says so.`,
		Example: `  reconciler tenant list --data ./data
  reconciler tenant suspend acme --repo ./company | git -C ./company apply
  reconciler tenant provision acme --name "Acme Corp" --repo https://git.example/company.git --commit`,
	}
	command.AddCommand(
		tenantListCommand(c), tenantShowCommand(c), tenantProvisionCommand(c), tenantSuspendCommand(c), tenantResumeCommand(c),
		tenantDestroyCommand(c), tenantPlanCommand(c), tenantOrphansCommand(c), tenantTakeCommand(c), tenantEraseCommand(c),
	)
	return command
}

func tenantListCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "every tenant and where it is in its life",
		Long: `List the tenants that are recorded: those of git, those that signed up and are
not in git yet, and those that are being removed. It works while the daemon runs.`,
		Example: `  reconciler tenant list --data ./data
  reconciler tenant list --data ./data -o json | jq -r '.tenants[] | select(.pending != []) | .tenant'`,
		Args: cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, store *state.Store, _ []string) error {
			list, err := store.Tenants(ctx)
			if err != nil {
				return err
			}
			answer := tenantsAnswer{Tenants: []tenantAnswer{}}
			for _, t := range list {
				answer.Tenants = append(answer.Tenants, tenantAnswerOf(t))
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data")
	return command
}

// tenantsAnswer are the tenants by id.
type tenantsAnswer struct {
	Tenants []tenantAnswer `json:"tenants"`
}

// tenantAnswer is one tenant.
type tenantAnswer struct {
	Tenant    protocol.TenantID                 `json:"tenant"`
	Name      string                            `json:"name"`
	OrgID     *string                           `json:"orgId"`
	Status    protocol.TenantProvisioningStatus `json:"status"`
	Since     *stamp                            `json:"since"`
	Plan      protocol.TenantPlan               `json:"plan"`
	Region    protocol.TenantRegion             `json:"region"`
	Labels    map[string]string                 `json:"labels"`
	Origin    state.Origin                      `json:"origin"`
	Revision  *string                           `json:"revision"` // that said what is recorded; null before git has the tenant
	Pending   []string                          `json:"pending"`  // what git does not say yet: commit, status, plan, removal
	RemovedAt *stamp                            `json:"removedAt"`
	LegalHold *string                           `json:"legalHold"` // its reason
	Bundle    *string                           `json:"bundleDigest"`
}

func tenantAnswerOf(t state.Tenant) tenantAnswer {
	a := tenantAnswer{
		Tenant: t.ID, Name: t.Spec.Name, OrgID: optional(t.Spec.OrgID), Status: t.Status, Since: stampOf(t.StatusSince),
		Plan: t.Spec.Plan, Region: t.Spec.Region, Labels: t.Spec.Labels, Origin: t.Origin, Revision: optional(t.Revision),
		Pending: []string{}, RemovedAt: stampOf(t.RemovedAt), Bundle: optional(t.Bundle),
	}
	if t.PendingCommit() {
		a.Pending = append(a.Pending, "commit")
	}
	if t.Pending != "" {
		a.Pending = append(a.Pending, strings.Split(t.Pending, ",")...)
	}
	if t.Spec.LegalHold != nil {
		a.LegalHold = &t.Spec.LegalHold.Reason
	}
	return a
}

func (a tenantsAnswer) people(p *page) {
	if len(a.Tenants) == 0 {
		p.line("there are no tenants")
	}
	var rows [][]string
	for _, t := range a.Tenants {
		rows = append(rows, []string{
			string(t.Tenant), string(t.Status), t.Since.String(), string(t.Plan), string(t.Region), string(t.Origin),
			orDash(strings.Join(t.Pending, ",")), orDash(short(text(t.Revision))),
		})
	}
	p.table([]string{"TENANT", "STATUS", "SINCE", "PLAN", "REGION", "FROM", "PENDING", "REVISION"}, rows)
}

func tenantShowCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "show TENANT",
		Short: "what is recorded of one tenant, with the steps of its last change and its backups",
		Long: `Show one tenant: where it is in its life, its quotas, the steps of what was done
to it last, and the backups of its database. Of a tenant that is destroyed its
backups are left, and of one that is erased the record of them.`,
		Example: `  reconciler tenant show acme --data ./data
  reconciler tenant show acme --data ./data -o json | jq '.backups[].sha256'`,
		Args: cobra.ExactArgs(1),
		RunE: c.reading(func(ctx context.Context, store *state.Store, args []string) error {
			answer, err := tenantShown(ctx, store, protocol.TenantID(args[0]))
			if err != nil {
				return err
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data")
	return command
}

// tenantShownAnswer is all that is recorded of a tenant.
type tenantShownAnswer struct {
	Tenant    *tenantAnswer               `json:"tenant"` // null for one that is destroyed
	Quotas    protocol.TenantQuota        `json:"quotas"`
	Operation *string                     `json:"operation"` // that the steps belong to
	Steps     []protocol.ProvisioningStep `json:"steps"`
	Backups   []backupAnswer              `json:"backups"`

	id protocol.TenantID
}

// backupAnswer is the record of one backup.
type backupAnswer struct {
	ID          string  `json:"id"`
	TakenAt     *stamp  `json:"takenAt"`
	SizeBytes   int     `json:"sizeBytes"`
	SHA256      string  `json:"sha256"`
	Revision    *string `json:"revision"` // that last had the tenant
	By          string  `json:"by"`
	URL         string  `json:"url"`
	ErasedAt    *stamp  `json:"erasedAt"`
	ErasedBy    *string `json:"erasedBy"`
	EraseReason *string `json:"eraseReason"`
}

func tenantShown(ctx context.Context, store *state.Store, id protocol.TenantID) (tenantShownAnswer, error) {
	answer := tenantShownAnswer{Steps: []protocol.ProvisioningStep{}, Backups: []backupAnswer{}, id: id}
	backups, err := store.Backups(ctx, id)
	if err != nil {
		return answer, err
	}
	for _, b := range backups {
		answer.Backups = append(answer.Backups, backupAnswerOf(b))
	}
	t, err := store.Tenant(ctx, id)
	if err != nil && len(backups) > 0 {
		return answer, nil
	}
	if err != nil {
		return answer, fmt.Errorf("there is no tenant %q, and no backup of one: %w", id, err)
	}
	about := tenantAnswerOf(t)
	answer.Tenant, answer.Quotas, answer.Operation = &about, t.Quotas, optional(t.Operation)
	answer.Steps = append(answer.Steps, t.Steps...)
	return answer, nil
}

func backupAnswerOf(b state.Backup) backupAnswer {
	return backupAnswer{
		ID: b.ID, TakenAt: stampOf(b.TakenAt), SizeBytes: b.Size, SHA256: b.SHA256, Revision: optional(b.Revision), By: b.Actor,
		URL: b.URL, ErasedAt: stampOf(b.ErasedAt), ErasedBy: optional(b.ErasedBy), EraseReason: optional(b.EraseReason),
	}
}

func (a tenantShownAnswer) people(p *page) {
	if a.Tenant == nil {
		p.line("tenant %s is destroyed", a.id)
	} else {
		tenantsAnswer{Tenants: []tenantAnswer{*a.Tenant}}.people(p)
		if a.Tenant.RemovedAt != nil {
			p.line("removed %s", a.Tenant.RemovedAt)
		}
		if a.Tenant.LegalHold != nil {
			p.line("legal hold: %s", *a.Tenant.LegalHold)
		}
	}
	var rows [][]string
	for _, s := range a.Steps {
		rows = append(rows, []string{text(a.Operation), s.Name, string(s.Status), orDash(s.CompletedAt), orDash(s.Error)})
	}
	p.table([]string{"CHANGE", "STEP", "STATUS", "ENDED", "ERROR"}, rows)
	p.backups(a.Backups)
}

// backups adds a table of backups.
func (p *page) backups(list []backupAnswer) {
	var rows [][]string
	for _, b := range list {
		rows = append(rows, []string{
			b.ID, b.TakenAt.String(), bytesOf(int64(b.SizeBytes)), short(b.SHA256), b.By, b.ErasedAt.String(), orDash(text(b.EraseReason)),
		})
	}
	p.table([]string{"BACKUP", "TAKEN", "SIZE", "SHA256", "BY", "ERASED", "WHY"}, rows)
}

func tenantOrphansCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "orphans",
		Short: "databases without a tenant, and tenants without a database",
		Long: `List the databases in the data directory that no recorded tenant has, and the
tenants that were deployed to and whose database is not there. It changes
nothing. A database that nobody needs is yours to move away; one that a tenant
in git is to have again is taken over by "reconciler tenant take".

Where databases.provider is turso the databases of the group are looked at too,
which needs --repo. sqld cannot list its namespaces: there the databases that are
recorded are looked for, and one that nobody has recorded is not seen.`,
		Example: `  reconciler tenant orphans --data ./data`,
		Args:    cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error {
			found, err := c.orphans(ctx)
			if err != nil {
				return err
			}
			answer := orphansAnswer{Orphans: []orphanAnswer{}}
			for _, o := range found {
				answer.Orphans = append(answer.Orphans, orphanAnswer{o.Kind, o.Tenant, optional(o.URL), o.Detail})
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root")
	return command
}

// orphans looks for them in the data directory, and on the server if there is
// one.
func (c *cli) orphans(ctx context.Context) ([]provision.Orphan, error) {
	if c.databases().Server == nil {
		store, err := c.readState(ctx)
		if err != nil {
			return nil, err
		}
		defer store.Close()
		router, err := c.router(ctx, store)
		if err != nil {
			return nil, err
		}
		return provision.New(provision.Config{Store: store, Provider: provision.Files{Router: router}}).Orphans(ctx)
	}
	if err := c.needRepo(); err != nil {
		return nil, err
	}
	w, err := c.openFleetToLook(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if w.config.Store == nil {
		return nil, fmt.Errorf("%w: there is no state in %s", database.ErrMissing, c.settings.Data)
	}
	return reconcile.New(w.config).Life().Orphans(ctx)
}

// orphansAnswer is what belongs to nobody, by tenant.
type orphansAnswer struct {
	Orphans []orphanAnswer `json:"orphans"`
}

type orphanAnswer struct {
	Kind   string            `json:"kind"` // database or tenant
	Tenant protocol.TenantID `json:"tenant"`
	URL    *string           `json:"url"`
	Detail string            `json:"detail"`
}

func (a orphansAnswer) people(p *page) {
	if len(a.Orphans) == 0 {
		p.line("there are no orphans")
	}
	var rows [][]string
	for _, o := range a.Orphans {
		rows = append(rows, []string{o.Kind, string(o.Tenant), orDash(text(o.URL)), o.Detail})
	}
	p.table([]string{"ORPHAN", "TENANT", "WHERE", "WHY"}, rows)
}

// specDefaults are what a tenant.yaml says that a command is asked to write.
func specDefaults(id protocol.TenantID) bundle.TenantSpec {
	return bundle.TenantSpec{
		ID: string(id), Plan: protocol.PlanFree, Region: protocol.RegionUSEast, ProvisioningStatus: protocol.TenantActive,
		Apps: []bundle.AppRef{}, Labels: map[string]string{},
	}
}
