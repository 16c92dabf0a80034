package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// lookMark stands for a look at a database at the state that its stamp tells:
// where a row in state is in sync and has the mark, there is no drift. A look
// that was not for drift leaves no mark that another could find.
func lookMark(drift string, at tenantrouter.Location, stamp string) string {
	if drift == string(config.DriftIgnore) {
		return "unseen"
	}
	sum := sha256.Sum256([]byte(at.Name() + "\x00" + stamp))
	return hex.EncodeToString(sum[:12])
}

// Drifted is how one tenant's database differs from what was deployed to it.
type Drifted struct {
	ID          protocol.TenantID
	Differences []deploy.Difference // empty for none
	Waiting     bool                // a newer bundle than the one compared with is asked for
	Err         error               // why it could not be looked at
	Unchanged   bool                // the file alone told: nobody has touched it since a look that found none
}

// Drift compares tenants with what was deployed to them last, by id; all that
// were ever deployed to when none is named. It writes nothing, and needs neither
// the repository nor its head: with one, a tenant's bundle in git stands in for
// what state has lost, and tells whether something newer waits.
//
// A database that nobody has touched since a pass found it in order is not
// opened.
func (r *Reconciler) Drift(ctx context.Context, tenants []protocol.TenantID) ([]Drifted, error) {
	c, err := r.comparison(ctx)
	if err != nil {
		return nil, err
	}
	if len(tenants) == 0 {
		tenants = slices.Sorted(c.seen.Tenants())
	}
	for _, id := range tenants {
		if _, known := c.seen.Of(id); !known {
			return nil, fmt.Errorf("%w: %q", ErrUnseenTenant, id)
		}
	}
	found := make([]Drifted, len(tenants))
	var next atomic.Int64
	var group errgroup.Group
	for range r.workers(config.Rollout{MaxConcurrent: 8}) { // each takes the next one: most take microseconds
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(tenants)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				found[i] = r.driftOf(ctx, c, tenants[i])
			}
			return nil
		})
	}
	_ = group.Wait() // no worker returns an error
	return slices.DeleteFunc(found, func(d Drifted) bool { return errors.Is(d.Err, deploy.ErrNeverDeployed) }), ctx.Err()
}

// ErrUnseenTenant says that state does not know a tenant.
var ErrUnseenTenant = errors.New("no pass has come to the tenant")

// comparison is what databases are compared with.
type comparison struct {
	reading     // of nothing where there is no repository
	seen        state.Seen
	connections map[protocol.TenantID]*protocol.TenantConnectionConfig // as git said last
}

func (r *Reconciler) comparison(ctx context.Context) (c comparison, err error) {
	c.loaded = &bundle.Fleet{}
	if r.Repo != nil {
		if read, err := r.revision(ctx, Selection{}); err == nil {
			c.reading = read
		} else { // what was deployed is known without it
			r.Log.Warn("repository not read", logErr, err)
		}
	}
	if c.seen, err = r.Store.Seen(ctx); err == nil {
		c.connections, err = r.Store.Connections(ctx)
	}
	return c, err
}

func (r *Reconciler) driftOf(ctx context.Context, c comparison, id protocol.TenantID) Drifted {
	row, _ := c.seen.Of(id)
	d := Drifted{ID: id, Waiting: row.DesiredDigest != "" && row.DesiredDigest != row.BundleDigest}
	var desired *bundle.Desired
	if t := c.tenant(id); t != nil && t.Desired != nil {
		desired = t.Desired
		d.Waiting = desired.Digest != row.BundleDigest
	}
	at, err := r.Router.Locate(id, c.connections[id])
	if err != nil {
		d.Err = err
		return d
	}
	stamp, err := r.Router.Stamp(at)
	if err == nil && stamp == "" && row.BundleDigest == "" {
		err = deploy.ErrNeverDeployed
	}
	if err != nil {
		d.Err = err
		return d
	}
	if at.Remote == "" && row.Sync == state.Synced && strings.HasSuffix(row.InputDigest, " "+lookMark("", at, stamp)) {
		d.Unchanged = true
		return d
	}
	conn, err := r.Router.OpenReadOnly(ctx, at)
	if err != nil {
		d.Err = fmt.Errorf("open tenant %q: %w", id, err)
		return d
	}
	d.Differences, err = r.deployer.Drift(ctx, conn, id, desired)
	if errors.Is(err, deploy.ErrNeverDeployed) && row.BundleDigest != "" {
		err = deploy.ErrNoJournal
	}
	d.Err = errors.Join(err, conn.Close())
	return d
}

// keep looks whether a tenant that a hold keeps as it is still is what was
// deployed to it last, and puts right what is not where drift is healed: that
// is all that work is asked to do. A tenant that cannot be looked at is held
// all the same, and is looked at again in the next pass.
func (r *Reconciler) keep(ctx context.Context, f reading, t *bundle.Tenant, done Tenant,
	work func(database.Conn, deploy.Request) deploy.Result, open opener,
) Tenant {
	observed, request := f.before(t.ID), r.request(f, t)
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil || observed.BundleDigest == "" || request.Policy.Drift == string(config.DriftIgnore) {
		return done
	}
	stamp, err := r.Router.Stamp(at)
	if err != nil || stamp == "" {
		return done
	}
	input := "held " + observed.BundleDigest + " " + request.Policy.Drift + " " + lookMark(request.Policy.Drift, at, stamp)
	if observed.InputDigest == input && observed.Reason == reason.Held && strings.HasPrefix(observed.Message, done.Result.Message) {
		if observed.Message != done.Result.Message {
			done.Result.Message, done.Sync = observed.Message, state.OutOfSync
		}
		done.unchanged = observed.Sync == done.Sync && observed.Health == done.Health
		return done
	}
	conn, err := open(ctx, at, false)
	if err != nil {
		r.Log.Warn("held tenant not looked at", logTenant, string(t.ID), logErr, err)
		return done
	}
	defer conn.Close()
	if request, err = r.deployer.Kept(ctx, conn, request); err != nil {
		r.Log.Warn("held tenant not looked at", logTenant, string(t.ID), logErr, err)
		return done
	}
	done.input = input
	return done.keptAs(work(conn, request))
}

// keptAs adds to a tenant that is held what came of keeping it as it was.
func (t Tenant) keptAs(result deploy.Result) Tenant {
	held := t.Result
	t.Result, t.unchanged = result, false
	t.Result.Action, t.Result.Reason, t.Result.Message, t.Result.Next = Held, held.Reason, held.Message, held.Next
	switch {
	case result.Err != nil:
		t.Sync = state.OutOfSync
		t.Result.Message += "; " + result.Message
	case result.Drift && !result.Changed:
		t.Sync = state.OutOfSync
		t.Result.Message += "; it has drifted: " + deploy.Words(result.Differences)
	}
	return t
}

// kept is the row of a tenant that is held.
func (t Tenant) kept(row state.Observed) state.Observed {
	if t.input != "" {
		row.InputDigest = t.input
	}
	if t.Result.Changed {
		row.Deployment, row.Fingerprint = t.Result.DeploymentID, t.Result.Fingerprint
		row.SchemaDigest, row.AppliedDigest = t.Result.Plan.ToSchema, t.Result.Plan.Applied
	}
	return row
}
