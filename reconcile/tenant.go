package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Actions of a pass beside those of one deployment.
const (
	Suspend deploy.Action = "suspend"
	Resume  deploy.Action = "resume" // and nothing else is to be done
	Remove  deploy.Action = "remove"
)

// deployTo brings one tenant that is active to the revision.
func (r *Reconciler) deployTo(ctx context.Context, f reading, t *bundle.Tenant) Tenant {
	return r.deployThrough(ctx, f, t, r.Router.Open)
}

func (r *Reconciler) deployThrough(ctx context.Context, f reading, t *bundle.Tenant, open opener) Tenant {
	return r.visit(ctx, f, t, func(conn database.Conn, q deploy.Request) deploy.Result {
		return r.deployer.Deploy(ctx, conn, q)
	}, open)
}

// planTenant says what syncTenant would do.
func (r *Reconciler) planTenant(ctx context.Context, f reading, t *bundle.Tenant) Tenant {
	var takes time.Duration
	var rows int64
	done := r.visit(ctx, f, t, func(conn database.Conn, q deploy.Request) deploy.Result {
		q.Resumes = true // as a pass does with a tenant that is to be active
		a := r.deployer.Assess(ctx, conn, q)
		if a.Plan != nil {
			takes, rows = deploy.Weigh(ctx, conn, a.Plan)
		}
		if a.Staged {
			takes = a.Estimate
		}
		if a.Action == deploy.None && a.Reason == "" && (resumes(f.records[t.ID]) || a.Suspended()) {
			a.Action = Resume
		}
		return deploy.Result{Assessment: a}
	}, r.openToLook)
	done.Estimate, done.Rows = takes, rows
	if done.Result.Action == Suspend && r.Store != nil && f.records[t.ID].Status != protocol.TenantSuspended {
		done.Sync = state.OutOfSync
		done.Result.Message = "the tenant is to be suspended: its database becomes read-only, and nothing is deployed to it"
	}
	return done
}

// openToLook opens a database read-only; one that would be created is an empty
// one in memory.
func (r *Reconciler) openToLook(ctx context.Context, at tenantrouter.Location, create bool) (database.Conn, error) {
	if create {
		if stamp, err := r.Router.Stamp(at); err == nil && stamp == "" {
			return libsql.OpenMemory(ctx)
		}
	}
	return r.Router.OpenReadOnly(ctx, at)
}

type opener func(ctx context.Context, at tenantrouter.Location, create bool) (database.Conn, error)

// visit leads one tenant through a pass: what is wrong with it in git, whether
// there is anything to do at all, and then the work on its database.
func (r *Reconciler) visit(ctx context.Context, f reading, t *bundle.Tenant,
	work func(database.Conn, deploy.Request) deploy.Result, open opener,
) Tenant {
	done := Tenant{ID: t.ID, Plan: string(t.Spec.Plan), Faults: t.Faults, bundle: digestOf(t), target: f.gate.target(t.ID)}
	switch {
	case t.Desired == nil:
		return done.failed(&invalidTenant{faults: t.Faults})
	case f.shared[t.ID] != nil:
		return done.failed(f.shared[t.ID])
	case f.suspended(t):
		return done.suspended(f.records[t.ID])
	}
	observed, known := f.observed.of(t.ID)
	if hold, held := r.hold(t); held {
		return r.keep(ctx, f, t, done.held(hold, observed), work, open)
	}
	if why := f.gate.wait(t.ID); why != nil {
		return done.waits(*why, observed)
	}
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return done.failed(err)
	}
	request := r.request(f, t)
	stamp, err := r.Router.Stamp(at)
	if err != nil {
		return done.failed(err)
	}
	policy := f.policyText(t, request.Policy)
	input := inputDigest(request, policy, at, stamp)
	healthy := observed.Sync == state.Synced && observed.Health == state.Healthy && observed.Reason != reason.Held
	due := !observed.PurgeAt.IsZero() && !r.Now().Before(observed.PurgeAt)
	if known && !due && healthy && observed.InputDigest == input {
		done.Sync, done.Health = state.Synced, state.Healthy
		done.Result.Action = deploy.None
		done.unchanged = true
		return done
	}
	conn, err := open(ctx, at, !known || observed.BundleDigest == "")
	if err != nil {
		return done.failed(fmt.Errorf("open tenant %q: %w", t.ID, err))
	}
	request.Untouched = at.Remote == "" && observed.Sync == state.Synced && strings.HasSuffix(observed.InputDigest, " "+lookMark("", at, stamp))
	done.Result = work(conn, request)
	done.input = input
	if done.Result.Changed {
		done.input = r.inputAfter(ctx, conn, request, policy, at, done.Result, input)
	}
	done.Result.Forget()
	if err := conn.Close(); err != nil && done.Result.Err == nil {
		return done.failed(fmt.Errorf("close tenant %q: %w", t.ID, err))
	}
	done.judge()
	return done
}

func (r *Reconciler) request(f reading, t *bundle.Tenant) deploy.Request {
	c := f.loaded.Config
	var known deploy.Known
	if seen := f.before(t.ID); seen.Sync == state.Synced { // of any other nobody knows whether it was recorded, and as what
		known = deploy.Known{
			Deployment: seen.Deployment, Bundle: seen.BundleDigest, Fingerprint: seen.Fingerprint, Applied: seen.AppliedDigest,
		}
	}
	return deploy.Request{
		Owner:          provision.OwnerOf(c, t.ID, t.Spec),
		Desired:        t.Desired,
		Policy:         f.policy(t),
		Quotas:         tenantrouter.Quotas{Limits: c.QuotasOf(t.Spec.Plan, t.Spec.Quotas), Users: c.Usage.Users},
		Apps:           deploy.AppRequest{Named: named(t.Spec.Apps)},
		LastDeployment: known.Deployment,
		Deployed:       f.peek(t.ID).BundleDigest != "",
		Known:          known,
		Rollout:        f.gate.rolloutOf(t.ID),
		Snapshots:      SnapshotPolicy(c),
		MaxLock:        MaxLock(c),
		Slice:          f.slice,
		Revision:       f.commit.Hash, Author: f.commit.Author, Email: f.commit.Email, Subject: f.commit.Subject, Reverts: f.commit.Reverts,
		Authors: r.authors(f.commit),
	}
}

// named are the names of a tenant's own list of apps.
func named(refs []bundle.AppRef) []string {
	names := []string{}
	for _, ref := range refs {
		names = append(names, ref.Name)
	}
	return names
}

// inputDigest stands for everything that a pass looks at before it opens a
// tenant's database: equal to the one after the last good pass, it means that
// there is nothing to do. Its last word is that of lookMark alone. policy is
// the request's as text.
func inputDigest(q deploy.Request, policy string, at tenantrouter.Location, stamp string) string {
	owner := "{Fleet:" + q.Owner.Fleet + " Environment:" + q.Owner.Environment + " Tenant:" + q.Owner.Tenant + "}"
	sum := sha256.Sum256([]byte(strings.Join([]string{
		q.Desired.Digest, q.Desired.VerifyDigest, policy, owner, at.Name(), stamp, strconv.Itoa(apply.Format),
	}, "\x00")))
	return hex.EncodeToString(sum[:]) + " " + lookMark(q.Policy.Drift, at, stamp)
}

// inputAfter is the input digest for the database as a deployment has left it,
// so that the next pass need not look at it again. Where somebody else may have
// written meanwhile it is that of before, and the next pass looks.
func (r *Reconciler) inputAfter(
	ctx context.Context, conn database.Conn, q deploy.Request, policy string, at tenantrouter.Location, result deploy.Result, before string,
) string {
	var stamp string
	alone, err := result.Alone(context.WithoutCancel(ctx), conn, func() (err error) {
		stamp, err = r.Router.StampOfFile(at)
		return err
	})
	if err != nil || !alone {
		return before
	}
	return inputDigest(q, policy, at, stamp)
}

// suspended tells that a tenant is to be so: git says it, or somebody has said
// it since.
func (f *reading) suspended(t *bundle.Tenant) bool {
	if known, ok := f.records[t.ID]; ok && known.Awaits(state.PendingStatus) {
		return known.Spec.ProvisioningStatus == protocol.TenantSuspended
	}
	return t.Spec.ProvisioningStatus == protocol.TenantSuspended
}

// suspended marks a tenant to which nothing is deployed, as its file says, or
// what is recorded of it where git is yet to follow.
func (t Tenant) suspended(known state.Tenant) Tenant {
	t.Sync, t.Health = state.Synced, state.Suspended
	t.Result.Action, t.Result.Reason = Suspend, reason.Suspended
	t.Result.Message = "the tenant is suspended; its database is read-only and nothing is deployed to it"
	t.Result.Next = "set provisioningStatus: active to deploy to it again"
	if known.Awaits(state.PendingStatus) {
		t.Result.Next = fmt.Sprintf("run \"reconciler tenant resume %s --now\" to deploy to it again; its tenant.yaml does not say yet that it is suspended", t.ID)
	}
	return t
}

// failed marks the tenant with an error that came before its deployment.
func (t Tenant) failed(err error) Tenant {
	t.Result.Assessment = deploy.Fail(err)
	t.judge()
	return t
}

// judge says the result in the words of a status.
func (t *Tenant) judge() {
	t.Result.Assessment = t.Result.For(t.ID)
	t.Sync, t.Health = state.Synced, state.Healthy
	switch {
	case t.Result.Reason == reason.Interrupted:
		t.Sync, t.Health = state.Unknown, state.Progressing
	case t.Result.Reason == reason.VerifyFailed:
		if t.Health = state.Degraded; t.Result.RolledBack {
			t.Sync = state.OutOfSync
		}
	case t.Result.Reason == reason.Missing, t.Result.Reason == reason.JournalMissing:
		t.Sync, t.Health = state.Unknown, state.Missing
	case t.Result.Action == deploy.Blocked:
		t.Sync, t.Health = state.OutOfSync, state.Blocked
	case t.Result.Action == deploy.Backfill:
		t.Sync, t.Health = state.OutOfSync, state.Progressing
	case t.Result.Action == deploy.Failed:
		t.Sync, t.Health = state.Unknown, state.Degraded
	case t.Result.Drift && !t.Result.Changed:
		t.Sync = state.OutOfSync
	case !t.Result.Changed && t.Result.Action != deploy.None:
		t.Sync = state.OutOfSync // a plan that has not been run
	}
}

// invalidTenant is a tenant whose files are wrong.
type invalidTenant struct{ faults []bundle.Fault }

func (e *invalidTenant) errors() []bundle.Fault {
	return slices.DeleteFunc(slices.Clone(e.faults), func(f bundle.Fault) bool { return !f.IsError() })
}

func (e *invalidTenant) Error() string {
	switch wrong := e.errors(); len(wrong) {
	case 0:
		return "the tenant's files are wrong"
	case 1:
		only := wrong[0]
		only.Next = "" // it is the next step of the tenant
		return only.Error()
	default:
		return fmt.Sprintf("%v (and %d more)", wrong[0], len(wrong)-1)
	}
}

// Reason and Next make the error one that deploy.Fail understands.
func (e *invalidTenant) Reason() string { return reason.InvalidBundle }

// Next is that of a fault that stands alone: not all are cured by a commit.
func (e *invalidTenant) Next() string {
	if wrong := e.errors(); len(wrong) == 1 && wrong[0].Next != "" {
		return wrong[0].Next
	}
	return "correct the files and commit; `reconciler validate` shows every fault"
}
