package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func restoreCommand(c *cli) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "restore TENANT SNAPSHOT",
		Short: "make a tenant's database what it was in a snapshot",
		Long: `Give a tenant's database the content of a snapshot, in one transaction. Every row
that was written since the snapshot goes, so the database as it is becomes a
snapshot first: restoring that one takes the restore back. Applications may have
the database open.

It says what would happen and asks before it does it; --yes is for scripts. Stop
the daemon first: it would deploy to the tenant at the same time.

The database is where git says, with --repo, else where it was deployed to last.`,
		Example: `  reconciler snapshots --data ./data acme
  reconciler restore --data ./data acme 0197c2f1
  reconciler restore --data ./data --repo ./company acme 0197c2f1 --yes`,
		Args: cobra.ExactArgs(2),
		RunE: c.start(func(ctx context.Context, args []string) (err error) {
			held, err := c.claimExisting()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, held.release()) }()
			return c.restore(ctx, protocol.TenantID(args[0]), args[1], yes)
		}),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "actor")
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return command
}

func (c *cli) restore(ctx context.Context, tenant protocol.TenantID, id string, yes bool) (err error) {
	snapshot, err := c.snapshots().Find(tenant, id)
	if err != nil {
		return err
	}
	store, err := state.Open(ctx, c.statePath(), state.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	path, err := c.databaseOf(ctx, store, tenant, snapshot)
	if err != nil {
		return err
	}
	deployer := deploy.New(deploy.Config{
		Store: store, Snapshots: c.snapshots(), By: deploy.Doer{Actor: c.actor(), Via: viaCLI},
	})
	request := deploy.RestoreRequest{Snapshot: snapshot, Path: path, Author: c.actor()}
	if !yes {
		found, err := deployer.AssessRestore(ctx, request)
		if err != nil {
			return err
		}
		if err := c.confirm(ctx, restoreAnswerOf(snapshot, found)); err != nil {
			return err
		}
	}
	done, err := deployer.Restore(ctx, request)
	if err != nil {
		return err
	}
	answer := restoreAnswerOf(snapshot, done)
	return c.print(answer, answer.people)
}

// databaseOf returns where a tenant's database is, or was: where git says, when a
// repository is given and has the tenant, else where state has it. Of a tenant that
// neither knows it is the file in the data directory, when there is one.
func (c *cli) databaseOf(ctx context.Context, store *state.Store, tenant protocol.TenantID, snapshot deploy.Snapshot) (string, error) {
	fleet := c.fleetIfReadable(ctx)
	connections, router, err := c.connections(ctx, store, fleet)
	if err != nil {
		return "", err
	}
	_, unrecorded := store.Tenant(ctx, tenant)
	if unrecorded != nil && !errors.Is(unrecorded, state.ErrNotFound) {
		return "", unrecorded
	}
	inFleet := fleet != nil && slices.ContainsFunc(fleet.Tenants, func(t *bundle.Tenant) bool { return t.ID == tenant })
	at, err := router.Locate(tenant, connections[tenant])
	if err != nil {
		return "", err
	}
	if at.Path == "" {
		return "", fmt.Errorf("the database of tenant %q is on a server, where no file can take its place: "+
			"read the rows from %s, which is a SQLite file, or go back to a backup of the server's", tenant, snapshot.Path)
	}
	if _, err := os.Stat(at.Path); err != nil && !inFleet && unrecorded != nil {
		return "", fmt.Errorf("%w: tenant %q has none in %s, and state does not know it; give --repo, which says where it belongs",
			database.ErrMissing, tenant, filepath.Dir(at.Path))
	}
	return at.Path, nil
}

// errDeclined says that somebody was asked and did not agree.
var errDeclined = errors.New("nothing was changed")

// confirm says what would happen and asks a person whether it shall.
func (c *cli) confirm(ctx context.Context, would restoreAnswer) error {
	p := &page{color: colored(c.stderr)}
	would.preview(p)
	if _, err := c.stderr.Write(p.Bytes()); err != nil {
		return err
	}
	if !isTerminal(os.Stdin) {
		return usagef("nobody can be asked, since the input is no terminal: give --yes to do it")
	}
	fmt.Fprintf(c.stderr, "Restore %s? [y/N] ", would.Tenant)
	agreed := make(chan bool, 1)
	go func() { // a read of a terminal cannot be interrupted; the process ends without it
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		line = strings.ToLower(strings.TrimSpace(line))
		agreed <- line == "y" || line == "yes"
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case yes := <-agreed:
		if !yes {
			return errDeclined
		}
	}
	return nil
}

// restoreAnswer is what a restore would do, or did.
type restoreAnswer struct {
	Tenant       protocol.TenantID `json:"tenant"`
	Snapshot     string            `json:"snapshot"`
	TakenAt      *stamp            `json:"takenAt"`
	Revision     *string           `json:"revision"`
	BundleDigest string            `json:"bundleDigest"`
	DeploymentID *string           `json:"deploymentId"` // of the restore
	Undo         *string           `json:"undo"`         // snapshot of the database that was replaced
	Undone       []undoneAnswer    `json:"undone"`       // oldest first
	Unrelated    bool              `json:"unrelated"`    // to the database: no deployment is in both

	missing bool
}

// undoneAnswer is a deployment that a snapshot does not have.
type undoneAnswer struct {
	DeploymentID string  `json:"deploymentId"`
	At           *stamp  `json:"at"`
	Revision     *string `json:"revision"`
	Author       string  `json:"author"`
	BundleDigest string  `json:"bundleDigest"`
}

func restoreAnswerOf(s deploy.Snapshot, r deploy.Restoration) restoreAnswer {
	answer := restoreAnswer{
		Tenant: s.Tenant, Snapshot: s.ID, TakenAt: stampOf(s.TakenAt), Revision: optional(r.Holds.Revision),
		BundleDigest: r.Holds.Bundle, DeploymentID: optional(r.ID), Undo: optional(r.Undo),
		Undone: []undoneAnswer{}, Unrelated: r.Unrelated, missing: r.Missing,
	}
	for _, e := range r.Lost {
		answer.Undone = append(answer.Undone, undoneAnswerOf(e))
	}
	return answer
}

func undoneAnswerOf(e apply.Entry) undoneAnswer {
	return undoneAnswer{
		DeploymentID: e.Deployment, At: stampOf(e.At), Revision: optional(e.Revision), Author: e.Author, BundleDigest: e.Bundle,
	}
}

// preview is what a person is asked about.
func (a restoreAnswer) preview(p *page) {
	p.line("%s would be what it was at %s: revision %s, bundle %s", a.Tenant, a.TakenAt, orDash(short(text(a.Revision))), short(a.BundleDigest))
	if a.missing {
		p.line("there is no database now; nothing is replaced")
		return
	}
	p.line("every row written since then goes, and %s with it", plural(len(a.Undone), "deployment"))
	a.undone(p)
	a.warn(p)
	p.line("the database as it is now is kept as a snapshot")
}

// warn tells of a snapshot that may be another customer's.
func (a restoreAnswer) warn(p *page) {
	if a.Unrelated {
		p.line("WARNING: the database was made anew after this snapshot, for %s or for another customer of that id: see whose rows it has", a.Tenant)
	}
}

func (a restoreAnswer) undone(p *page) {
	var rows [][]string
	for _, u := range a.Undone {
		rows = append(rows, []string{u.At.String(), u.DeploymentID, orDash(short(text(u.Revision))), orDash(u.Author), short(u.BundleDigest)})
	}
	p.table([]string{"AT", "DEPLOYMENT", "REVISION", "AUTHOR", "BUNDLE"}, rows)
}

func (a restoreAnswer) people(p *page) {
	p.line("%s is what it was at %s: revision %s, bundle %s", a.Tenant, a.TakenAt, orDash(short(text(a.Revision))), short(a.BundleDigest))
	p.line("%s undone", plural(len(a.Undone), "deployment"))
	a.undone(p)
	a.warn(p)
	if a.Undo != nil {
		p.line("the database before is snapshot %s", *a.Undo)
		p.line("  to take this back: reconciler restore %s %s", a.Tenant, *a.Undo)
	}
	p.line("the next pass deploys what git has now: \"reconciler hold %s\" keeps the tenant as it is", a.Tenant)
}
