package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/mail"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
)

// inGit is a change of a tenant that git decides, and how it is made.
type inGit struct {
	verb   string // of a lifeRequest, for --now
	commit bool
	now    bool
	reason string
}

// flags adds the flags of a change to a command.
func (g *inGit) flags(command *cobra.Command) {
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "actor")
	command.Flags().BoolVar(&g.commit, "commit", false, "commit to the branch and push, in place of printing a patch")
	if g.verb != "" {
		command.Flags().BoolVar(&g.now, "now", false, "do it at once too, through the daemon where one runs, else with --repo")
		command.Flags().StringVar(&g.reason, "reason", "", "why, for the record")
	}
}

// change does what a command asks for: at once, in git, or as a patch.
func (g *inGit) change(ctx context.Context, c *cli, edit provision.Edit) error {
	if g.now {
		q := lifeRequest{Verb: g.verb, Tenant: edit.Tenant, Plan: edit.Plan, Reason: g.reason, Actor: c.actor()}
		answer, err := changeLife(ctx, c, q)
		if err != nil {
			return err
		}
		if c.settings.Repo == "" { // the daemon brings it to git
			return c.print(answer, answer.people)
		}
	}
	repo, err := c.openRepo(ctx)
	if err != nil {
		return err
	}
	defer repo.Close()
	if g.commit {
		return c.commitEdit(ctx, repo.Repo, edit)
	}
	commit, err := repo.Resolve(ctx, "")
	if err != nil {
		return err
	}
	tree, err := repo.Tree(ctx, commit.Hash)
	if err != nil {
		return err
	}
	files, err := c.edited(ctx, repo.Repo, tree, edit)
	if err != nil {
		return err
	}
	text, err := patch(tree, files)
	if err == nil {
		_, err = c.stdout.Write([]byte(text))
	}
	return err
}

// edited are the files of an edit, checked as the loop will check them.
func (c *cli) edited(ctx context.Context, repo *gitrepo.Repo, tree fs.FS, edit provision.Edit) (map[string][]byte, error) {
	fleet, err := fleetOf(tree)
	if err != nil {
		return nil, err
	}
	files, err := edit.Files(tree, fleet)
	if err != nil || edit.Remove {
		return files, err
	}
	for _, text := range files {
		if _, _, err := bundle.Draft(tree, edit.Tenant, text, reconcile.BundleOptions(ctx, repo)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// fleetOf reads fleet.yaml of a tree.
func fleetOf(tree fs.FS) (config.Fleet, error) {
	text, err := fs.ReadFile(tree, "fleet.yaml")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return config.Fleet{}, err
	}
	fleet, faults := config.ParseFleet("fleet.yaml", text)
	if config.HasErrors(faults) {
		return fleet, &bundle.InvalidError{Faults: faults}
	}
	return fleet, nil
}

// commitEdit commits an edit to the followed branch and says which commit that
// is.
func (c *cli) commitEdit(ctx context.Context, repo *gitrepo.Repo, edit provision.Edit) error {
	changed := false
	name, address := signature(c.actor())
	made, err := repo.Commit(ctx, func(tree *gitrepo.Tree) (gitrepo.Change, error) {
		files, err := c.edited(ctx, repo, tree, edit)
		changed = len(files) > 0
		return gitrepo.Change{
			Files: files, When: time.Now(), Author: name, Email: address,
			Message: fmt.Sprintf("tenants: %s %s\n", describeEdit(edit), edit.Tenant),
		}, err
	})
	if errors.Is(err, gitrepo.ErrCheckedOut) {
		return fmt.Errorf("%w; without --commit this command prints a patch for \"git apply\"", err)
	}
	if err != nil {
		return err
	}
	answer := committedAnswer{Tenant: edit.Tenant, Revision: made.Hash, Changed: changed}
	return c.print(answer, answer.people)
}

// signature is an actor as the author of a commit.
func signature(actor string) (name, address string) {
	if a, err := mail.ParseAddress(actor); err == nil {
		return cmp.Or(a.Name, a.Address), a.Address
	}
	return actor, strings.ReplaceAll(actor, " ", ".") + "@reconciler.invalid"
}

func describeEdit(e provision.Edit) string {
	switch {
	case e.New != nil:
		return "add"
	case e.Remove:
		return "remove"
	case e.Plan != "":
		return "plan " + string(e.Plan) + " for"
	case e.Status == protocol.TenantSuspended:
		return "suspend"
	}
	return "resume"
}

// committedAnswer is a commit that was made, or was not needed.
type committedAnswer struct {
	Tenant   protocol.TenantID `json:"tenant"`
	Revision string            `json:"revision"`
	Changed  bool              `json:"changed"`
}

func (a committedAnswer) people(p *page) {
	if !a.Changed {
		p.line("git says so already")
		return
	}
	p.line("tenant %s committed as %s", a.Tenant, short(a.Revision))
}

func tenantProvisionCommand(c *cli) *cobra.Command {
	var g inGit
	var recreate bool
	var plan, region string
	var apps []string
	spec := specDefaults("")
	command := &cobra.Command{
		Use:   "provision TENANT",
		Short: "a tenant.yaml for a new tenant",
		Long: `Print a patch that adds the tenant.yaml of a new tenant, checked against the
repository, or commit it with --commit. The next pass provisions the tenant.

With --recreate nothing is written to git: a tenant whose database has vanished
gets a new, empty one. That is only done when the database is not there.`,
		Example: `  reconciler tenant provision acme --name "Acme Corp" --plan pro --app crm --repo ./company | git -C ./company apply
  reconciler tenant provision acme --name "Acme Corp" --repo https://git.example/company.git --commit
  reconciler tenant provision acme --recreate --reason "disk 3 is gone" --data ./data`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			id := protocol.TenantID(args[0])
			if recreate {
				return c.life(ctx, lifeRequest{Verb: verbRecreate, Tenant: id, Reason: g.reason, Actor: c.actor()})
			}
			spec.ID, spec.Plan, spec.Region = args[0], protocol.TenantPlan(plan), protocol.TenantRegion(region)
			if spec.Name == "" {
				spec.Name = args[0]
			}
			for _, app := range apps {
				name, version, _ := strings.Cut(app, "@")
				spec.Apps = append(spec.Apps, bundle.AppRef{Name: name, Version: version})
			}
			return g.change(ctx, c, provision.Edit{Tenant: id, New: &spec})
		}),
	}
	g.flags(command)
	flags := command.Flags()
	flags.StringVar(&spec.Name, "name", "", "`name` shown to people (default the id)")
	flags.StringVar(&spec.OrgID, "org", "", "`organisation` that owns it")
	flags.StringVar(&plan, "plan", string(spec.Plan), "`plan`: free, pro or enterprise")
	flags.StringVar(&region, "region", string(spec.Region), "`region` it is deployed in")
	flags.StringSliceVar(&apps, "app", nil, "`app` it uses, such as crm or crm@1.2.0; may be repeated")
	flags.StringToStringVar(&spec.Labels, "label", nil, "`labels`: tier=canary,team=eu")
	flags.BoolVar(&recreate, "recreate", false, "make the database of a tenant anew that has vanished")
	flags.StringVar(&g.reason, "reason", "", "why, for the record of --recreate")
	return command
}

// command makes a command that changes one thing of a tenant of its description.
func (g *inGit) command(c *cli, command *cobra.Command, edit func(args []string) provision.Edit) *cobra.Command {
	command.RunE = c.start(func(ctx context.Context, args []string) error { return g.change(ctx, c, edit(args)) })
	g.flags(command)
	return command
}

func tenantSuspendCommand(c *cli) *cobra.Command {
	return (&inGit{verb: verbSuspend}).command(c, &cobra.Command{
		Use:   "suspend TENANT",
		Short: "make a tenant read-only",
		Long: `Print a patch that sets provisioningStatus: suspended in the tenant's tenant.yaml:
its database becomes read-only for deployments and for applications that come
through a router. --now does that at once and lets git follow.`,
		Example: `  reconciler tenant suspend acme --repo ./company | git -C ./company apply
  reconciler tenant suspend acme --now --reason "not paid" --data ./data`,
		Args: cobra.ExactArgs(1),
	}, func(args []string) provision.Edit {
		return provision.Edit{Tenant: protocol.TenantID(args[0]), Status: protocol.TenantSuspended}
	})
}

func tenantResumeCommand(c *cli) *cobra.Command {
	return (&inGit{verb: verbResume}).command(c, &cobra.Command{
		Use:   "resume TENANT",
		Short: "let a suspended tenant work again",
		Long: `Print a patch that sets provisioningStatus: active in the tenant's tenant.yaml: its
database can be written to again, and deployments that waited follow.`,
		Example: `  reconciler tenant resume acme --repo https://git.example/company.git --commit
  reconciler tenant resume acme --now --data ./data`,
		Args: cobra.ExactArgs(1),
	}, func(args []string) provision.Edit {
		return provision.Edit{Tenant: protocol.TenantID(args[0]), Status: protocol.TenantActive}
	})
}

func tenantDestroyCommand(c *cli) *cobra.Command {
	return (&inGit{verb: verbDestroy}).command(c, &cobra.Command{
		Use:   "destroy TENANT",
		Short: "take a tenant away",
		Long: `Print a patch that removes the tenant's directory. The tenant is then suspended
and backed up, and destroyed after graceHours of fleet.yaml; putting the
directory back before that cancels it. --now begins at once and lets git follow:
the time of grace is the same.`,
		Example: `  reconciler tenant destroy acme --repo ./company | git -C ./company apply --index
  reconciler tenant destroy acme --now --reason "contract ended" --data ./data`,
		Args: cobra.ExactArgs(1),
	}, func(args []string) provision.Edit {
		return provision.Edit{Tenant: protocol.TenantID(args[0]), Remove: true}
	})
}

func tenantPlanCommand(c *cli) *cobra.Command {
	return (&inGit{verb: verbPlan}).command(c, &cobra.Command{
		Use:   "migrate-plan TENANT free|pro|enterprise",
		Short: "move a tenant to another plan and its quotas",
		Long: `Print a patch that sets the plan in the tenant's tenant.yaml. Its quotas are those
of the plan in fleet.yaml, with its own over them.`,
		Example: `  reconciler tenant migrate-plan acme enterprise --repo ./company | git -C ./company apply
  reconciler tenant migrate-plan acme pro --now --data ./data`,
		Args: cobra.ExactArgs(2),
	}, func(args []string) provision.Edit {
		return provision.Edit{Tenant: protocol.TenantID(args[0]), Plan: protocol.TenantPlan(args[1])}
	})
}
