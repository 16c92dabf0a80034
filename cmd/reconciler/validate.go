package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/reconcile"
)

func validateCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "validate [PATH]",
		Short: "what is wrong in a directory or a revision",
		Long: `Check every file: fleet.yaml, apps, tenants, definitions and seed data, and what
they come to for each tenant. All faults are printed at once, each with its
place, its code and the next step.

PATH is a directory of files as they are now, committed or not; app versions
are tags of the repository that it is the top of. --repo checks a commit
instead. Exit code 2: there are errors. Warnings alone are fine.`,
		Example: `  reconciler validate ./company
  reconciler validate --repo ./company --revision add-vat-number -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	command.RunE = c.start(func(ctx context.Context, args []string) error {
		var answer validateAnswer
		var err error
		switch {
		case len(args) == 1 && (command.Flags().Changed("repo") || c.revision != ""): // settings may name a repository
			return usagef("give a PATH, or --repo and --revision, not both")
		case len(args) == 1:
			answer, err = validatePath(ctx, args[0])
		case c.settings.Repo == "":
			return usagef("say what to check: give a PATH or --repo")
		default:
			answer, err = c.validateRevision(ctx)
		}
		if err != nil {
			return err
		}
		if err := c.print(answer, answer.people); err != nil {
			return err
		}
		if answer.Errors > 0 {
			return outcome(exitFailed)
		}
		return nil
	})
	setting(command, "repo", "ref", "secrets-dir")
	c.revisionFlag(command)
	return command
}

// validateAnswer is everything that is wrong.
type validateAnswer struct {
	Revision *string        `json:"revision"` // null for a directory
	Tenants  int            `json:"tenants"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Faults   []bundle.Fault `json:"faults"`
}

func validatePath(ctx context.Context, path string) (validateAnswer, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is a file: give the directory that holds apps/ and tenants/", path)
	}
	if err != nil {
		return validateAnswer{}, err
	}
	repo, err := gitrepo.Open(ctx, gitrepo.Config{URL: path})
	switch {
	case err == nil:
		defer repo.Close()
	case !errors.Is(err, gitrepo.ErrNoRepository):
		return validateAnswer{}, err
	default:
		repo = nil
	}
	return validateAnswerOf(bundle.Load(os.DirFS(path), reconcile.BundleOptions(ctx, repo)))
}

func (c *cli) validateRevision(ctx context.Context) (validateAnswer, error) {
	repo, err := c.openRepo(ctx)
	if err != nil {
		return validateAnswer{}, err
	}
	defer repo.Close()
	commit, loaded, err := load(ctx, repo.Repo)
	answer, err := validateAnswerOf(loaded, err)
	answer.Revision = optional(commit.Hash)
	return answer, err
}

// validateAnswerOf counts the faults of what was loaded, or of the error that
// says that they concern everything.
func validateAnswerOf(loaded *bundle.Fleet, err error) (validateAnswer, error) {
	answer := validateAnswer{Faults: []bundle.Fault{}}
	var invalid *bundle.InvalidError
	switch {
	case errors.As(err, &invalid):
		answer.Faults = append(answer.Faults, invalid.Faults...)
	case err != nil:
		return answer, err
	default:
		answer.Tenants = len(loaded.Tenants)
		answer.Faults = append(answer.Faults, loaded.Faults...)
	}
	for _, f := range answer.Faults {
		if f.IsError() {
			answer.Errors++
		} else {
			answer.Warnings++
		}
	}
	return answer, nil
}

func (a validateAnswer) people(p *page) {
	for _, f := range a.Faults {
		p.fault(f)
	}
	p.line("%s, %s, %s", plural(a.Tenants, "tenant"), plural(a.Errors, "error"), plural(a.Warnings, "warning"))
}

// fault adds one line in the form that editors jump to.
func (p *page) fault(f bundle.Fault) {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	next := ""
	if f.Next != "" {
		next = " (" + f.Next + ")"
	}
	p.line("%s: %s %s: %s%s", place, p.word(string(f.Severity)), f.Code, f.Message, next)
}
