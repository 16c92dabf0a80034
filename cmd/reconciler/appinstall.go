package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
)

func appInstallCommand(c *cli) *cobra.Command {
	var tenant, version string
	command := &cobra.Command{
		Use:   "install APP --tenant ID",
		Short: "a patch that gives a tenant an app",
		Long: `Print a patch of tenant.yaml that gives the tenant an app. What the app depends
on comes with it, and tables that it left when it was uninstalled are its own
again. It is checked like "app check" does, and there is no patch for an app that
does not fit.`,
		Example: `  reconciler app install billing --repo ./company --tenant acme | git -C ./company apply
  reconciler app install billing --repo ./company --data ./data --tenant acme --version 1.2.0`,
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
			if there, ok := ch.app(args[0]); ok && version != "" && version != there.Version && !ch.implied(args[0]) {
				return fmt.Errorf("%s has %s %s: \"reconciler app upgrade\" changes its version", tenant, args[0], there.Version)
			}
			return c.printPatch(ch, args[0])
		}),
	}
	c.appFlags(command, &tenant)
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
