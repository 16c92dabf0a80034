package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
)

func driftCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "drift [TENANT]...",
		Short: "what somebody changed by hand; writes nothing",
		Long: `Say in which tenants the database is not what the last deployment left: a column
or an index that somebody dropped, a table or a column that was changed, metadata
of ours that was edited. Rows are no drift, and neither is what somebody else made.

What was deployed is in the tenants' journals and in DIR/state.db, so no git is
needed; with --repo git stands in for what state has lost. A database that nobody
has touched since a pass found it in order is not opened. What drift: ignore in
fleet.yaml keeps passes from looking at is told here all the same. A daemon may be
at work meanwhile.
Exit code 1: some have drifted. 3: some could not be looked at.`,
		Example: `  reconciler drift --data ./data
  reconciler drift --data ./data acme
  reconciler drift --data ./data -o json | jq -r '.tenants[] | select(.differences[0]) | .tenant'`,
		RunE: c.start(func(ctx context.Context, args []string) error { return c.drift(ctx, args) }),
	}
	setting(command, "data", "repo", "ref", "secrets-dir", "file-root", "log-format")
	return command
}

func (c *cli) drift(ctx context.Context, args []string) error {
	w, err := c.openToCompare(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	tenants := make([]protocol.TenantID, len(args))
	for i, id := range args {
		tenants[i] = protocol.TenantID(id)
	}
	slices.Sort(tenants)
	found, err := reconcile.New(w.config).Drift(ctx, slices.Compact(tenants))
	if errors.Is(err, reconcile.ErrUnseenTenant) {
		err = fmt.Errorf("%w: \"reconciler status\" lists those that have been seen", err)
	}
	if err != nil {
		return err
	}
	answer := driftAnswerOf(found)
	if err := c.print(answer, answer.people); err != nil {
		return err
	}
	return answer.outcome()
}

// openToCompare opens state and the way to the databases to look at them, and
// the repository where one is given and can be read.
func (c *cli) openToCompare(ctx context.Context) (*workplace, error) {
	store, err := c.readState(ctx)
	if err != nil {
		return nil, err
	}
	w := &workplace{closers: []func() error{store.Close}}
	w.config.Store, w.config.ReadOnly = store, true
	if c.settings.Repo != "" {
		c.patient = true
		if repo, err := c.openRepo(ctx); err != nil {
			c.notRead(err)
		} else {
			w.add(repo)
		}
	}
	if err = w.equip(ctx, c); err != nil {
		w.close()
	}
	return w, err
}

// driftAnswer is what was found.
type driftAnswer struct {
	Drifted int           `json:"drifted"` // how many tenants
	Failed  int           `json:"failed"`  // that could not be looked at
	Tenants []tenantDrift `json:"tenants"`
}

// tenantDrift is what is different in one tenant.
type tenantDrift struct {
	Tenant      protocol.TenantID   `json:"tenant"`
	Differences []deploy.Difference `json:"differences"`
	Waiting     bool                `json:"waiting"` // git asks for something newer than what this is compared with
	Error       *problem            `json:"error"`
}

func driftAnswerOf(found []reconcile.Drifted) driftAnswer {
	answer := driftAnswer{Tenants: []tenantDrift{}}
	for _, d := range found {
		one := tenantDrift{Tenant: d.ID, Differences: d.Differences, Waiting: d.Waiting}
		if one.Differences == nil {
			one.Differences = []deploy.Difference{}
		}
		switch {
		case d.Err != nil:
			one.Error = problemWith(d.ID, d.Err)
			answer.Failed++
		case len(d.Differences) > 0:
			answer.Drifted++
		}
		answer.Tenants = append(answer.Tenants, one)
	}
	return answer
}

func (a driftAnswer) outcome() error {
	switch {
	case a.Failed > 0:
		return outcome(exitPartial)
	case a.Drifted > 0:
		return outcome(exitChanges)
	}
	return nil
}

func (a driftAnswer) people(p *page) {
	p.line("%d of %s drifted, %d could not be looked at", a.Drifted, plural(len(a.Tenants), "tenant"), a.Failed)
	var rows [][]string
	for _, t := range a.Tenants {
		for i, d := range t.Differences {
			tenant, waiting := string(t.Tenant), "-"
			if i > 0 {
				tenant = ""
			}
			if t.Waiting {
				waiting = "yes"
			}
			rows = append(rows, []string{tenant, waiting, d.What})
		}
	}
	if len(rows) > 0 {
		p.line("")
		p.table([]string{"TENANT", "NEWER WAITS", "DIFFERENCE"}, rows)
		p.line("")
		p.line("next: drift: heal in fleet.yaml or in a tenant.yaml puts it right (\"reconciler status\" says where that waits), or change the bundle to match")
	}
	for _, t := range a.Tenants {
		if t.Error != nil {
			p.line("")
			p.problem(string(t.Tenant), t.Error)
		}
	}
}
