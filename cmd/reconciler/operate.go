package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/metrics"
	"github.com/tenantops/reconciler/notify"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/server"
	"github.com/tenantops/reconciler/state"
)

// operations is all that looks on while the daemon works: the log, metrics,
// readiness, notifications. None of it holds up a pass.
type operations struct {
	log      *slog.Logger
	store    *state.Store
	metrics  *metrics.Metrics
	notifier *notify.Notifier
	watch    *notify.Watch
	passed   atomic.Bool // a pass has ended well
	ending   func() bool // the daemon is about to end
	wake     func()
	pulls    *pulls // nil when pull requests are not looked at

	fetched time.Time // when the pass under way began
	failure string    // of the last pass; empty for none
	away    bool      // the repository, at the last look
}

// operate sets the hooks of a loop that is to be made.
func (c *cli) operate(ctx context.Context, loop *reconcile.Config) (*operations, error) {
	targets, err := c.targets()
	if err != nil {
		return nil, err
	}
	known, err := knownOf(ctx, loop.Store)
	if err != nil {
		return nil, err
	}
	o := &operations{log: loop.Log, store: loop.Store, fetched: time.Now(), ending: func() bool { return ctx.Err() != nil }}
	o.metrics = metrics.New(metrics.Config{
		Tenants: tenantMetrics[c.settings.Server.Metrics.Tenants], Version: versionAnswerOf(debug.ReadBuildInfo()).Version,
	})
	o.metrics.Source(known.Source)
	o.metrics.Rollout(known.Rollout)
	o.notifier = notify.New(notify.Config{Targets: targets, Log: loop.Log, Count: o.metrics.Notification})
	o.watch = notify.NewWatch(o.notifier.Tell, known)
	loop.OnTenant, loop.OnPass, loop.OnFetch = o.tenant, o.pass, o.fetch
	return o, nil
}

var tenantMetrics = map[config.MetricsTenants]metrics.Tenants{
	config.MetricsProblems: metrics.Problems, config.MetricsAll: metrics.AllTenants,
}

func (o *operations) tenant(t reconcile.Tenant) {
	logTenant(o.log, t)
	o.metrics.Tenant(t)
}

// pass is told of each pass. A failure that lasts is logged once.
func (o *operations) pass(r reconcile.Report, err error) {
	if errors.Is(err, context.Canceled) {
		return // the daemon ends
	}
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if failure == "" || failure != o.failure {
		logPass(o.log, r, err)
	} else {
		o.log.Debug("pass failed again", attrErr, clean(failure))
	}
	o.failure = failure
	o.metrics.Pass(r, err, time.Since(o.fetched))
	o.watch.Pass(r, err)
	if err == nil {
		o.passed.Store(true)
	}
	rollout, _, err := o.store.LastRollout(context.Background())
	if err != nil {
		o.log.Warn("rollout not read", attrErr, err)
		return
	}
	o.metrics.Rollout(rollout)
	o.watch.Rollout(rollout)
	o.pulls.pass(r, rollout)
}

// knownOf reads what was known when the daemon ended last.
func knownOf(ctx context.Context, store *state.Store) (known notify.Known, err error) {
	if known.Observed, err = store.Observed(ctx); err != nil {
		return known, err
	}
	if known.Source, err = store.Source(ctx); err != nil {
		return known, err
	}
	if known.Pass, _, err = store.LastPass(ctx); err != nil {
		return known, err
	}
	known.Rollout, _, err = store.LastRollout(ctx)
	return known, err
}

// fetch is told of each look at the repository. That it has gone away, and that
// it is back, is logged once.
func (o *operations) fetch(s state.Source) {
	o.fetched = time.Now()
	away := !s.AwaySince.IsZero()
	switch {
	case away && !o.away:
		o.log.Warn("repository away", attrErr, clean(s.Error), attrRevision, s.Revision)
	case !away && o.away:
		o.log.Warn("repository back", attrRevision, s.Revision)
	}
	o.away = away
	o.metrics.Source(s)
	o.watch.Source(s)
}

// notifyTime is how long the daemon goes on delivering what it has told of.
const notifyTime = 5 * time.Second

func (o *operations) close() {
	ctx, cancel := context.WithTimeout(context.Background(), notifyTime)
	defer cancel()
	o.notifier.Close(ctx)
}

// serveOperations adds to the HTTP API what runs beside the daemon asks.
func (c *cli) serveOperations(api *server.Config) error {
	o, settings := c.operations, c.settings.Server
	if o == nil {
		return nil
	}
	api.Health = &server.Health{Ready: func() bool { return o.passed.Load() && !o.ending() }}
	if o.pulls != nil {
		api.Previews = o.pulls.reports
	}
	api.Metrics, api.OpenMetrics = o.metrics.Handler(), settings.Metrics.Access == config.MetricsOpen
	if settings.Webhook.Secret == "" {
		return nil
	}
	if _, err := c.secrets().Resolve(settings.Webhook.Secret); err != nil {
		return fmt.Errorf("server.webhook.secret: %w", err)
	}
	api.Webhook = &server.Webhook{
		Secrets: func() ([]string, error) { return webhookSecrets(settings.Webhook, c.secrets()) },
		Follows: func(pushed string) bool { return follows(c.settings.Ref, pushed) },
		Wake:    o.wake, Count: o.metrics.Webhook,
	}
	if o.pulls != nil {
		api.Webhook.Pulls = o.pulls.watcher.Wake
	}
	return nil
}

// webhookSecrets are those of the two that can be read; the file of the secret
// before may be gone.
func webhookSecrets(w config.Webhook, keeper secret.Keeper) ([]string, error) {
	var secrets []string
	var failed []error
	for _, reference := range []config.Secret{w.Secret, w.PreviousSecret} {
		value, err := keeper.Resolve(reference)
		if err != nil {
			failed = append(failed, err)
		} else if value != "" {
			secrets = append(secrets, value)
		}
	}
	if len(secrets) == 0 {
		return nil, errors.Join(failed...)
	}
	return secrets, nil
}

// follows tells whether a push to a full ref can concern a fleet that follows
// ref: it is the ref, or the tag of an app's version.
func follows(ref, pushed string) bool {
	if tag, ok := strings.CutPrefix(pushed, "refs/tags/"); ok {
		return tag == ref || pushed == ref || strings.Contains(tag, "/v")
	}
	if ref == "HEAD" {
		return strings.HasPrefix(pushed, "refs/heads/")
	}
	return pushed == ref || pushed == "refs/heads/"+ref
}

// endInTime ends the process when its work has not ended a while after ctx: a
// statement that runs cannot be stopped, and a daemon that is killed loses
// nothing. The function that it returns calls that off.
func (c *cli) endInTime(ctx context.Context) (stop func()) {
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		timer := time.NewTimer(c.settings.ShutdownTimeout.Duration())
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			c.logger().Error("daemon ended before its work", attrTimeout, string(c.settings.ShutdownTimeout))
			os.Exit(exitFailed)
		}
	})
	return func() {
		close(ended)
		watching.Wait()
	}
}
