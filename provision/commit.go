package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Branch is where commits go. gitrepo.Repo is one.
type Branch interface {
	Commit(ctx context.Context, change func(*gitrepo.Tree) (gitrepo.Change, error)) (gitrepo.Commit, error)
}

// Committer brings to git what a Service has done and git does not say yet. It
// reads that from state each time, so that nothing is lost with the process.
type Committer struct {
	Service *Service
	Branch  Branch
	// Committed is told of each commit. May be nil.
	Committed func(context.Context)
	wake      chan struct{}
	told      map[protocol.TenantID]string // what kept a tenant from being committed, and under no id all of them
}

// NewCommitter returns a Committer, which the service wakes from now on.
func NewCommitter(s *Service, branch Branch, committed func(context.Context)) *Committer {
	c := &Committer{Service: s, Branch: branch, Committed: committed, wake: make(chan struct{}, 1)}
	s.OnPending = func() {
		select {
		case c.wake <- struct{}{}:
		default: // it is awake
		}
	}
	return c
}

// batch is how long what is pending is gathered for one commit: a burst of
// sign-ups is a few commits, and one of its own waits no longer than a person
// does.
const batch = 250 * time.Millisecond

// The wait after a commit that failed, doubled each time up to the last.
const firstWait, lastWait = time.Second, time.Minute

// Run commits what is pending until ctx ends: at once, and whenever there is
// something new. While the git host cannot be reached it tries again.
func (c *Committer) Run(ctx context.Context) {
	for wait := firstWait; ; {
		_, err := c.CommitPending(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait = firstWait
			delete(c.told, "")
			select {
			case <-c.wake:
			case <-ctx.Done():
				return
			}
			sleep(ctx, batch)
			continue
		}
		c.Service.Log.Log(ctx, c.news("", err), "pending tenants not committed", logErr, err)
		sleep(ctx, wait)
		wait = min(lastWait, 2*wait)
	}
}

// news is how loud to say what keeps a tenant, or all of them, from being
// committed: it is a warning once while it lasts, which is until somebody does
// something about it.
func (c *Committer) news(tenant protocol.TenantID, err error) slog.Level {
	if c.told[tenant] == err.Error() {
		return slog.LevelDebug
	}
	if c.told == nil {
		c.told = map[protocol.TenantID]string{}
	}
	c.told[tenant] = err.Error()
	return slog.LevelWarn
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// CommitPending commits what is pending, in one commit, and returns which
// tenants it is about. What only a person can change is told to the log, and
// stays pending.
func (c *Committer) CommitPending(ctx context.Context) ([]protocol.TenantID, error) {
	edits, err := c.Service.edits(ctx)
	if err != nil || len(edits) == 0 {
		return nil, err
	}
	fleet, err := c.Service.Fleet.Config(ctx)
	if err != nil {
		return nil, err
	}
	var about []protocol.TenantID
	made, err := c.Branch.Commit(ctx, func(tree *gitrepo.Tree) (gitrepo.Change, error) {
		about = nil
		change := gitrepo.Change{
			Files: map[string][]byte{}, When: c.Service.Now(), Author: "reconciler", Email: "reconciler@" + fleet.Fleet + ".invalid",
		}
		for _, e := range edits {
			files, err := e.Files(tree, fleet)
			if errors.Is(err, ErrInGit) || errors.Is(err, ErrNotInGit) {
				continue // git says it already, and the loop will see that
			}
			if err != nil {
				c.Service.Log.Log(ctx, c.news(e.Tenant, err), "tenant not committed", logTenant, string(e.Tenant), logErr, err)
				continue
			}
			delete(c.told, e.Tenant)
			if len(files) > 0 {
				maps.Copy(change.Files, files)
				about = append(about, e.Tenant)
			}
		}
		change.Message = message(about)
		return change, nil
	})
	if err != nil || len(about) == 0 {
		return nil, err
	}
	event := state.Event{
		At: c.Service.Now(), Actor: c.Service.By.Actor, Via: c.Service.By.Via, Kind: state.EventCommitted, Revision: made.Hash,
		Author: "reconciler", Detail: made.Subject,
	}
	c.Service.Log.Info("tenants committed", logRevision, made.Hash, logTenants, len(about))
	err = c.Service.Store.AddEvent(context.WithoutCancel(ctx), event)
	if c.Committed != nil {
		c.Committed(ctx)
	}
	return about, err
}

// Names of what the log has.
const (
	logTenant   = "tenant"
	logTenants  = "tenants"
	logRevision = "revision"
	logStatus   = "status"
	logReason   = "reason"
	logErr      = "err"
)

// message names the tenants of a commit, all of them below its subject.
func message(about []protocol.TenantID) string {
	if len(about) == 1 {
		return fmt.Sprintf("tenants: %s\n", about[0])
	}
	names := make([]string, len(about))
	for i, id := range about {
		names[i] = string(id)
	}
	return fmt.Sprintf("tenants: %d changed\n\n%s\n", len(about), strings.Join(names, "\n"))
}

// edits are what git is to say of the tenants that are pending, by tenant.
func (s *Service) edits(ctx context.Context) ([]Edit, error) {
	unsettled, err := s.Store.UnsettledTenants(ctx)
	if err != nil {
		return nil, err
	}
	var edits []Edit
	for _, t := range unsettled {
		e := Edit{Tenant: t.ID}
		switch {
		case t.PendingCommit() && t.RemovedAt.IsZero():
			spec := t.Spec
			e.New = &spec
		case t.Awaits(state.PendingRemoval):
			e.Remove = true
		case t.Pending != "":
			if t.Awaits(state.PendingStatus) {
				e.Status = t.Spec.ProvisioningStatus
			}
			if t.Awaits(state.PendingPlan) {
				e.Plan = t.Spec.Plan
			}
		default:
			continue
		}
		edits = append(edits, e)
	}
	slices.SortFunc(edits, func(a, b Edit) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	return edits, nil
}
