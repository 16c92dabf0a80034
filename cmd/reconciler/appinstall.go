package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
)

func appInstallCommand(c *cli) *cobra.Command {
	e := appEdit{verb: "install"}
	var version string
	command := &cobra.Command{
		Use:   "install APP --tenant ID",
		Short: "a patch that gives a tenant an app",
		Long: `Print a patch of tenant.yaml that gives the tenant an app, or commit it with
--commit. What the app depends on comes with it, and tables that it left when it
was uninstalled are its own again. It is checked like "app check" does, and there
is no patch for an app that does not fit.`,
		Example: `  reconciler app install billing --repo ./company --tenant acme | git -C ./company apply
  reconciler app install billing --repo https://git.example/company.git --tenant acme --version 1.2.0 --commit`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			e.app = args[0]
			e.edit = func(file string, text []byte) ([]byte, error) {
				return bundle.UseApp(file, text, bundle.AppRef{Name: e.app, Version: version})
			}
			e.refuse = func(ch appChange) error {
				if there, ok := ch.app(e.app); ok && version != "" && version != there.Version && !ch.implied(e.app) {
					return fmt.Errorf("%s has %s %s: \"reconciler app upgrade\" changes its version", e.tenant, e.app, there.Version)
				}
				return nil
			}
			return e.run(ctx, c)
		}),
	}
	e.flags(c, command)
	command.Flags().StringVar(&version, "version", "", "keep the tenant at this `version`, the tag APP/vVERSION; without it, it follows the commits")
	return command
}

// implied tells that the tenant has an app without naming it.
func (t committed) implied(app string) bool {
	for _, ref := range t.tenant.Spec.Apps {
		if ref.Name == app {
			return false
		}
	}
	_, there := t.app(app)
	return there
}
