package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// plain says what a call got wrong in the words that its help has, where cobra
// counts arguments or answers a word that is no command with help and success.
func plain(command *cobra.Command) {
	for _, below := range command.Commands() {
		plain(below)
		if below.HasSubCommands() {
			asGroup(below)
		} else {
			below.Args = takes(below.Args)
		}
	}
}

// asGroup makes a command of others refuse what is none of them.
func asGroup(command *cobra.Command) {
	command.Args = cobra.ArbitraryArgs
	command.FParseErrWhitelist.UnknownFlags = true // they are of the command that was meant
	command.RunE = func(command *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("say what %q is to do: %s", command.CommandPath(), belowOf(command))
		}
		return fmt.Errorf("%q has no command %q: it has %s", command.CommandPath(), args[0], belowOf(command))
	}
}

func belowOf(command *cobra.Command) string {
	var names []string
	for _, below := range command.Commands() {
		names = append(names, below.Name())
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// takes names the arguments of a command that was given others.
func takes(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if check == nil || check(command, args) == nil {
			return nil
		}
		_, takes, _ := strings.Cut(command.Use, " ")
		if takes == "" {
			takes = "no arguments"
		}
		given := "nothing"
		if len(args) > 0 {
			given = fmt.Sprintf("%q", strings.Join(args, " "))
		}
		return fmt.Errorf("%s takes %s, and was given %s", command.Name(), takes, given)
	}
}

// badFlag says what a flag takes, in place of what the parser of its value says.
func badFlag(_ *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &bad) && errors.As(err, &number) {
		return fmt.Errorf("--%s is %q, which is not a number that it takes", bad.GetFlag().Name, bad.GetValue())
	}
	return err
}

// level is a slog.Level as a flag.
type level struct{ *slog.LevelVar }

func (l level) Set(text string) error {
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return errors.New("it is debug, info, warn or error")
	}
	return nil
}

func (l level) String() string { return strings.ToLower(l.Level().String()) }
func (l level) Type() string   { return "level" }
