package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Actions of a pass beside those of one deployment.
const (
	Suspend deploy.Action = "suspend"
	Remove  deploy.Action = "remove"
)

// syncTenant brings one tenant to the revision.
func (r *Reconciler) syncTenant(ctx context.Context, f fleet, t *bundle.Tenant) Tenant {
	return r.visit(ctx, f, t, func(conn database.Conn, q deploy.Request) deploy.Result {
		return r.deployer.Deploy(ctx, conn, q)
	}, r.Router.Open)
}

// planTenant says what syncTenant would do.
func (r *Reconciler) planTenant(ctx context.Context, f fleet, t *bundle.Tenant) Tenant {
	return r.visit(ctx, f, t, func(conn database.Conn, q deploy.Request) deploy.Result {
		return deploy.Result{Assessment: r.deployer.Assess(ctx, conn, q)}
	}, r.openToLook)
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
func (r *Reconciler) visit(ctx context.Context, f fleet, t *bundle.Tenant,
	work func(database.Conn, deploy.Request) deploy.Result, open opener,
) Tenant {
	done := Tenant{ID: t.ID, Plan: string(t.Spec.Plan), Faults: t.Faults}
	switch {
	case t.Desired == nil:
		return done.failed(&invalidTenant{faults: t.Faults})
	case t.Spec.ProvisioningStatus == protocol.TenantSuspended:
		done.Sync, done.Health = state.Synced, state.Suspended
		done.Result.Action = Suspend
		return done
	}
	observed, known := f.observed[t.ID]
	if hold, held := r.hold(t); held {
		return done.held(hold, observed, t.Desired.Digest)
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
	input := inputDigest(request, at, stamp)
	if known && observed.Sync == state.Synced && observed.InputDigest == input && observed.Reason != reasonHeld {
		done.Sync, done.Health = state.Synced, state.Healthy
		done.Result.Action = deploy.None
		done.unchanged = true
		return done
	}
	conn, err := open(ctx, at, !known || observed.BundleDigest == "")
	if err != nil {
		return done.failed(fmt.Errorf("open tenant %q: %w", t.ID, err))
	}
	done.Result = work(conn, request)
	done.input, done.bundle = input, t.Desired.Digest
	if err := conn.Close(); err != nil && done.Result.Err == nil {
		return done.failed(fmt.Errorf("close tenant %q: %w", t.ID, err))
	}
	done.judge()
	return done
}

func (r *Reconciler) request(f fleet, t *bundle.Tenant) deploy.Request {
	c := f.loaded.Config
	environment := string(c.Environment)
	if t.Spec.Environment != "" {
		environment = string(t.Spec.Environment)
	}
	return deploy.Request{
		Owner:          apply.Owner{Fleet: c.Fleet, Environment: environment, Tenant: string(t.ID)},
		Desired:        t.Desired,
		Policy:         policyOf(c, t.Spec.Policy),
		LastDeployment: f.observed[t.ID].Deployment,
		Revision:       f.commit.Hash, Author: f.commit.Author, Email: f.commit.Email, Subject: f.commit.Subject,
	}
}

// inputDigest stands for everything that a pass looks at before it opens a
// tenant's database: equal to the one after the last good pass, it means that
// there is nothing to do.
func inputDigest(q deploy.Request, at tenantrouter.Location, stamp string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%+v\x00%+v\x00%s\x00%s\x00%d",
		q.Desired.Digest, q.Policy, q.Owner, at.Path, stamp, apply.Format))
	return hex.EncodeToString(sum[:])
}

// failed marks the tenant with an error that came before its deployment.
func (t Tenant) failed(err error) Tenant {
	t.Result.Assessment = deploy.Fail(err)
	t.judge()
	return t
}

// judge says the result in the words of a status.
func (t *Tenant) judge() {
	t.Sync, t.Health = state.Synced, state.Healthy
	switch {
	case t.Result.Reason == "Missing":
		t.Sync, t.Health = state.Unknown, state.Missing
	case t.Result.Action == deploy.Blocked:
		t.Sync, t.Health = state.OutOfSync, state.Blocked
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

func (e *invalidTenant) Error() string {
	errors := 0
	first := ""
	for _, f := range e.faults {
		if f.Severity != bundle.SeverityError {
			continue
		}
		if errors++; first == "" {
			first = f.Error()
		}
	}
	if errors > 1 {
		return fmt.Sprintf("%s (and %d more)", first, errors-1)
	}
	return first
}

// Reason and Next make the error one that deploy.Fail understands.
func (e *invalidTenant) Reason() string { return "InvalidBundle" }

func (e *invalidTenant) Next() string {
	return "correct the files and commit; `reconciler validate` shows every fault"
}
