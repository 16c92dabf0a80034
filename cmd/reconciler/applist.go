package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func appListCommand(c *cli) *cobra.Command {
	var tenant string
	command := &cobra.Command{
		Use:   "list --tenant ID",
		Short: "the apps of a tenant, and the tables that others have left",
		Long: `List the apps that git gives a tenant, those that others need included, with the
versions that its database has, and the tables that uninstalled apps left there.
Without a data directory it is what git says.`,
		Example: `  reconciler app list --repo ./company --data ./data --tenant acme
  reconciler app list --repo ./company --tenant acme -o json | jq -r '.apps[].app'`,
		Args: cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error {
			w, err := c.openApps(ctx)
			if err != nil {
				return err
			}
			defer w.close()
			t, err := c.readTenant(ctx, w, tenant)
			if err != nil {
				return err
			}
			if t.tenant.Desired == nil {
				return &bundle.InvalidError{Faults: t.tenant.Faults}
			}
			answer := appsAnswerOf(t, c.installed(ctx, w.config.Store, t.tenant.ID))
			if c.settings.Data != "" {
				answer.Kept = c.keptOf(ctx, w.config.Store, t.tenant.ID)
			}
			return c.print(answer, answer.people)
		}),
	}
	c.appFlags(command, &tenant)
	return command
}

// appsAnswer is what apps a tenant has.
type appsAnswer struct {
	Tenant   protocol.TenantID `json:"tenant"`
	Revision string            `json:"revision"`
	Apps     []appAnswer       `json:"apps"` // dependencies first
	Kept     []keptAnswer      `json:"kept"` // null where the database cannot be looked at
}

// appAnswer is one app of a tenant.
type appAnswer struct {
	App       string   `json:"app"`
	Version   string   `json:"version"`   // that git gives it
	Pinned    bool     `json:"pinned"`    // tenant.yaml names the version
	Installed *string  `json:"installed"` // version that its database has, null for none
	NeededBy  []string `json:"neededBy"`  // apps
	Implied   bool     `json:"implied"`   // there because of those alone
	Objects   []string `json:"objects"`
}

func appsAnswerOf(t committed, there apply.Apps) appsAnswer {
	answer := appsAnswer{Tenant: t.tenant.ID, Revision: t.commit.Hash, Apps: []appAnswer{}}
	for _, m := range t.tenant.Desired.Apps {
		at := slices.IndexFunc(t.tenant.Spec.Apps, func(r bundle.AppRef) bool { return r.Name == m.Name })
		a := appAnswer{
			App: m.Name, Version: m.Version, Implied: at < 0, Pinned: at >= 0 && t.tenant.Spec.Apps[at].Version != "",
			NeededBy: append([]string{}, needing(t.tenant, m.Name)...), Objects: append([]string{}, m.Objects...),
		}
		if app, ok := there.Find(m.Name); ok {
			a.Installed = &app.Version
		}
		answer.Apps = append(answer.Apps, a)
	}
	return answer
}

// installed are the apps that the database of a tenant records, none when it
// cannot be read now.
func (c *cli) installed(ctx context.Context, store *state.Store, tenant protocol.TenantID) apply.Apps {
	if c.settings.Data == "" {
		return nil
	}
	conn, err := c.openTenant(ctx, store, tenant)
	if err != nil {
		return nil
	}
	defer conn.Close()
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return nil
	}
	apps, err := apply.ParseApps(seen.Record.Apps)
	if err != nil {
		return nil
	}
	return apps
}

func (a appsAnswer) people(p *page) {
	var rows [][]string
	for _, app := range a.Apps {
		rows = append(rows, []string{app.App, app.Version, orDash(text(app.Installed)), orDash(strings.Join(app.NeededBy, ", "))})
	}
	p.table([]string{"APP", "VERSION", "INSTALLED", "NEEDED BY"}, rows)
	if len(a.Kept) > 0 {
		p.line("")
		p.kept(a.Kept)
	}
}
