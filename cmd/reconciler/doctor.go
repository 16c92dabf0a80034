package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
)

func doctorCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "doctor",
		Short: "check git access, the data directory and every database",
		Long: `Check what a deployment depends on, one line for each thing: access to the
repository (with --repo), the server on which databases are made and its key,
where there is one, the data directory with its permissions and free space, the
state, and of every tenant's database its header, its pages (up to 256 MiB) and
its journal against the state.

Nothing is changed, and a daemon may be at work. Exit code 2: something that
every tenant needs fails. 3: only some tenants do.`,
		Example: `  reconciler doctor --data ./data
  reconciler doctor --data ./data --repo https://git.example/company.git -o json`,
		Args: cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error {
			if err := c.needData(); err != nil {
				return err
			}
			answer := c.examine(ctx)
			if err := c.print(answer, answer.people); err != nil {
				return err
			}
			return answer.outcome()
		}),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root")
	return command
}

// doctorAnswer is what was checked, in that order.
type doctorAnswer struct {
	Status verdict   `json:"status"` // the worst of the checks
	Checks []finding `json:"checks"`
}

// finding is the result of one check.
type finding struct {
	Subject string  `json:"subject"` // repository, data directory, state, or a tenant's id
	Status  verdict `json:"status"`
	Message string  `json:"message"`
	Next    *string `json:"next"`

	tenant bool
}

// verdict is how a check ended.
type verdict string

const (
	good verdict = "ok"
	warn verdict = "warn"
	fail verdict = "fail"
)

func ok(subject, message string) finding {
	return finding{Subject: subject, Status: good, Message: message}
}

func bad(subject string, how verdict, message, next string) finding {
	return finding{Subject: subject, Status: how, Message: message, Next: optional(next)}
}

// because is a finding in the words of an error.
func because(subject string, how verdict, before string, a deploy.Assessment) finding {
	return bad(subject, how, before+a.Message, a.Next)
}

func (a *doctorAnswer) add(findings ...finding) {
	if a.Status == "" {
		a.Status = good
	}
	for _, f := range findings {
		if f.Status == fail || f.Status == warn && a.Status == good {
			a.Status = f.Status
		}
		a.Checks = append(a.Checks, f)
	}
}

func (a doctorAnswer) outcome() error {
	var worst error
	for _, f := range a.Checks {
		switch {
		case f.Status != fail:
		case !f.tenant:
			return outcome(exitFailed)
		default:
			worst = outcome(exitPartial)
		}
	}
	return worst
}

func (a doctorAnswer) people(p *page) {
	var rows [][]string
	for _, f := range a.Checks {
		text := f.Message
		if f.Next != nil {
			text += " (" + *f.Next + ")"
		}
		rows = append(rows, []string{string(f.Status), f.Subject, text})
	}
	p.table([]string{"CHECK", "SUBJECT", "FINDING"}, rows)
}
