package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/notify"
)

func notifyCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "notify",
		Short: "try the targets of notifications",
	}
	test := &cobra.Command{
		Use:   "test [TARGET...]",
		Short: "send each target of notifications one message",
		Long: `Send a message to each target that reconciler.yaml has under notify, or to those
that are named, and say whether it has arrived. Nothing is tried again. Exit code
2: one has not arrived.`,
		Example: `  reconciler notify test
  reconciler notify test chat --config /etc/reconciler/reconciler.yaml`,
		RunE: c.start(c.notifyTest),
	}
	setting(test, "secrets-dir")
	command.AddCommand(test)
	return command
}

// targets are those of the settings. Their secrets are read at each try.
func (c *cli) targets() ([]notify.Target, error) {
	var all []notify.Target
	for _, n := range c.settings.Notify {
		target := notify.Target{Name: n.Name, Slack: n.Kind == config.NotifySlack}
		target.URL = func() (string, error) { return c.targetURL(n.URL) }
		target.Secret = func() (string, error) { return c.secrets().Resolve(n.Secret) }
		for _, kind := range n.Events {
			target.Kinds = append(target.Kinds, notify.Kind(kind))
		}
		_, wrong := target.URL()
		_, unread := target.Secret()
		if err := errors.Join(wrong, unread); err != nil {
			return nil, fmt.Errorf("notify %q: %w", n.Name, err)
		}
		all = append(all, target)
	}
	return all, nil
}

// targetURL is a URL, or what a reference to a secret stands for.
func (c *cli) targetURL(text string) (string, error) {
	if !strings.HasPrefix(text, "$") {
		return text, nil
	}
	at, err := c.secrets().Resolve(config.Secret(text))
	if err == nil && !config.HTTPURL(at) {
		err = fmt.Errorf("%s is no http or https URL", text)
	}
	return at, err
}

// notifyAnswer says which targets a message has reached.
type notifyAnswer struct {
	Targets []notifyTarget `json:"targets"`
}

type notifyTarget struct {
	Target    string  `json:"target"`
	Kind      string  `json:"kind"` // webhook or slack
	Delivered bool    `json:"delivered"`
	Error     *string `json:"error"`
}

func (c *cli) notifyTest(ctx context.Context, names []string) error {
	targets, err := c.targets()
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return errors.New("there is no target: write one under notify in reconciler.yaml; docs/operating.md shows how")
	}
	for _, name := range names {
		if !slices.ContainsFunc(targets, func(t notify.Target) bool { return t.Name == name }) {
			return usagef("no target is called %q", name)
		}
	}
	notifier := notify.New(notify.Config{Log: c.logger()})
	defer notifier.Close(ctx)
	answer := notifyAnswer{Targets: []notifyTarget{}}
	failed := false
	for i, target := range targets {
		if len(names) > 0 && !slices.Contains(names, target.Name) {
			continue
		}
		one := notifyTarget{Target: target.Name, Kind: string(c.settings.Notify[i].Kind)}
		if err := notifier.Check(ctx, target); err != nil {
			one.Error, failed = optional(err.Error()), true
		}
		one.Delivered = one.Error == nil
		answer.Targets = append(answer.Targets, one)
	}
	if err := c.print(answer, answer.people); err != nil || !failed {
		return err
	}
	return outcome(exitFailed)
}

func (a notifyAnswer) people(p *page) {
	var rows [][]string
	for _, t := range a.Targets {
		said := "delivered"
		if t.Error != nil {
			said = *t.Error
		}
		rows = append(rows, []string{t.Target, t.Kind, said})
	}
	p.table([]string{"TARGET", "KIND", "RESULT"}, rows)
}
