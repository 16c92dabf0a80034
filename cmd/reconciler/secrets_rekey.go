package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/state"
)

func secretsRekeyCommand(c *cli) *cobra.Command {
	var q rekeyRequest
	command := &cobra.Command{
		Use:   "rekey",
		Short: "encrypt the tokens in state for a new age key",
		Long: `Encrypt every token that state keeps for the first identity in age.identityFile,
so that the others are needed no more. Tokens stay the same, and nobody is cut
off. What the repository has is encrypted again by you: git keeps what it was.`,
		Example: `  reconciler secrets rekey --data ./data --age-identity-file /etc/reconciler/age.key`,
		Args:    cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error {
			q.Actor = c.actor()
			answer, err := change(ctx, c, rekeyPath, q, func(k *control, ctx context.Context, q rekeyRequest) (rekeyAnswer, error) {
				k.secrets = c.secrets()
				return k.rekey(ctx, q)
			})
			if err != nil {
				return err
			}
			return c.print(answer, func(p *page) {
				p.line("%s encrypted for %s", plural(answer.Tokens, "token"), answer.Recipient)
			})
		}),
	}
	setting(command, "data", "secrets-dir", "actor")
	return command
}

// rekeyRequest asks for the tokens in state to be encrypted anew.
type rekeyRequest struct {
	Actor string `json:"actor"`
}

// rekeyAnswer is how many were, and for whom.
type rekeyAnswer struct {
	Tokens    int    `json:"tokens"`
	Recipient string `json:"recipient"`
}

// rekey encrypts every token anew, each in a transaction of its own: one that was not
// reached is opened by the old key.
func (k *control) rekey(ctx context.Context, q rekeyRequest) (answer rekeyAnswer, err error) {
	if err := needActor(q.Actor); err != nil {
		return answer, err
	}
	if answer.Recipient, err = k.secrets.Recipient(); err != nil {
		return answer, err
	}
	placements, err := k.store.Placements(ctx)
	if err != nil {
		return answer, err
	}
	var closed []string // tenants whose tokens no key opens
	var why error
	for _, p := range placements {
		if p.Token == "" {
			continue
		}
		switch err := k.rekeyOne(ctx, p.Tenant); {
		case errors.Is(err, secret.ErrUnreadable):
			closed, why = append(closed, string(p.Tenant)), err
		case err != nil:
			return answer, err
		default:
			answer.Tokens++
		}
	}
	done := plural(answer.Tokens, "token") + " encrypted for " + answer.Recipient
	if answer.Tokens > 0 || len(closed) == 0 {
		err = k.store.AddEvent(ctx, state.Event{
			At: k.now(), Actor: q.Actor, Via: viaCLI, Kind: state.EventRotated, Reason: "new age key", Detail: done,
		})
	}
	if len(closed) > 0 {
		names := strings.Join(closed, " ")
		err = errors.Join(fmt.Errorf("%s, but not those of %s: %w (add the key that they are encrypted for and repeat this, or run \"reconciler secrets rotate %s\")",
			done, names, why, names), err)
	}
	return answer, err
}

// rekeyOne does it for one tenant, as nobody rotates its token meanwhile.
func (k *control) rekeyOne(ctx context.Context, tenant protocol.TenantID) error {
	if k.life != nil {
		defer k.life.Lock(tenant)()
	}
	p, there, err := k.store.Placement(ctx, tenant)
	if err != nil || !there || p.Token == "" {
		return err
	}
	token, err := k.secrets.Resolve(config.Secret(p.Token))
	if err != nil {
		return err
	}
	sealed, err := k.secrets.Seal(token)
	if err != nil {
		return err
	}
	p.Token = string(sealed)
	if err := k.store.SavePlacement(ctx, p); err != nil {
		return err
	}
	if k.placements != nil {
		k.placements.Put(p)
	}
	return nil
}
