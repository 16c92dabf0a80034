package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/protocol"
)

func secretsRotateCommand(c *cli) *cobra.Command {
	q := lifeRequest{Verb: verbRotate}
	all := false
	command := &cobra.Command{
		Use:   "rotate TENANT... | --all",
		Short: "make every token of tenants' databases invalid, and a new one for the router",
		Long: `Replace the tokens of databases that the reconciler has made on a server. From then
on every other token of such a database is refused: whoever has one that did not
come from the tenant router is cut off. The router has the new token at once, and
applications that it connects do not notice more than a retry.

Repeating it is safe, and is what to do after it was interrupted. Tokens that
connectionConfig.authToken of a tenant.yaml refers to are yours to replace. Exit
code 3: some could not be replaced.`,
		Example: `  reconciler secrets rotate acme globex --reason "laptop lost" --repo ./company --data ./data
  reconciler secrets rotate --all --repo ./company --data ./data`,
		RunE: c.start(func(ctx context.Context, args []string) error {
			tenants, err := c.toRotate(ctx, args, all)
			if err != nil {
				return err
			}
			q.Actor = c.actor()
			return c.rotate(ctx, q, tenants)
		}),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "actor")
	command.Flags().StringVar(&q.Reason, "reason", "", "why, for the record")
	command.Flags().BoolVar(&all, "all", false, "every tenant whose database was made on a server")
	return command
}

// toRotate are the tenants that were named, or all that can be.
func (c *cli) toRotate(ctx context.Context, args []string, all bool) ([]protocol.TenantID, error) {
	if all == (len(args) > 0) {
		return nil, usagef("name tenants, or give --all")
	}
	var tenants []protocol.TenantID
	for _, id := range args {
		tenants = append(tenants, protocol.TenantID(id))
	}
	if !all {
		return tenants, nil
	}
	store, err := c.readState(ctx)
	if err != nil {
		return nil, err
	}
	placements, err := store.Placements(ctx)
	for _, p := range placements {
		tenants = append(tenants, p.Tenant)
	}
	return tenants, errors.Join(err, store.Close())
}

// rotateAnswer is what became of each tenant, in the order of the call.
type rotateAnswer struct {
	Tenants []rotated `json:"tenants"`
}

type rotated struct {
	Tenant protocol.TenantID `json:"tenant"`
	CutOff *string           `json:"cutOff"`
	Error  *string           `json:"error"`
}

// rotate goes through the tenants, one that fails aside.
func (c *cli) rotate(ctx context.Context, q lifeRequest, tenants []protocol.TenantID) error {
	answer := rotateAnswer{Tenants: []rotated{}}
	var failed error
	for _, q.Tenant = range tenants {
		done, err := changeLife(ctx, c, q)
		one := rotated{Tenant: q.Tenant, CutOff: done.Detail}
		if err != nil {
			failed = outcome(exitPartial)
			one.CutOff, one.Error = nil, optional(err.Error())
		}
		answer.Tenants = append(answer.Tenants, one)
	}
	if len(tenants) == 1 && failed != nil {
		return errors.New(text(answer.Tenants[0].Error))
	}
	return errors.Join(c.print(answer, answer.people), failed)
}

func (a rotateAnswer) people(p *page) {
	if len(a.Tenants) == 0 {
		p.line("no tenant has a database that was made on a server")
	}
	for _, t := range a.Tenants {
		if t.Error != nil {
			p.line("tenant %s: %s", t.Tenant, *t.Error)
		} else {
			p.line("tenant %s: has a new token; %s", t.Tenant, text(t.CutOff))
		}
	}
}
