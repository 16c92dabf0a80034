package main

import (
	"context"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/config"
)

// cli is one call of the program.
type cli struct {
	stdout, stderr io.Writer
	started        bool // flags and arguments were understood

	// What flags say that settings do not have.
	configFile string
	output     format
	logLevel   slog.LevelVar
	revision   string
	tenants    []string

	acceptRewrite bool
	observe       bool // run writes to no tenant's database
	patient       bool // a remote that cannot be reached now is asked again later

	patience time.Duration // for tests; default patience

	settings config.Settings

	operations *operations // of run; nil for other commands
}

// root returns the tree of commands.
func (c *cli) root() *cobra.Command {
	c.output = asTable
	root := &cobra.Command{
		Use:   "reconciler",
		Short: "make every tenant's database equal to git",
		Long: `reconciler makes the libSQL database of every tenant equal to a git repository
of tenants, apps and object definitions.

What --repo, --ref, --data and the like say can be said by RECONCILER_REPO and
so on, or in reconciler.yaml, too: flags go first, then the environment.

Exit codes: 0 fine, 1 plan or drift found something, 2 failed, 3 some tenants failed,
are blocked or wait, 64 wrong usage or settings.`,
		Example: `  reconciler validate ./company
  reconciler plan --repo ./company --data ./data
  reconciler sync --repo ./company --data ./data
  reconciler status --data ./data`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.VarP(&c.output, "output", "o", "print a table, JSON or YAML; preview has markdown and audit jsonl besides")
	flags.StringVar(&c.configFile, "config", "", "settings `file` (default reconciler.yaml, if there is one)")
	flags.Var(level{&c.logLevel}, logLevelFlag, "log this `level` and above: debug, info, warn, error (default info for run, else warn)")
	flags.Lookup(logLevelFlag).DefValue = "" // it has two
	root.AddCommand(
		runCommand(c), syncCommand(c), planCommand(c), previewCommand(c), verifyCommand(c), validateCommand(c), renderCommand(c),
		statusCommand(c), historyCommand(c), showCommand(c), auditCommand(c), exportCommand(c),
		approveCommand(c), approvalsCommand(c), holdCommand(c), releaseCommand(c), rollbackCommand(c),
		rolloutCommand(c), confirmCommand(c), waitCommand(c),
		snapshotsCommand(c), restoreCommand(c), appCommand(c), tenantCommand(c),
		driftCommand(c), importCommand(c), notifyCommand(c), secretsCommand(c),
		schemaCommand(c), stateCommand(c), doctorCommand(c), versionCommand(c),
	)
	root.Version = versionAnswerOf(debug.ReadBuildInfo()).line()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(badFlag)
	plain(root)
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable (not .HasSubCommands)}}", 1))
	return root
}

// Marks of commands that have a format of their own.
const (
	listing = "listing" // the answer is a list
	writing = "writing" // it can be written as Markdown
)

const logLevelFlag = "log-level"

// start makes a command's RunE from what it does.
func (c *cli) start(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		c.started = true
		if command.Name() != "run" && !command.Flags().Changed(logLevelFlag) {
			c.logLevel.Set(slog.LevelWarn) // what it does is its answer
		}
		if c.output == asJSONL && command.Annotations[listing] == "" {
			return usagef("-o jsonl is for audit; %s has table, json and yaml", command.Name())
		}
		if c.output == asMarkdown && command.Annotations[writing] == "" {
			return usagef("-o markdown is for preview; %s has table, json and yaml", command.Name())
		}
		if err := c.loadSettings(command.Flags()); err != nil {
			return err
		}
		return do(command.Context(), args)
	}
}
