package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/preview"
	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/preview/pull"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// pulls is the watcher of pull requests, and what the passes tell it.
type pulls struct {
	watcher *pull.Watcher
	reports *reports
	seed    maphash.Seed
	seen    uint64 // of the fleet after the last pass
	rollout int    // version of the rollout at that time
}

// pass is told of each pass. Previews are made anew once the fleet is another
// one and no rollout is under way, which would have them made after each of its
// tenants.
func (p *pulls) pass(r reconcile.Report, rollout state.Rollout) {
	if p == nil {
		return
	}
	seen := p.fleet(r)
	open := rollout.ID > 0 && rollout.Open()
	switch {
	case seen != p.seen && !open:
		p.seen = seen
		p.watcher.Changed()
	case rollout.Version != p.rollout || seen != p.seen:
		p.watcher.Wake()
	}
	p.rollout = rollout.Version
}

// fleet is a digest of what a preview depends on.
func (p *pulls) fleet(r reconcile.Report) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	for _, text := range append([]string{r.Revision.Hash}, fleetWords(r)...) {
		_, _ = h.WriteString(text) // it gives no error
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

func fleetWords(r reconcile.Report) []string {
	words := make([]string, 0, 4*len(r.Tenants))
	for _, t := range r.Tenants {
		words = append(words, string(t.ID), string(t.Sync), string(t.Health), t.Result.DeploymentID)
	}
	return words
}

// watchPulls carries the pull requests of the forge, if the settings name one,
// until the function that it returns is called.
func (c *cli) watchPulls(ctx context.Context, loop reconcile.Config, r *reconcile.Reconciler, k *control) (stop func(), err error) {
	if c.settings.Forge.Kind == "" {
		return func() {}, nil
	}
	access, err := c.forgeConfig()
	if err != nil {
		return nil, fmt.Errorf("forge: %w", err)
	}
	counts := c.operations.metrics
	access.Told = func(o forge.Outcome, remaining int) { counts.Forge(string(o), remaining) }
	client, err := forge.Open(access)
	if err != nil {
		return nil, err
	}
	if err := preview.Sweep(c.settings.Data); err != nil { // the next rehearsal tries again
		loop.Log.Warn("copies of previews not removed", attrErr, err)
	}
	previews := previews{
		loop: previewing(loop), refs: access.Refs(), rules: r.Approval, copies: c.settings.Forge.Rehearse,
		link: strings.TrimRight(c.settings.Forge.Link, "/"), cache: bundle.NewCache(), reports: &reports{},
	}
	watcher := pull.New(pull.Config{
		Forge: client, Refs: access.Refs(), Project: c.settings.Forge.Project,
		Branch: strings.TrimPrefix(c.settings.Ref, "refs/heads/"), Environment: c.settings.Forge.Environment,
		Repo: loop.Repo, Store: loop.Store, Preview: previews.make, Poll: c.settings.Forge.Poll.Duration(), Log: loop.Log,
		Made: counts.Preview, Ended: previews.reports.drop,
		Approve: func(ctx context.Context, a pull.Approval) error {
			_, err := k.approveVia(ctx, approveRequest{Plan: a.Plan, Actor: a.Actor, Reason: a.URL}, viaPull)
			return err
		},
	})
	c.operations.pulls = &pulls{watcher: watcher, reports: previews.reports, seed: maphash.MakeSeed()}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		if err := watcher.Run(ctx); err != nil {
			loop.Log.Error("pull requests not watched", attrErr, clean(err.Error()))
		}
	})
	return func() {
		cancel()
		work.Wait()
	}, nil
}

// forgeConfig is how the forge is reached. Secrets are read at each request,
// and once now, to find a mistake at the start.
func (c *cli) forgeConfig() (forge.Config, error) {
	f := c.settings.Forge
	secret := func(s config.Secret) func() (string, error) {
		return func() (string, error) { return c.secrets().Resolve(s) }
	}
	access := forge.Config{Kind: string(f.Kind), URL: f.Address(), Project: f.Project, Token: secret(f.Token)}
	read := access.Token
	if f.App.ID != nil {
		read = secret(f.App.Key)
		access.Token, access.App = nil, &forge.App{ID: int64(*f.App.ID), Installation: int64(*f.App.Installation), Key: read}
	}
	_, err := read()
	return access, err
}

// previewing is the way to the fleet for previews beside the loop: plans are
// stored, so that they can be approved, and nothing else is written.
func previewing(loop reconcile.Config) reconcile.Config {
	loop.OnRead, loop.OnTenant, loop.OnChange, loop.OnPass, loop.OnFetch = nil, nil, nil, nil, nil
	return loop
}

// previews makes the previews of pull requests.
type previews struct {
	loop    reconcile.Config
	refs    string
	rules   func() config.Approval // until the base could be read
	copies  int                    // that each plan is tried on
	link    string                 // address of the HTTP API for people; empty for none
	cache   *bundle.Cache
	reports *reports
}

func (p previews) make(ctx context.Context, r pull.Request) (*pull.Result, error) {
	if err := p.bring(ctx, r); err != nil {
		return nil, err
	}
	report, err := preview.Run(ctx, preview.Request{
		Base: r.Base, Head: r.Head, Reconcile: p.loop, Cache: p.cache, Rehearse: preview.Rehearse{Copies: p.copies},
	})
	if err != nil {
		return nil, err
	}
	if err := p.reports.keep(r.Number, report); err != nil {
		return nil, err
	}
	rules := p.rules()
	if report.Approval != nil {
		rules = *report.Approval
	}
	result := &pull.Result{
		State: forge.Failure, Summary: report.Summary(), ByReview: rules.ByReview, NotByAuthor: rules.NotByAuthor,
		Markdown: func(mark string, limit int) string {
			return report.Markdown(preview.MarkdownOptions{Marker: mark, Limit: limit, Approve: "/reconciler approve", Link: p.address(r.Number)})
		},
	}
	if report.Verdict == preview.Success {
		result.State = forge.Success
	}
	for _, group := range report.Plans {
		if group.NeedsApproval && group.Digest != "" {
			result.Plans = append(result.Plans, string(group.Digest))
		}
	}
	return result, nil
}

// address is where the HTTP API has the report of a pull request.
func (p previews) address(number int) string {
	if p.link == "" {
		return ""
	}
	return fmt.Sprintf("%s/api/v1/previews/%d", p.link, number)
}

// bring fetches the head of a pull request. Its ref may have moved on, and then
// brings the commit all the same; a forge may also give a commit by its hash.
func (p previews) bring(ctx context.Context, r pull.Request) error {
	ref := strings.Replace(p.refs, "*", strconv.Itoa(r.Number), 1)
	if c, err := p.loop.Repo.Resolve(ctx, ref); err == nil && c.Hash == r.Head {
		return nil
	}
	_, err := p.loop.Repo.Resolve(ctx, r.Head)
	return err
}
