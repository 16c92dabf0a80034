package deploy

import (
	"cmp"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Doer is who deploys, and through what: the words of an event.
type Doer struct{ Actor, Via string }

// name is the actor, the reconciler itself where nobody is named.
func (by Doer) name() string { return cmp.Or(by.Actor, "reconciler") }

// event is what the record of who changed what says of a deployment that has
// ended.
func (by Doer) event(d state.Deployment, r Assessment, undone bool) state.Event {
	e := eventOf(d)
	e.At, e.Actor, e.Via = d.CompletedAt, by.Actor, by.Via
	switch {
	case d.Status != protocol.DeployReady && r.Action == Blocked:
		e.Kind = state.EventBlocked
	case d.Status != protocol.DeployReady:
		e.Kind = state.EventFailed
	case undone:
		e.Kind = state.EventRolledBack
	}
	switch {
	case d.Error != "":
		e.Reason, e.Detail = d.Reason, d.Error
	case r.Drift:
		e.Reason, e.Detail = d.Reason, Words(r.Differences)
	case len(r.Differences) > 0:
		e.Detail += " (and put drift right: " + Words(r.Differences) + ")"
	}
	return e
}

// foundEvent tells of a deployment that only the tenant's journal knew: who
// ran it was lost with the process that did.
func foundEvent(d state.Deployment) state.Event {
	e := eventOf(d)
	e.At, e.Detail = d.CompletedAt, "found in the tenant's journal"
	return e
}

func eventOf(d state.Deployment) state.Event {
	return state.Event{
		Kind: state.EventDeployed, Tenant: d.Tenant, Revision: d.Revision, Author: author(d.Author, d.AuthorEmail),
		Plan: d.PlanDigest, Deployment: d.ID, Detail: d.Subject,
	}
}

func author(name, email string) string {
	if email == "" {
		return name
	}
	return name + " <" + email + ">"
}
