package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ariga.io/atlas-go-sdk/atlasexec"
	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/state"
)

func exportCommand(c *cli) *cobra.Command {
	var kind, out string
	command := &cobra.Command{
		Use:   "export DEPLOYMENT --out DIR",
		Short: "a deployment as an Atlas migration directory",
		Long: `Write the statements of a deployment into an Atlas migration directory, as one
file with the time of the deployment as its version, and bring atlas.sum up to
date. A directory that exists gets one file more. Registered metadata and seed
data are no migrations and are left out.`,
		Example: `  reconciler export --data ./data 019a1f2e-44c0 --out ./migrations
  atlas migrate lint --dir file://migrations --dev-url sqlite://dev --latest 1`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			switch {
			case kind != "atlas":
				return usagef("--format %q is not known: it is atlas", kind)
			case out == "":
				return usagef("--out is missing: give the migration directory")
			}
			store, err := c.readState(ctx)
			if err != nil {
				return err
			}
			defer store.Close()
			deployment, err := deploymentOf(ctx, store, args[0])
			if err != nil {
				return err
			}
			answer, err := c.export(ctx, store, deployment, out)
			if err != nil {
				return fmt.Errorf("export deployment %s: %w", deployment.ID, err)
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data", "secrets-dir")
	command.Flags().StringVar(&kind, "format", "atlas", "kind of migration directory: atlas")
	command.Flags().StringVar(&out, "out", "", "migration directory to write to")
	return command
}

// exportAnswer is what was written.
type exportAnswer struct {
	DeploymentID string   `json:"deploymentId"`
	Dir          string   `json:"dir"`
	Files        []string `json:"files"` // written or changed
}

func (a exportAnswer) people(p *page) {
	for _, name := range a.Files {
		p.line("%s", filepath.Join(a.Dir, name))
	}
}

func (c *cli) export(ctx context.Context, store *state.Store, d state.Deployment, out string) (exportAnswer, error) {
	answer := exportAnswer{DeploymentID: d.ID, Dir: out}
	ran, err := c.planOf(ctx, store, d)
	if err != nil {
		return answer, err
	}
	if ran == nil || len(ran.Migration.Statements) == 0 {
		return answer, errors.New("it has no statements that change the schema")
	}
	answer.Files, err = addMigration(out, ran, d)
	return answer, err
}

// addMigration makes the directory as it shall be from a copy, so that
// whatever fails leaves the real one alone, and then brings over what is new.
func addMigration(out string, ran *plan.Plan, d state.Deployment) ([]string, error) {
	const migrations = "migrations"
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, err
	}
	work, err := atlasexec.NewWorkingDir(atlasexec.WithMigrations(os.DirFS(out)))
	if err != nil {
		return nil, err
	}
	defer work.Close()
	version := d.StartedAt.UTC().Format("20060102150405")
	file, err := ran.Export(work.Path(migrations), version, d.ID)
	if err != nil { // it names the copy, which nobody knows
		return nil, errors.New(strings.ReplaceAll(err.Error(), work.Path(migrations), out))
	}
	// The sum comes last: until then Atlas sees that the directory is not whole.
	written := []string{file, "atlas.sum"}
	for _, name := range written {
		text, err := os.ReadFile(work.Path(migrations, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(out, name), text, 0o666)
		}
		if err != nil {
			return nil, err
		}
	}
	return written, nil
}
