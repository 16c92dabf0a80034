package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
)

func appUninstallCommand(c *cli) *cobra.Command {
	e := appEdit{verb: "uninstall"}
	drop := false
	command := &cobra.Command{
		Use:   "uninstall APP --tenant ID",
		Short: "a patch that takes an app from a tenant",
		Long: `Print a patch of tenant.yaml that takes an app from the tenant. Its tables stay as
they are, with their rows, for good; "app list" has them. With --drop-tables they
are retired, and dropped when the retention of fleet.yaml is over; that can be
asked for later too. An app that another one of the tenant needs is refused.`,
		Example: `  reconciler app uninstall billing --repo ./company --tenant acme | git -C ./company apply
  reconciler app uninstall billing --repo ./company --tenant acme --drop-tables`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			e.app = args[0]
			e.edit = func(file string, text []byte) ([]byte, error) { return bundle.LeaveApp(file, text, e.app, drop) }
			e.refuse = func(ch appChange) error { return ch.uninstalls(e.app, drop) }
			return e.run(ctx, c)
		}),
	}
	e.flags(c, command)
	command.Flags().BoolVar(&drop, "drop-tables", false, "retire its tables instead of keeping them")
	return command
}

// uninstalls refuses to take away what is not there, or what is needed.
func (ch appChange) uninstalls(app string, drop bool) error {
	_, there := ch.app(app)
	needed := needing(ch.tenant, app)
	switch {
	case there && len(needed) > 0:
		return fmt.Errorf("%s is needed by %s: uninstall that first", app, strings.Join(needed, ", "))
	case !there && !drop:
		return fmt.Errorf("%s does not have %s; with --drop-tables the tables that it left are retired", ch.tenant.ID, app)
	}
	return nil
}
