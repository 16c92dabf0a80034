package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

func runCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "run",
		Short: "the daemon: keep every tenant's database equal to git",
		Long: `Bring every tenant's database to the head of --ref, and do so again whenever it
moves: at each poll, and at once for a local repository, which is watched. While
it has nothing new, the databases are looked at for drift every --look. A
commit goes to its tenants in the waves of fleet.yaml, first of all to those that
it concerns; "reconciler rollout show" says how far it is. A tenant that fails is
tried again, ever more slowly, without holding up others. A remote that cannot be
reached is asked again at the next poll.

After a force push nothing is deployed until a person agrees: stop the daemon
and run "reconciler sync --accept-rewrite", or start it anew with
--accept-rewrite, which holds for the branch as it is found then. A later force
push is refused again, so leave the flag out of what starts the daemon by itself.

With --observe it writes to no tenant's database and makes none: it plans, looks
for drift, and "reconciler status" tells what it would do. What would write to one
is refused meanwhile.

"reconciler approve", "hold", "rollout" and others reach it through the socket
DIR/reconciler.sock, and what they change counts at once.

With forge in reconciler.yaml it previews pull requests, as a comment and a commit
status of each, and takes approvals there; docs/previews.md has that.

With --listen it serves an HTTP API, to requests that show the token of
server.token, and /webhook, /healthz, /readyz and /metrics beside it; docs/cli.md
has the routes, docs/operating.md the rest.

The first SIGINT or SIGTERM lets the statements that run finish, for as long as
--shutdown-timeout, the second one ends the process at once; both are safe at any
moment.`,
		Example: `  reconciler run --repo /srv/git/company.git --data /var/lib/reconciler
  reconciler run --repo https://git.example/company.git --data ./data --poll 30s
  reconciler run --repo /srv/git/company.git --data /var/lib/reconciler --accept-rewrite`,
		Args: cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error { return c.run(ctx) }),
	}
	setting(command, "repo", "ref", "data", "poll", "look", "secrets-dir", "file-root", "actor", "listen", "shutdown-timeout", "log-format")
	command.Flags().BoolVar(&c.observe, "observe", false, "write to no tenant's database: plan, look for drift and report")
	c.acceptFlag(command, "begin on a branch that has left the commit deployed last behind, as after a force push")
	return command
}

func (c *cli) run(ctx context.Context) (err error) {
	defer c.endInTime(ctx)()
	c.patient = true // it may be started before the network is
	w, err := c.openFleet(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	log := w.config.Log
	w.config.By = deploy.Doer{Actor: cmp.Or(c.settings.Actor, "reconciler"), Via: viaDaemon}
	w.config.AcceptRewrite, w.config.Observe = c.acceptRewrite, c.observe
	if c.operations, err = c.operate(ctx, &w.config); err != nil {
		return err
	}
	defer c.operations.close()
	var gateway atomic.Pointer[tenantrouter.Gateway] // of the API, if that is served
	w.config.OnChange = func(tenant protocol.TenantID) {
		if g := gateway.Load(); g != nil {
			g.InvalidateCache(tenant)
		}
	}
	loop := reconcile.New(w.config)
	c.operations.wake = loop.Wake
	if err := loop.Life().Sweep(ctx); err != nil { // the server may be away; the next start finds them too
		log.Warn("copies on the server not removed", attrErr, err)
	}
	stopCommitting := c.commitPending(ctx, loop, w)
	defer stopCommitting()
	control := &control{
		store: w.config.Store, now: time.Now, snapshots: c.snapshots(), notice: loop.Notice, policy: loop.SnapshotPolicy, life: loop.Life(),
		observe: c.observe, secrets: c.secrets(), placements: w.config.Router.Placements(), router: w.config.Router,
	}
	commands, err := serve(c.settings.Data, control, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, commands.close()) }()
	stopWatching, err := c.watchPulls(ctx, w.config, loop, control)
	if err != nil {
		return err
	}
	defer stopWatching()
	parts := apiParts{store: w.config.Store, files: w.config.Router, opened: gateway.Store, log: log}
	if !c.observe { // signing up makes a database
		parts.signUps = loop.Life().As(deploy.Doer{Actor: "api", Via: viaAPI})
	}
	api, err := c.serveAPI(parts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.close()) }()
	log.Info("daemon started", attrRepo, w.config.Repo.String(), attrData, c.settings.Data, attrPoll, string(c.settings.Poll))
	err = loop.Run(ctx)
	log.Info("daemon stopped")
	return err
}

// commitPending brings to git, until the function that it returns is called,
// what was done to tenants past it.
func (c *cli) commitPending(ctx context.Context, loop *reconcile.Reconciler, w *workplace) (stop func()) {
	committer := provision.NewCommitter(loop.Life(), w.config.Repo, func(ctx context.Context) { _ = loop.Notice(ctx) }) // the next poll finds it too
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		committer.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// logTenant says what a pass did to one tenant, when it did something or
// could not.
func logTenant(log *slog.Logger, t reconcile.Tenant) {
	attrs := []any{slog.String(attrTenant, string(t.ID))}
	if t.Result.Plan != nil {
		attrs = append(attrs, slog.String(attrPlan, short(t.Result.Plan.Digest)))
	}
	if t.Result.DeploymentID != "" {
		attrs = append(attrs, slog.String(attrDeployment, t.Result.DeploymentID))
	}
	switch {
	case t.Result.Action == reconcile.Held:
		log.Debug("tenant held", append(attrs, slog.String(attrReason, t.Result.Message))...)
	case t.Waiting(), t.Health == state.Suspended, t.Result.Action == reconcile.Waits:
		log.Debug("tenant waits", append(attrs, slog.String(attrStatus, word(t.Sync, t.Health)), slog.String(attrReason, t.Result.Reason))...)
	case t.Result.Reason != "":
		level := slog.LevelWarn
		if t.Problem() {
			level = slog.LevelError
		}
		attrs = append(attrs, slog.String(attrStatus, word(t.Sync, t.Health)), slog.String(attrReason, t.Result.Reason),
			slog.String(attrErr, t.Result.Message), slog.String(attrNext, t.Result.Next))
		log.Log(context.Background(), level, "tenant not synced", attrs...)
	case t.Result.Changed:
		log.Info("plan applied", append(attrs, slog.Int(attrSteps, t.Result.Statements), elapsedAttr(t.Result.Duration))...)
	default:
		log.Debug("tenant looked at", attrs...)
	}
}

// logPass says how a pass ended. One that changed nothing, and in which nothing
// failed anew, is for debugging.
func logPass(log *slog.Logger, r reconcile.Report, err error) {
	if err != nil {
		log.Error("pass failed", attrErr, clean(err.Error()))
		return
	}
	changed, failed, tried := 0, 0, 0
	for _, t := range r.Tenants {
		if t.Problem() && !t.Waiting() {
			tried++
		}
		if t.Result.Changed {
			changed++
		}
		if t.Problem() {
			failed++
		}
	}
	level := slog.LevelDebug
	if changed > 0 || tried > 0 {
		level = slog.LevelInfo
	}
	log.Log(context.Background(), level, "pass completed", attrRevision, r.Revision.Hash, attrStatus, string(r.Status),
		attrTenants, len(r.Tenants), attrChanged, changed, attrFailed, failed)
}

func elapsedAttr(d time.Duration) slog.Attr {
	return slog.Float64(attrElapsed, milliseconds(d))
}
