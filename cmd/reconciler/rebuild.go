package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func rebuildCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "rebuild",
		Short: "restore history from the tenants' journals",
		Long: `Read the journal of every tenant's database and make state.db agree with it:
deployments that committed and what is applied come back, attempts that failed
are known only to a state.db that can still be read. One that cannot be read is
renamed and kept. The databases are opened read-only.

Databases are those in DIR/tenants, and those on servers that a state.db which
can be read knows; with --repo also those that URLs of tenants lead to.`,
		Example: `  reconciler state rebuild --data ./data`,
		Args:    cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) (err error) {
			held, err := c.claimExisting()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, held.release()) }()
			answer, err := c.rebuild(ctx)
			if err != nil {
				return err
			}
			if err := c.print(answer, answer.people); err != nil {
				return err
			}
			for _, t := range answer.Tenants {
				if t.Error != nil {
					return outcome(exitPartial)
				}
			}
			return nil
		}),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root")
	return command
}

// rebuildAnswer is what was restored.
type rebuildAnswer struct {
	SetAside *string         `json:"setAside"` // where a state file that cannot be read is now
	Tenants  []rebuiltTenant `json:"tenants"`
}

// rebuiltTenant is what was restored of one tenant.
type rebuiltTenant struct {
	Tenant      protocol.TenantID `json:"tenant"`
	Deployments int               `json:"deployments"`
	Error       *problem          `json:"error"`
}

func (a rebuildAnswer) people(p *page) {
	if a.SetAside != nil {
		p.line("the old state could not be read and is now %s", *a.SetAside)
	}
	var rows [][]string
	for _, t := range a.Tenants {
		rows = append(rows, []string{string(t.Tenant), fmt.Sprint(t.Deployments)})
	}
	p.table([]string{"TENANT", "DEPLOYMENTS"}, rows)
	p.line("")
	p.line("the fleet is paused: look at \"reconciler plan\", then \"reconciler release --all\"")
	for _, t := range a.Tenants {
		if t.Error != nil {
			p.line("")
			p.problem(string(t.Tenant), t.Error)
		}
	}
}

func (c *cli) rebuild(ctx context.Context) (rebuildAnswer, error) {
	answer := rebuildAnswer{Tenants: []rebuiltTenant{}}
	fleet, err := c.fleetIfAny(ctx)
	if err != nil {
		return answer, err
	}
	files, err := c.tenantDatabases(ctx, fleet)
	if err != nil {
		return answer, err
	}
	aside, err := setAsideBroken(ctx, c.statePath())
	if err != nil {
		return answer, err
	}
	answer.SetAside = optional(aside)
	store, err := state.Open(ctx, c.statePath(), state.Options{})
	if err != nil {
		return answer, err
	}
	pause := state.Hold{
		Owner: "reconciler", Via: viaCLI,
		Reason: "state was rebuilt: holds and approvals that only it knew are gone; look at \"reconciler plan\", then \"reconciler release --all\"",
	}
	if err := store.SetHold(ctx, pause); err != nil {
		return answer, errors.Join(err, store.Close())
	}
	for _, f := range files {
		rebuilt := rebuiltTenant{Tenant: f.tenant}
		if rebuilt.Deployments, err = restore(ctx, store, f); err != nil {
			rebuilt.Error = problemWith(f.tenant, err)
		}
		answer.Tenants = append(answer.Tenants, rebuilt)
	}
	return answer, store.Close()
}

// fleetIfAny reads the fleet when a repository was given; nil otherwise.
func (c *cli) fleetIfAny(ctx context.Context) (*bundle.Fleet, error) {
	if c.settings.Repo == "" {
		return nil, nil
	}
	repo, err := c.openRepo(ctx)
	if err != nil {
		return nil, err
	}
	defer repo.Close()
	_, fleet, err := load(ctx, repo.Repo)
	return fleet, err
}

// fleetIfReadable is fleetIfAny for what goes on without git: a repository that is
// away or wrong is warned of, and is as none.
func (c *cli) fleetIfReadable(ctx context.Context) *bundle.Fleet {
	c.patient = true
	fleet, err := c.fleetIfAny(ctx)
	if err != nil {
		c.notRead(err)
		return nil
	}
	return fleet
}

// setAsideBroken renames a state file that cannot be read and returns its new
// name, empty when there was no need to.
func setAsideBroken(ctx context.Context, path string) (string, error) {
	conn, err := libsql.Open(ctx, path, libsql.Options{ReadOnly: true})
	if err == nil {
		err = errors.Join(libsql.QuickCheck(ctx, conn), conn.Close())
	}
	switch {
	case err == nil, errors.Is(err, database.ErrMissing):
		return "", nil
	case errors.Is(err, database.ErrCorrupt), errors.Is(err, database.ErrNotADB):
		return state.SetAside(path)
	}
	return "", fmt.Errorf("look at the old state: %w", err)
}

// restore makes state agree with one tenant's journal and returns how many
// deployments that has.
func restore(ctx context.Context, store *state.Store, f placedTenant) (int, error) {
	heard, err := f.hear(ctx, false)
	if err != nil || heard.Record.Last == nil {
		return 0, err
	}
	var committed []state.Deployment
	for _, e := range heard.journal {
		committed = append(committed, deploy.FromJournal(f.tenant, e))
	}
	for _, bundle := range deploy.LeftBehind(heard.journal) {
		h := state.Hold{
			Tenant: f.tenant, Bundle: bundle, Owner: heard.Record.Last.Author, Via: viaCLI, SetAt: heard.Record.Last.At,
			Reason: "it was rolled back, as the tenant's journal tells",
		}
		if err := store.SetHold(ctx, h); err != nil {
			return 0, err
		}
	}
	if err := holdAgain(ctx, store, f.tenant, heard.Record); err != nil {
		return 0, err
	}
	last := heard.Record.Last
	return len(committed), store.Replace(ctx, f.tenant, committed, state.Observed{
		Tenant: f.tenant, Sync: state.Unknown, Health: state.Healthy,
		Reason: reason.Rebuilt, Message: "state was restored from the tenant's journal", Next: "run reconciler sync, which looks at the tenant",
		Revision: last.Revision, AppliedRevision: last.Revision, DesiredDigest: last.Bundle, BundleDigest: last.Bundle,
		Fingerprint: heard.Master.Fingerprint(), SchemaDigest: last.SchemaDigest, AppliedDigest: heard.Record.Applied,
		Deployment: last.Deployment, ObservedAt: last.At,
	})
}

// holdAgain sets the hold that a tenant's database tells of, unless it is over
// or state still has one.
func holdAgain(ctx context.Context, store *state.Store, tenant protocol.TenantID, record apply.Record) error {
	told, err := record.Hold()
	if err != nil || told == nil {
		return err
	}
	h := state.Hold{Tenant: tenant, Owner: told.Owner, Via: told.Via, Reason: told.Reason, SetAt: told.SetAt, Until: told.Until}
	if h.Expired(time.Now()) {
		return nil
	}
	holds, err := store.Holds(ctx)
	if err != nil || slices.ContainsFunc(holds, func(other state.Hold) bool {
		return other.Tenant == tenant && other.Bundle == "" && other.Labels == ""
	}) {
		return err
	}
	return store.SetHold(ctx, h)
}
