package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func auditCommand(c *cli) *cobra.Command {
	var tenant, from, actor, field string
	var limit uint
	command := &cobra.Command{
		Use:   "audit",
		Short: "who changed what and when, newest first",
		Long: `List what was done to the fleet, newest first: deployments with their changes,
those that failed or were blocked, approvals, holds and releases.

--actor finds what somebody did and what was deployed of their commits. --field
finds the deployments, and the approvals of plans, that touched an object or a
field: account, or account.email. An object that was added, removed or renamed
counts for each of its fields.

It reads DIR/state.db alone, and works while the daemon runs.`,
		Example: `  reconciler audit --data ./data --tenant acme --since 7d
  reconciler audit --data ./data --field account.email -o jsonl
  reconciler audit --data ./data --actor mira@example.com --since 2026-01-31`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{listing: "yes"},
		RunE: c.start(func(ctx context.Context, _ []string) error {
			at, err := since(from, time.Now())
			if err != nil {
				return err
			}
			store, err := c.readState(ctx)
			if err != nil {
				return err
			}
			defer store.Close()
			query := state.EventQuery{Tenant: protocol.TenantID(tenant), Actor: actor, Since: at}
			answer, err := auditOf(ctx, store, query, field, int(limit))
			if err != nil {
				return err
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data")
	flags := command.Flags()
	flags.StringVar(&tenant, "tenant", "", "only this tenant")
	flags.StringVar(&from, "since", "", "only from this `time` on: 7d for the last seven days, or a date")
	flags.StringVar(&actor, "actor", "", "only what this `person` did or is the author of")
	flags.StringVar(&field, "field", "", "only what touched this `object.field`, or object")
	flags.UintVar(&limit, "limit", 0, "show this `number`; 0 for all")
	return command
}

// auditAnswer is what was done, newest first.
type auditAnswer struct {
	Events []auditEvent `json:"events"`
}

func (a auditAnswer) lines() ([]byte, error) { return jsonLines(a.Events) }

// auditEvent is one thing that was done.
type auditEvent struct {
	At           *stamp             `json:"at"`
	Actor        *string            `json:"actor"` // null where the journal alone knows of it
	Via          *string            `json:"via"`
	Kind         string             `json:"kind"`
	Tenant       *protocol.TenantID `json:"tenant"` // null for what concerns several
	Revision     *string            `json:"revision"`
	Author       *string            `json:"author"`
	DeploymentID *string            `json:"deploymentId"`
	PlanDigest   *string            `json:"planDigest"`
	Reason       *string            `json:"reason"`
	Detail       *string            `json:"detail"`
	Changes      []auditChange      `json:"changes"` // of the plan
}

// auditChange is one change of a plan, without the definitions.
type auditChange struct {
	EntityType   protocol.EntityType `json:"entityType"`
	EntityName   string              `json:"entityName"`
	ParentEntity *string             `json:"parentEntity"`
	ChangeType   protocol.ChangeType `json:"changeType"`
}

func auditOf(ctx context.Context, store *state.Store, q state.EventQuery, field string, limit int) (auditAnswer, error) {
	answer := auditAnswer{Events: []auditEvent{}}
	if field == "" {
		q.Limit = limit
	}
	events, err := store.Events(ctx, q)
	if err != nil {
		return answer, err
	}
	changes := changesOf{store: store, known: map[string][]protocol.SchemaChange{}}
	for _, e := range events {
		made, err := changes.of(ctx, e.Plan)
		if err != nil {
			return answer, err
		}
		if field != "" && !slices.ContainsFunc(made, func(c protocol.SchemaChange) bool { return touches(c, field) }) {
			continue
		}
		answer.Events = append(answer.Events, auditEventOf(e, made))
		if limit > 0 && len(answer.Events) == limit {
			break
		}
	}
	return answer, nil
}

// changesOf reads the changes of plans, of each plan once.
type changesOf struct {
	store *state.Store
	known map[string][]protocol.SchemaChange
}

// of returns nothing for a plan that state does not have any more.
func (c changesOf) of(ctx context.Context, digest string) ([]protocol.SchemaChange, error) {
	made, known := c.known[digest]
	if known || digest == "" {
		return made, nil
	}
	stored, err := c.store.Plan(ctx, digest)
	switch {
	case errors.Is(err, state.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		decoded, err := plan.Decode(stored.Body)
		if err != nil {
			return nil, err
		}
		made = decoded.Diff.Changes
	}
	c.known[digest] = made
	return made, nil
}

// touches tells whether a change concerns an object, or a field of one.
func touches(c protocol.SchemaChange, name string) bool {
	object, field, _ := strings.Cut(name, ".")
	switch {
	case c.EntityType == protocol.EntityObject:
		return c.EntityName == object && (field == "" || c.ChangeType != protocol.ChangeModified || renamed(c))
	case c.ParentEntity != object:
		return false
	case field == "":
		return true
	}
	return c.EntityType == protocol.EntityField && (c.EntityName == field || renamedFrom(c) == field)
}

// renamed tells of a change to a whole object whether its table got another
// name.
func renamed(c protocol.SchemaChange) bool {
	_, ok := value(c.OldValue, "table")
	return ok
}

// renamedFrom is what a renamed field was called, else empty.
func renamedFrom(c protocol.SchemaChange) string {
	before, _ := value(c.OldValue, "name")
	if after, ok := value(c.NewValue, "name"); !ok || after == before {
		return ""
	}
	return before
}

func value(of any, key string) (string, bool) {
	m, _ := of.(map[string]any)
	text, ok := m[key].(string)
	return text, ok
}

func auditEventOf(e state.Event, changes []protocol.SchemaChange) auditEvent {
	answer := auditEvent{
		At: stampOf(e.At), Actor: optional(e.Actor), Via: optional(e.Via), Kind: e.Kind,
		Revision: optional(e.Revision), Author: optional(e.Author), DeploymentID: optional(e.Deployment),
		PlanDigest: optional(e.Plan), Reason: optional(e.Reason), Detail: optional(e.Detail), Changes: auditChangesOf(changes),
	}
	if e.Tenant != "" {
		answer.Tenant = &e.Tenant
	}
	return answer
}

func auditChangesOf(changes []protocol.SchemaChange) []auditChange {
	list := []auditChange{}
	for _, c := range changes {
		list = append(list, auditChange{
			EntityType: c.EntityType, EntityName: c.EntityName, ParentEntity: optional(c.ParentEntity), ChangeType: c.ChangeType,
		})
	}
	return list
}

func (c auditChange) String() string {
	return changed(c.ChangeType, c.EntityType, text(c.ParentEntity), c.EntityName)
}

func (a auditAnswer) people(p *page) {
	if len(a.Events) == 0 {
		p.line("nothing was done")
	}
	var rows [][]string
	for _, e := range a.Events {
		tenant := "-"
		if e.Tenant != nil {
			tenant = string(*e.Tenant)
		}
		rows = append(rows, []string{
			e.At.String(), orDash(text(e.Actor)), e.Kind, tenant, orDash(short(text(e.PlanDigest))), orDash(text(e.Author)), e.what(),
		})
	}
	p.table([]string{"WHEN", "WHO", "DID", "TENANT", "PLAN", "AUTHOR", "WHAT"}, rows)
}

// what says in a line what was done and why.
func (e auditEvent) what() string {
	var parts []string
	for _, part := range []*string{e.Reason, e.Detail} {
		if part != nil {
			parts = append(parts, *part)
		}
	}
	said := strings.Join(parts, ": ")
	var changes []string
	for i, c := range e.Changes {
		if i == mostChanges {
			changes = append(changes, "...")
			break
		}
		changes = append(changes, c.String())
	}
	if len(changes) > 0 {
		said += " (" + strings.Join(changes, ", ") + ")"
	}
	return orDash(said)
}

// mostChanges are shown of one event in a table.
const mostChanges = 5
