package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/internal/reason"
)

// Exit codes beside 0. Of several that apply the highest is used.
const (
	exitChanges = 1  // plan found something to do, drift something that was changed
	exitPartial = 3  // some tenants failed or are blocked
	exitFailed  = 2  // ranks above exitPartial
	exitUsage   = 64 // EX_USAGE of sysexits(3)
)

// outcome is an error without a message of its own: the output has said it
// all, and only the exit code is left to tell.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// usageError is a call that cannot be meant.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// misconfigured is an error of settings, wherever they come from: like a wrong
// call it stays so until somebody corrects it, but help for the command has
// nothing on it.
type misconfigured struct{ error }

// exitCode says the error on stderr, where there is anything to say, and
// returns the code that goes with it. What fails before a command has started
// is wrong usage.
func (c *cli) exitCode(command *cobra.Command, err error) int {
	var silent outcome
	var usage usageError
	var settings misconfigured
	switch {
	case err == nil:
		return 0
	case errors.As(err, &silent):
		return int(silent)
	case errors.As(err, &usage), !c.started:
		fmt.Fprintf(c.stderr, "reconciler: %s\nrun \"%s --help\" for what it takes\n", clean(err.Error()), command.CommandPath())
		return exitUsage
	case errors.As(err, &settings):
		fmt.Fprintf(c.stderr, "reconciler: %s\n", clean(err.Error()))
		return exitUsage
	}
	fmt.Fprintf(c.stderr, "reconciler: %s\n", clean(err.Error()))
	var explained reason.Error
	if errors.As(err, &explained) && explained.Next() != "" {
		fmt.Fprintf(c.stderr, "next: %s\n", clean(explained.Next()))
	}
	return exitFailed
}
