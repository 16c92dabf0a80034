package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func secretsCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "secrets",
		Short: "encrypt a secret for the repository, replace the tokens of databases",
		Long: `No secret stands in a file of the repository or of the settings: a reference to it
does, $env:RECONCILER_SECRET_NAME, $file:NAME or an encrypted $age: value.
docs/secrets.md has all of it.`,
	}
	command.AddCommand(secretsEncryptCommand(c), secretsRotateCommand(c), secretsRekeyCommand(c))
	return command
}

func secretsEncryptCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "encrypt",
		Short: "make an $age: value of what stdin has",
		Long: `Read a secret from stdin and print it as an $age: value, encrypted for the first
identity in age.identityFile. It may stand wherever a reference to a secret may,
in a tenant.yaml for one: only who has the identity can read it.`,
		Example: `  printf %s "$TOKEN" | reconciler secrets encrypt --age-identity-file /etc/reconciler/age.key`,
		Args:    cobra.NoArgs,
		RunE:    c.start(func(context.Context, []string) error { return c.encrypt(os.Stdin) }),
	}
	setting(command, "secrets-dir")
	return command
}

// encryptAnswer is a secret as it may be committed.
type encryptAnswer struct {
	Secret    string `json:"secret"`
	Recipient string `json:"recipient"` // whose identity opens it
}

func (c *cli) encrypt(from io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(from, 1<<20))
	if err != nil {
		return fmt.Errorf("read the secret: %w", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return errors.New("there is nothing to encrypt: write the secret to stdin")
	}
	sealed, err := c.secrets().Seal(string(text))
	if err != nil {
		return err
	}
	answer := encryptAnswer{Secret: string(sealed)}
	if answer.Recipient, err = c.secrets().Recipient(); err != nil {
		return err
	}
	return c.print(answer, func(p *page) {
		for line := range strings.SplitSeq(answer.Secret, "\n") {
			p.line("%s", line)
		}
	})
}
