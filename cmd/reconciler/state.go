package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/internal/libsql"
)

func stateCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:     "state",
		Short:   "the history in DIR/state.db",
		Example: `  reconciler state rebuild --data ./data`,
	}
	command.AddCommand(rebuildCommand(c), stateVersionCommand(c))
	return command
}

func stateVersionCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:     "version",
		Short:   "version of the schema of state.db",
		Example: `  reconciler state version --data ./data`,
		Args:    cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error {
			if err := c.needData(); err != nil {
				return err
			}
			answer := stateVersionAnswer{Path: c.statePath()}
			conn, err := libsql.Open(ctx, answer.Path, libsql.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer conn.Close()
			rows, err := conn.Query(ctx, "PRAGMA user_version")
			if err != nil {
				return fmt.Errorf("read the version of %s: %w", answer.Path, err)
			}
			answer.Version, _ = rows.Values[0][0].(int64)
			return c.print(answer, func(p *page) { p.line("%s has version %d", answer.Path, answer.Version) })
		}),
	}
	setting(command, "data")
	return command
}

// stateVersionAnswer is how many migrations a state file has seen.
type stateVersionAnswer struct {
	Path    string `json:"path"`
	Version int64  `json:"version"`
}
