package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
)

// appEdit is a change of a tenant's apps, which git decides: printed as a
// patch, or committed.
type appEdit struct {
	verb, app string
	tenant    string
	commit    bool
	edit      func(file string, text []byte) ([]byte, error) // of tenant.yaml
	refuse    func(appChange) error                          // what is not such a change
}

// flags adds the flags of an edit to a command.
func (e *appEdit) flags(c *cli, command *cobra.Command) {
	c.appFlags(command, &e.tenant)
	setting(command, "actor")
	command.Flags().BoolVar(&e.commit, "commit", false, "commit to the branch and push, in place of printing a patch")
}

// run makes the change, unless something stands against it.
func (e *appEdit) run(ctx context.Context, c *cli) error {
	w, err := c.openApps(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	if e.commit {
		return e.commitTo(ctx, c, w)
	}
	ch, err := c.try(ctx, w, e.tenant, e.edit)
	if err == nil {
		err = e.check(ch)
	}
	if err != nil {
		return err
	}
	return e.print(c, ch)
}

func (e *appEdit) check(ch appChange) error {
	if err := e.refuse(ch); err != nil {
		return err
	}
	if !ch.compatible() {
		return ch.refused()
	}
	return nil
}

// patchAnswer is a change to tenant.yaml that nobody has committed yet.
type patchAnswer struct {
	Tenant  protocol.TenantID `json:"tenant"`
	App     string            `json:"app"`
	Version *string           `json:"version"` // that the tenant would have; null for none
	Path    string            `json:"path"`
	Patch   string            `json:"patch"` // a unified diff, empty when there is nothing to change
	Issues  []appIssue        `json:"issues"`
}

// print prints a change as a patch, warnings on stderr.
func (e *appEdit) print(c *cli, ch appChange) error {
	answer := patchAnswer{Tenant: ch.tenant.ID, App: e.app, Path: ch.file(), Issues: ch.issues}
	if m, ok := appOf(ch.next, e.app); ok {
		answer.Version = &m.Version
	}
	var err error
	if answer.Patch, err = patch(ch.tree, ch.files()); err != nil {
		return err
	}
	if c.output != asTable {
		return c.print(answer, nil)
	}
	for _, i := range ch.issues {
		fmt.Fprintf(c.stderr, "warning %s\n", clean(i.line()))
	}
	if answer.Patch == "" {
		fmt.Fprintf(c.stderr, "nothing to change in %s\n", clean(ch.file()))
	}
	_, err = fmt.Fprint(c.stdout, answer.Patch)
	return err
}

// files are what the change writes, none when the file says so already.
func (ch appChange) files() map[string][]byte {
	if bytes.Equal(ch.before, ch.after) {
		return nil
	}
	return map[string][]byte{ch.file(): ch.after}
}

// commitTo commits the change to the followed branch, made anew when that
// moves meanwhile, and says which commit that is.
func (e *appEdit) commitTo(ctx context.Context, c *cli, w *workplace) error {
	changed := false
	made, err := w.config.Repo.Commit(ctx, func(tree *gitrepo.Tree) (gitrepo.Change, error) {
		ch, err := c.tryOn(ctx, w, committed{tree: tree}, e.tenant, e.edit)
		if err == nil {
			err = e.check(ch)
		}
		changed = err == nil && len(ch.files()) > 0
		return gitrepo.Change{
			Files: ch.files(), When: time.Now(), Author: c.actor(), Email: c.actor() + "@reconciler.invalid",
			Message: fmt.Sprintf("tenants: %s %s for %s\n", e.verb, e.app, e.tenant),
		}, err
	})
	if errors.Is(err, gitrepo.ErrCheckedOut) {
		return fmt.Errorf("%w; without --commit this command prints a patch for \"git apply\"", err)
	}
	if err != nil {
		return err
	}
	answer := appCommitAnswer{Tenant: protocol.TenantID(e.tenant), Revision: made.Hash, Changed: changed}
	return c.print(answer, answer.people)
}

// appCommitAnswer is a commit that was made, or was not needed.
type appCommitAnswer struct {
	Tenant   protocol.TenantID `json:"tenant"`
	Revision string            `json:"revision"`
	Changed  bool              `json:"changed"`
}

func (a appCommitAnswer) people(p *page) {
	if !a.Changed {
		p.line("git says so already")
		return
	}
	p.line("tenant %s committed as %s", a.Tenant, short(a.Revision))
}
