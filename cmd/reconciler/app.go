package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/applifecycle"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
)

func appCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "app",
		Short: "the apps of a tenant: list, check, install, upgrade, uninstall",
		Long: `Look at the apps of a tenant, and write what changes them as a patch.

Git decides which apps a tenant has: apps in its tenant.yaml. What install,
upgrade and uninstall print is a patch of that file for "git apply", in which
everything else stays as it is written. Nothing happens before it is committed,
by you or with --commit.`,
	}
	command.AddCommand(appListCommand(c), appCheckCommand(c), appInstallCommand(c), appUpgradeCommand(c), appUninstallCommand(c))
	return command
}

// appFlags adds what every command of an app takes.
func (c *cli) appFlags(command *cobra.Command, tenant *string) {
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "log-format")
	c.revisionFlag(command)
	command.Flags().StringVar(tenant, "tenant", "", "the `tenant`")
	if err := command.MarkFlagRequired("tenant"); err != nil {
		panic(err) // the flag is the one above
	}
}

// openApps opens the fleet to look at it, with databases where there is a data
// directory.
func (c *cli) openApps(ctx context.Context) (*workplace, error) {
	if c.settings.Data != "" {
		return c.openFleetToLook(ctx)
	}
	w := &workplace{}
	return w, w.open(ctx, c)
}

// committed is a tenant as a commit has it.
type committed struct {
	commit gitrepo.Commit
	tree   fs.FS
	tenant *bundle.Tenant
}

// file is the path of its tenant.yaml.
func (t committed) file() string { return path.Join(t.tenant.Dir, "tenant.yaml") }

// app returns the manifest of an app that the tenant has.
func (t committed) app(name string) (protocol.AppManifest, bool) { return appOf(t.tenant, name) }

func appOf(t *bundle.Tenant, name string) (protocol.AppManifest, bool) {
	if t.Desired != nil {
		for _, m := range t.Desired.Apps {
			if m.Name == name {
				return m, true
			}
		}
	}
	return protocol.AppManifest{}, false
}

// needing names the apps of a tenant that depend on one.
func needing(t *bundle.Tenant, name string) (names []string) {
	if t.Desired == nil {
		return nil
	}
	for _, m := range t.Desired.Apps {
		if slices.Contains(m.Dependencies, name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// readTenant reads a tenant from the newest commit.
func (c *cli) readTenant(ctx context.Context, w *workplace, id string) (t committed, err error) {
	if t, err = newest(ctx, w); err != nil {
		return t, err
	}
	return t.read(ctx, w, id)
}

// newest is the newest commit, and no tenant of it yet.
func newest(ctx context.Context, w *workplace) (t committed, err error) {
	if t.commit, err = w.config.Repo.Resolve(ctx, ""); err != nil {
		return t, err
	}
	t.tree, err = w.config.Repo.Tree(ctx, t.commit.Hash)
	return t, err
}

// read reads the tenant from the tree.
func (t committed) read(ctx context.Context, w *workplace, id string) (committed, error) {
	loaded, err := loadTree(ctx, w, t.tree, t.commit)
	if err == nil {
		t.tenant, err = tenantIn(loaded, id, t.commit)
	}
	return t, err
}

func loadTree(ctx context.Context, w *workplace, tree fs.FS, commit gitrepo.Commit) (*bundle.Fleet, error) {
	options := reconcile.BundleOptions(ctx, w.config.Repo)
	options.Revision = commit.Hash
	return bundle.Load(tree, options)
}

func tenantIn(loaded *bundle.Fleet, id string, commit gitrepo.Commit) (*bundle.Tenant, error) {
	at := slices.IndexFunc(loaded.Tenants, func(t *bundle.Tenant) bool { return string(t.ID) == id })
	if at < 0 {
		return nil, fmt.Errorf("tenant %q is not in commit %s", id, short(commit.Hash))
	}
	return loaded.Tenants[at], nil
}

// appIssue is something that stands against a change of apps.
type appIssue struct {
	Severity protocol.AppSeverity  `json:"severity"`
	Category *protocol.AppCategory `json:"category"` // null for what the protocol has no word for
	Code     string                `json:"code"`     // of a fault or the reason of a plan
	Message  string                `json:"message"`
	Next     string                `json:"next"`
}

// categories are those of the protocol, by the codes and reasons that mean the
// same here.
var categories = map[string]protocol.AppCategory{
	"kernel_version":  protocol.CategoryKernelVersion,
	"object_conflict": protocol.CategoryObjectConflict, "name_conflict": protocol.CategoryObjectConflict,
	"table_collision": protocol.CategoryObjectConflict, reason.AdoptionReview: protocol.CategoryObjectConflict,
	"table_taken_again": protocol.CategoryObjectConflict,
	"app_missing":       protocol.CategoryDependencyMissing, "app_cycle": protocol.CategoryDependencyMissing,
	"app_without_file": protocol.CategoryDependencyMissing, "version_missing": protocol.CategoryDependencyMissing,
	"version_mismatch": protocol.CategoryDependencyMissing, "version_moved": protocol.CategoryDependencyMissing,
	reason.QuotaExceeded: protocol.CategoryQuotaExceeded,
}

func appIssueOf(severity protocol.AppSeverity, code, message, next string) appIssue {
	issue := appIssue{Severity: severity, Code: code, Message: message, Next: next}
	if category, ok := categories[code]; ok {
		issue.Category = &category
	}
	return issue
}

// appChange is what a tenant would be with another tenant.yaml.
type appChange struct {
	committed
	before, after []byte
	next          *bundle.Tenant
	issues        []appIssue
}

// try edits the tenant.yaml of a tenant and looks at what that would come to:
// its files, and, where there is a data directory, its database.
func (c *cli) try(ctx context.Context, w *workplace, id string, edit func(file string, text []byte) ([]byte, error)) (ch appChange, err error) {
	t, err := newest(ctx, w)
	if err != nil {
		return ch, err
	}
	return c.tryOn(ctx, w, t, id, edit)
}

// tryOn is try on a tree.
func (c *cli) tryOn(ctx context.Context, w *workplace, t committed, id string,
	edit func(file string, text []byte) ([]byte, error),
) (ch appChange, err error) {
	if ch.committed, err = t.read(ctx, w, id); err != nil {
		return ch, err
	}
	if ch.before, err = fs.ReadFile(ch.tree, ch.file()); err != nil {
		return ch, fmt.Errorf("read %s: %w", ch.file(), err)
	}
	if ch.after, err = edit(ch.file(), ch.before); err != nil {
		return ch, err
	}
	grafted := applifecycle.Grafted{Base: ch.tree, Files: map[string][]byte{ch.file(): ch.after}}
	loaded, err := loadTree(ctx, w, grafted, ch.commit)
	if err != nil {
		return ch, err
	}
	if ch.next, err = tenantIn(loaded, id, ch.commit); err != nil {
		return ch, err
	}
	ch.issues = []appIssue{}
	for _, f := range ch.next.Faults {
		severity := protocol.AppWarning
		if f.IsError() {
			severity = protocol.AppError
		}
		ch.issues = append(ch.issues, appIssueOf(severity, f.Code, fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message), f.Next))
	}
	if ch.next.Desired == nil || c.settings.Data == "" {
		return ch, nil
	}
	done, err := reconcile.New(w.config).PlanTenant(ctx, ch.commit, loaded, ch.next.ID)
	if err != nil {
		return ch, err
	}
	if done.Problem() {
		ch.issues = append(ch.issues, appIssueOf(protocol.AppError, done.Result.Reason, done.Result.Message, done.Result.Next))
	}
	if done.Result.Plan != nil {
		for _, warning := range done.Result.Plan.Warnings {
			ch.issues = append(ch.issues, appIssueOf(protocol.AppWarning, warning.Code, warning.Message, ""))
		}
	}
	return ch, nil
}

// compatible tells that nothing stands against the change.
func (ch appChange) compatible() bool {
	return !slices.ContainsFunc(ch.issues, func(i appIssue) bool { return i.Severity == protocol.AppError })
}

// refused is an error with everything that stands against the change.
func (ch appChange) refused() error {
	var texts []string
	for _, i := range ch.issues {
		if i.Severity == protocol.AppError {
			texts = append(texts, i.line())
		}
	}
	return errors.New("no patch is written: " + strings.Join(texts, "; "))
}

func (i appIssue) line() string {
	text := i.Code + ": " + i.Message
	if i.Next != "" {
		text += " (" + i.Next + ")"
	}
	return text
}
