package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
)

func renderCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "render TENANT",
		Short: "the bundle composed for a tenant",
		Long: `Print what a tenant should have at a revision: the DeployBundle composed of its
apps and its own directory, the AppManifests, and the digest. Without -o it is
printed as YAML.`,
		Example: `  reconciler render --repo ./company acme
  reconciler render --repo ./company acme --revision add-vat-number -o json | jq .bundle.objects`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			repo, err := c.openRepo(ctx)
			if err != nil {
				return err
			}
			defer repo.Close()
			commit, loaded, err := load(ctx, repo.Repo)
			if err != nil {
				return err
			}
			answer, err := renderAnswerOf(commit, loaded, protocol.TenantID(args[0]))
			if err != nil {
				return err
			}
			return c.printDocument(answer)
		}),
	}
	setting(command, "repo", "ref", "secrets-dir")
	c.revisionFlag(command)
	return command
}

// renderAnswer is what a tenant should have.
type renderAnswer struct {
	Tenant   protocol.TenantID      `json:"tenant"`
	Revision string                 `json:"revision"`
	Digest   string                 `json:"digest"`
	Bundle   protocol.DeployBundle  `json:"bundle"`
	Apps     []protocol.AppManifest `json:"apps"`
}

func renderAnswerOf(commit gitrepo.Commit, loaded *bundle.Fleet, id protocol.TenantID) (renderAnswer, error) {
	at := slices.IndexFunc(loaded.Tenants, func(t *bundle.Tenant) bool { return t.ID == id })
	if at < 0 {
		return renderAnswer{}, fmt.Errorf("tenant %q is not in commit %s", id, short(commit.Hash))
	}
	t := loaded.Tenants[at]
	if t.Desired == nil {
		return renderAnswer{}, fmt.Errorf("tenant %q has no bundle: %w", id, &bundle.InvalidError{Faults: t.Faults})
	}
	return renderAnswer{
		Tenant: id, Revision: commit.Hash, Digest: t.Desired.Digest,
		Bundle: loaded.Bundle(t), Apps: append([]protocol.AppManifest{}, t.Desired.Apps...),
	}, nil
}
