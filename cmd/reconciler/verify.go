package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
)

func verifyCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "verify",
		Short: "ask the verification queries of every tenant now",
		Long: `Ask the queries that app.yaml has under "verify" in the database of every tenant
that uses the app, as it is. Each must give no row. At most 100 rows of a query
are counted, and none is shown.

Nothing is written, neither to a tenant nor to state, and nothing is rolled back:
that is for deployments. Exit code 3: some query gave rows, or could not be asked.`,
		Example: `  reconciler verify --repo ./company --data ./data
  reconciler verify --repo ./company --data ./data --tenant acme --revision new-query`,
		Args: cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error {
			w, err := c.openFleetToLook(ctx)
			if err != nil {
				return err
			}
			defer w.close()
			commit, found, err := reconcile.New(w.config).Verify(ctx, c.selection())
			if err != nil {
				return err
			}
			answer := verifyAnswerOf(commit, found)
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
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "log-format")
	c.revisionFlag(command)
	c.tenantFlag(command)
	return command
}

// verifyAnswer is what the queries of a revision say.
type verifyAnswer struct {
	Revision *string          `json:"revision"`
	Tenants  []verifiedTenant `json:"tenants"`

	commit gitrepo.Commit
}

// verifiedTenant is what they say about one tenant.
type verifiedTenant struct {
	Tenant  protocol.TenantID `json:"tenant"`
	Queries []verifiedQuery   `json:"queries"`
	Error   *problem          `json:"error"` // also when one of them failed
}

// verifiedQuery is one query that was asked.
type verifiedQuery struct {
	App   string  `json:"app"`
	Name  string  `json:"name"`
	Rows  int     `json:"rows"`  // that it gave, at most 100
	Error *string `json:"error"` // why it was not asked to its end
}

func verifyAnswerOf(commit gitrepo.Commit, found []reconcile.Verified) verifyAnswer {
	answer := verifyAnswer{Revision: optional(commit.Hash), Tenants: []verifiedTenant{}, commit: commit}
	for _, v := range found {
		one := verifiedTenant{Tenant: v.ID, Queries: []verifiedQuery{}}
		failed := map[string]deploy.FailedQuery{}
		for _, q := range v.Failed {
			failed[q.Verification.String()] = q
		}
		for _, q := range v.Queries {
			asked := verifiedQuery{App: q.App, Name: q.Name, Rows: failed[q.String()].Rows}
			if err := failed[q.String()].Err; err != nil {
				asked.Error = optional(err.Error())
			}
			one.Queries = append(one.Queries, asked)
		}
		switch {
		case v.Err != nil:
			one.Error = problemWith(v.ID, v.Err)
		case len(v.Failed) > 0:
			one.Error = problemWith(v.ID, &deploy.VerifyError{Tenant: v.ID, Queries: v.Failed})
		}
		answer.Tenants = append(answer.Tenants, one)
	}
	return answer
}

func (a verifyAnswer) people(p *page) {
	p.commit(a.commit)
	var rows [][]string
	for _, t := range a.Tenants {
		for _, q := range t.Queries {
			said := fmt.Sprint(q.Rows)
			if q.Error != nil {
				said = "failed"
			}
			rows = append(rows, []string{string(t.Tenant), q.App + "/" + q.Name, said})
		}
	}
	p.table([]string{"TENANT", "QUERY", "ROWS"}, rows)
	if len(rows) == 0 {
		p.line("no query was asked")
	}
	for _, t := range a.Tenants {
		if t.Error != nil {
			p.line("")
			p.problem(string(t.Tenant), t.Error)
		}
	}
}
