package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

func appCheckCommand(c *cli) *cobra.Command {
	var tenant, version string
	command := &cobra.Command{
		Use:   "check APP --tenant ID",
		Short: "whether a tenant can have an app, and why not",
		Long: `Say what stands against an app in a tenant: the kernel, objects that somebody
else has, dependencies that are not there, quotas; and whatever else would keep
its bundle from being deployed. With a data directory the tenant's database is
looked at too, and nothing is written. Exit code 3: something stands against it.`,
		Example: `  reconciler app check billing --repo ./company --data ./data --tenant acme
  reconciler app check billing --repo ./company --tenant acme --version 1.2.0 -o json`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			w, err := c.openApps(ctx)
			if err != nil {
				return err
			}
			defer w.close()
			ch, err := c.try(ctx, w, tenant, func(file string, text []byte) ([]byte, error) {
				return bundle.UseApp(file, text, bundle.AppRef{Name: args[0], Version: version})
			})
			if err != nil {
				return err
			}
			answer := checkAnswer{Tenant: ch.tenant.ID, App: args[0], Compatible: ch.compatible(), Issues: ch.issues}
			if m, ok := appOf(ch.next, args[0]); ok {
				answer.Version = &m.Version
			}
			if err := c.print(answer, answer.people); err != nil {
				return err
			}
			if !answer.Compatible {
				return outcome(exitPartial)
			}
			return nil
		}),
	}
	c.appFlags(command, &tenant)
	command.Flags().StringVar(&version, "version", "", "this `version`, the tag APP/vVERSION, in place of that of the commit")
	return command
}

// checkAnswer is whether a tenant can have an app.
type checkAnswer struct {
	Tenant     protocol.TenantID `json:"tenant"`
	App        string            `json:"app"`
	Version    *string           `json:"version"` // null when it cannot be composed
	Compatible bool              `json:"compatible"`
	Issues     []appIssue        `json:"issues"`
}

func (a checkAnswer) people(p *page) {
	fits := "fits"
	if !a.Compatible {
		fits = "does not fit"
	}
	name := a.App
	if a.Version != nil {
		name += " " + *a.Version
	}
	p.line("%s %s %s", name, fits, a.Tenant)
	for _, i := range a.Issues {
		p.line("%s %s", p.word(string(i.Severity)), i.line())
	}
}
