package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/protocol"
	controlplane "github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/state"
)

func statusCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "status [TENANT]",
		Short: "sync, health, revision and last deployment of each tenant",
		Long: `Say how every tenant was at the last pass: whether it equals git (sync), how it
is (health), and for each word that is not good the reason and the next step.

It reads DIR/state.db alone, and for one tenant also what is retired in its
database, the tables that uninstalled apps left there, and what the tenant uses
and may use; where the database was made on a server, also what that counts. Its
users are counted with a repository, whose fleet.yaml says what they are. It works
while the daemon runs.`,
		Example: `  reconciler status --data ./data
  reconciler status --data ./data acme
  reconciler status --data ./data -o json | jq -r '.tenants[] | select(.error) | .tenant'`,
		Args: cobra.MaximumNArgs(1),
		RunE: c.reading(func(ctx context.Context, store *state.Store, args []string) error {
			answer, err := statusOf(ctx, store, args)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				one := &answer.Tenants[0]
				one.Retired = c.retiredOf(ctx, store, one.Tenant, one.purgeAt)
				one.Kept = c.keptOf(ctx, store, one.Tenant)
				one.Quotas = quotasOf(ctx, store, one.Tenant)
				policy := c.policyOf(ctx)
				one.Usage = c.usageOf(ctx, store, one.Tenant, policy.Usage.Users)
				if one.ServerUsage, err = c.serverUsageOf(ctx, store, one.Tenant, policy.Databases); err != nil {
					c.logger().Warn("usage not known", attrErr, err)
				}
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data", "repo", "ref", "secrets-dir")
	return command
}

// statusAnswer is how the fleet is.
type statusAnswer struct {
	Pass    *passAnswer    `json:"pass"`
	Source  *sourceAnswer  `json:"source"`  // null before a daemon has looked at it
	Rollout *rolloutAnswer `json:"rollout"` // that is under way, or halted
	Tenants []tenantStatus `json:"tenants"`
	Holds   []holdAnswer   `json:"holds"` // that last, on these tenants and on others with them
}

// tenantStatus is how one tenant was when it was looked at last.
type tenantStatus struct {
	Tenant          protocol.TenantID     `json:"tenant"`
	Plan            *string               `json:"plan"` // free, pro or enterprise
	Sync            state.Sync            `json:"sync"`
	Health          state.Health          `json:"health"`
	Revision        *string               `json:"revision"` // tried last
	AppliedRevision *string               `json:"appliedRevision"`
	BundleDigest    *string               `json:"bundleDigest"` // of the bundle that is applied
	DeploymentID    *string               `json:"deploymentId"`
	ObservedAt      *stamp                `json:"observedAt"`
	PurgeAt         *stamp                `json:"purgeAt"`     // when the first thing that is retired is due
	Retired         []retiredAnswer       `json:"retired"`     // of the tenant that was asked for; null for others
	Kept            []keptAnswer          `json:"kept"`        // likewise
	Usage           *protocol.TenantUsage `json:"usage"`       // likewise
	Quotas          *protocol.TenantQuota `json:"quotas"`      // likewise
	ServerUsage     *controlplane.Usage   `json:"serverUsage"` // likewise, of a database that was made on a server
	Error           *problem              `json:"error"`

	purgeAt time.Time
}

// statusOf reads the status of all tenants, or of those named.
func statusOf(ctx context.Context, store *state.Store, tenants []string) (statusAnswer, error) {
	answer := statusAnswer{Tenants: []tenantStatus{}, Holds: []holdAnswer{}}
	pass, ok, err := store.LastPass(ctx)
	if err != nil {
		return answer, err
	}
	if ok {
		last := passAnswerOf(pass)
		answer.Pass = &last
	}
	source, err := store.Source(ctx)
	if err != nil {
		return answer, err
	}
	answer.Source = sourceAnswerOf(source, time.Now())
	if last, ok, err := store.LastRollout(ctx); err != nil {
		return answer, err
	} else if ok && last.Open() {
		rollout := rolloutAnswerOf(last)
		answer.Rollout = &rollout
	}
	observed, err := store.Observed(ctx)
	if err != nil {
		return answer, err
	}
	for _, id := range tenants {
		row, ok := observed[protocol.TenantID(id)]
		if !ok {
			return answer, unseen(protocol.TenantID(id))
		}
		observed = map[protocol.TenantID]state.Observed{row.Tenant: row}
	}
	for _, id := range slices.Sorted(maps.Keys(observed)) {
		answer.Tenants = append(answer.Tenants, tenantStatusOf(observed[id]))
	}
	holds, err := store.Holds(ctx)
	for _, h := range holds {
		if _, shown := observed[h.Tenant]; !h.Expired(time.Now()) && (shown || h.Tenant == "" || len(tenants) == 0) {
			answer.Holds = append(answer.Holds, holdAnswerOf(h))
		}
	}
	return answer, err
}

func tenantStatusOf(o state.Observed) tenantStatus {
	return tenantStatus{
		Tenant: o.Tenant, Plan: optional(o.Plan), Sync: o.Sync, Health: o.Health,
		Revision: optional(o.Revision), AppliedRevision: optional(o.AppliedRevision),
		BundleDigest: optional(o.BundleDigest), DeploymentID: optional(o.Deployment),
		ObservedAt: stampOf(o.ObservedAt), PurgeAt: stampOf(o.PurgeAt), purgeAt: o.PurgeAt, Error: problemOf(o.Reason, o.Message, o.Next),
	}
}

func (a statusAnswer) people(p *page) {
	if a.Pass != nil {
		what := fmt.Sprintf("%d of %s changed, %d failed or blocked", a.Pass.Changed, plural(a.Pass.Tenants, "tenant"), a.Pass.Failed)
		if a.Pass.Error != nil && a.Pass.Tenants == 0 {
			what = "before it came to a tenant"
		}
		p.line("last pass %s: %s, %s", a.Pass.StartedAt.String(), p.word(string(a.Pass.Status)), what)
		if a.Pass.Error != nil {
			p.line("  %s", *a.Pass.Error)
		}
		if w := a.Pass.Waiting; w != nil {
			p.line("  %s: %s", w.Reason, w.Message)
			p.line("  next: %s", w.Next)
		}
		p.line("")
	}
	if a.Rollout != nil {
		p.summary(*a.Rollout)
		p.line("")
	}
	p.source(a.Source)
	var rows [][]string
	for _, t := range a.Tenants {
		rows = append(rows, []string{
			string(t.Tenant), string(t.Sync), string(t.Health), orDash(short(text(t.AppliedRevision))),
			orDash(text(t.DeploymentID)), t.ObservedAt.String(),
		})
	}
	p.table([]string{"TENANT", "SYNC", "HEALTH", "REVISION", "DEPLOYMENT", "SEEN"}, rows)
	if len(a.Holds) > 0 {
		p.line("")
		p.holds(a.Holds)
	}
	for _, t := range a.Tenants {
		if len(t.Retired) > 0 {
			p.line("")
			p.retired(t.Retired)
		}
		if len(t.Kept) > 0 {
			p.line("")
			p.kept(t.Kept)
		}
		if t.Usage != nil {
			p.line("")
			p.usage(*t.Usage, t.Quotas, t.ServerUsage)
		}
	}
	var wrong []tenantProblem
	for _, t := range a.Tenants {
		wrong = append(wrong, tenantProblem{t.Tenant, t.Error})
	}
	p.problems(wrong)
}
