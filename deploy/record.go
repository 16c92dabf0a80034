package deploy

import (
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// attempt is the row of a deployment while it is under way.
type attempt struct {
	state.Deployment
	now func() time.Time
}

func (d *Deployer) begin(start time.Time, r Request, result Result) attempt {
	a := attempt{now: d.now, Deployment: state.Deployment{
		ID: newID(), Tenant: protocol.TenantID(r.Owner.Tenant),
		Rollout: r.Rollout, Revision: r.Revision, Author: r.Author, AuthorEmail: r.Email, Subject: r.Subject, Reverts: r.Reverts,
		BundleDigest: r.Desired.Digest, FromFingerprint: result.seen.Master.Fingerprint(), StartedAt: start,
	}}
	if result.Plan != nil {
		a.PlanDigest, a.ToFingerprint = result.Plan.Digest, result.Plan.To
	}
	if result.seen.Record.Last != nil {
		a.PreviousBundle = result.seen.Record.Last.Bundle
	}
	first := protocol.DeployDiffing
	if r.back != nil {
		first = protocol.DeployRollingBack
	}
	a.Transitions = append(a.Transitions, state.Transition{Status: first, At: start})
	return a
}

func (a *attempt) transition(s protocol.DeployStatus) {
	a.Transitions = append(a.Transitions, state.Transition{Status: s, At: a.now()})
}

func (a *attempt) finish(r Result, at time.Time) {
	a.Status = protocol.DeployReady
	if r.Drift {
		a.Reason = ReasonHeal
	}
	if r.Err != nil {
		a.Status = protocol.DeployFailed
		a.Reason, a.Error, a.Next = r.Reason, r.Message, r.Next
	}
	a.transition(a.Status)
	a.Statements, a.Duration, a.CompletedAt = r.Statements, r.Duration, at
}

// FromJournal is the row of a deployment as its journal tells it: what
// happened, without how long each step took.
func FromJournal(tenant protocol.TenantID, e apply.Entry) state.Deployment {
	return state.Deployment{
		ID: e.Deployment, Tenant: tenant, Revision: e.Revision, Author: e.Author,
		BundleDigest: e.Bundle, PreviousBundle: e.PreviousBundle, PlanDigest: e.Plan,
		FromFingerprint: e.From, ToFingerprint: e.To, Status: protocol.DeployReady,
		Transitions: []state.Transition{{Status: protocol.DeployReady, At: e.At}},
		Statements:  len(e.Statements), StartedAt: e.At, CompletedAt: e.At,
	}
}
