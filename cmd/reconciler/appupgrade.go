package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
)

func appUpgradeCommand(c *cli) *cobra.Command {
	e := appEdit{verb: "upgrade"}
	var version string
	down := false
	command := &cobra.Command{
		Use:   "upgrade APP --tenant ID",
		Short: "a patch that gives a tenant another version of an app",
		Long: `Print a patch of tenant.yaml that gives the tenant another version of an app that
it has. Without --version it follows the commits from then on. What a version no
longer has is retired, so an older one is refused unless --downgrade says so.`,
		Example: `  reconciler app upgrade crm --repo ./company --tenant acme --version 1.3.0 | git -C ./company apply
  reconciler app upgrade crm --repo ./company --tenant acme`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			e.app = args[0]
			e.edit = func(file string, text []byte) ([]byte, error) {
				return bundle.UseApp(file, text, bundle.AppRef{Name: e.app, Version: version})
			}
			e.refuse = func(ch appChange) error { return ch.upgrades(e.app, down) }
			return e.run(ctx, c)
		}),
	}
	e.flags(c, command)
	command.Flags().StringVar(&version, "version", "", "keep the tenant at this `version`, the tag APP/vVERSION; without it, it follows the commits")
	command.Flags().BoolVar(&down, "downgrade", false, "the version may be older than the one that it has")
	return command
}

// upgrades refuses what is no upgrade.
func (ch appChange) upgrades(app string, down bool) error {
	before, there := ch.app(app)
	after, ok := appOf(ch.next, app)
	switch {
	case !there:
		return fmt.Errorf("%s does not have %s: \"reconciler app install\" gives it to it", ch.tenant.ID, app)
	case ch.implied(app):
		return fmt.Errorf("%s has %s because %s needs it: \"reconciler app install\" lets you choose its version",
			ch.tenant.ID, app, strings.Join(needing(ch.tenant, app), ", "))
	case !ok || down:
		return nil // what is wrong is among the issues
	}
	if order, err := bundle.CompareVersions(after.Version, before.Version); err != nil {
		return fmt.Errorf("%s: %w; --downgrade takes any version", app, err)
	} else if order < 0 {
		return fmt.Errorf("%s has %s %s, which is newer than %s, and what the older one does not have would be retired: say --downgrade if you mean it",
			ch.tenant.ID, app, before.Version, after.Version)
	}
	return nil
}
