package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Bounds of what is fine.
const (
	lowSpace     = 1 << 30   // bytes; a rebuilt table needs its own size again
	noSpace      = 64 << 20  // bytes
	mostToCheck  = 256 << 20 // bytes; reading every page of more takes long
	subjectRepo  = "repository"
	subjectDir   = "data directory"
	subjectState = "state"
	subjectMade  = "databases" // the server that they are made on
)

// examine makes every check.
func (c *cli) examine(ctx context.Context) doctorAnswer {
	var answer doctorAnswer
	fleet, found := c.examineRepo(ctx)
	answer.add(found...)
	answer.add(c.examineServer(ctx, fleet)...)
	if info, err := os.Stat(c.settings.Data); err != nil || !info.IsDir() {
		answer.add(bad(subjectDir, fail, c.settings.Data+" is no directory", "give the right --data, or let reconciler sync make it"))
		return answer
	}
	answer.add(c.examineDirectory()...)
	observed, found := c.examineState(ctx)
	answer.add(found...)
	answer.add(c.examineDatabases(ctx, fleet, observed)...)
	return answer
}

func (c *cli) examineRepo(ctx context.Context) (*bundle.Fleet, []finding) {
	if c.settings.Repo == "" {
		return nil, nil
	}
	repo, err := c.openRepo(ctx)
	if err != nil {
		return nil, []finding{bad(subjectRepo, fail, err.Error(), "")}
	}
	defer repo.Close()
	commit, fleet, err := load(ctx, repo.Repo)
	if err != nil {
		return nil, []finding{bad(subjectRepo, fail, err.Error(), "run reconciler validate for all that is wrong")}
	}
	return fleet, []finding{ok(subjectRepo, fmt.Sprintf("%s is at commit %s with %s", repo, short(commit.Hash),
		plural(len(fleet.Tenants), "tenant")))}
}

// examineServer asks the server on which databases are made, where there is one.
// The fleet may be nil, and may have a part of what says which it is.
func (c *cli) examineServer(ctx context.Context, fleet *bundle.Fleet) []finding {
	databases := c.databases()
	if databases.Server == nil {
		return nil
	}
	var policy config.Databases
	if fleet != nil {
		policy = fleet.Config.Databases
	}
	server, err := databases.Server(policy)
	if err != nil {
		next := ""
		if fleet == nil {
			next = "give --repo, whose fleet.yaml may say the rest"
		}
		return []finding{bad(subjectMade, warn, err.Error(), next)}
	}
	if err := server.Reach(ctx); err != nil {
		return []finding{because(subjectMade, warn, "", deploy.Fail(err))}
	}
	if err := c.secrets().Check(); err != nil && c.settings.Databases.SQLD.Tokens != config.TokenNone {
		return []finding{because(subjectMade, warn, "their tokens cannot be kept: ", deploy.Fail(err))}
	}
	return []finding{ok(subjectMade, server.Provider()+" answers and accepts the key")}
}

// examineDirectory looks at permissions and free space.
func (c *cli) examineDirectory() []finding {
	dir := c.settings.Data
	info, err := os.Stat(dir)
	if err != nil {
		return []finding{bad(subjectDir, fail, err.Error(), "")}
	}
	var found []finding
	if err := unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		found = append(found, bad(subjectDir, fail, "this user cannot write to "+dir, "give the directory to the user that runs the reconciler"))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		found = append(found, bad(subjectDir, warn, fmt.Sprintf("others may look into %s (mode %04o)", dir, mode), "chmod 700 it"))
	}
	var volume unix.Statfs_t
	if err := unix.Statfs(dir, &volume); err != nil {
		return append(found, bad(subjectDir, warn, "free space is not known: "+err.Error(), ""))
	}
	free := volume.Bavail * uint64(volume.Bsize)
	text := fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))
	switch {
	case free < noSpace:
		return append(found, bad(subjectDir, fail, text, "make room on the volume"))
	case free < lowSpace:
		return append(found, bad(subjectDir, warn, text, "make room on the volume"))
	}
	return append(found, ok(subjectDir, dir+", "+text))
}

func (c *cli) examineState(ctx context.Context) (map[protocol.TenantID]state.Observed, []finding) {
	store, err := c.readState(ctx)
	if errors.Is(err, database.ErrMissing) {
		return nil, []finding{bad(subjectState, warn, "there is no state.db yet", "run reconciler sync, or reconciler state rebuild if there are tenants")}
	}
	if err != nil {
		return nil, []finding{bad(subjectState, fail, err.Error(), "")}
	}
	defer store.Close()
	observed, err := store.Observed(ctx)
	if err != nil {
		return nil, []finding{bad(subjectState, fail, err.Error(), "")}
	}
	return observed, []finding{ok(subjectState, "knows "+plural(len(observed), "tenant"))}
}

// examineDatabases looks at every database that is there, and for those that
// should be.
func (c *cli) examineDatabases(ctx context.Context, fleet *bundle.Fleet, observed map[protocol.TenantID]state.Observed) []finding {
	files, err := c.tenantDatabases(ctx, fleet)
	if errors.Is(err, os.ErrNotExist) && len(observed) == 0 {
		return nil
	}
	if err != nil {
		return []finding{bad(subjectDir, fail, err.Error(), "")}
	}
	missing := maps.Clone(observed)
	var found []finding
	for _, f := range files {
		delete(missing, f.tenant)
		row, known := observed[f.tenant]
		one := examineTenant(ctx, f, row, known)
		one.Subject, one.tenant = string(f.tenant), true
		found = append(found, one)
	}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		if missing[id].Deployment == "" {
			continue // nothing was ever deployed to it
		}
		one := bad(string(id), fail, "its database is not below the data directory", "bring the file back; with a file: URL, give --repo")
		one.tenant = true
		found = append(found, one)
	}
	return found
}

// examineTenant reads one database and holds its journal against state.
func examineTenant(ctx context.Context, f placedTenant, row state.Observed, known bool) finding {
	whole := true
	if f.Path != "" {
		info, err := os.Stat(f.Path)
		if err != nil {
			return bad("", fail, err.Error(), "bring the file back")
		}
		whole = info.Size() <= mostToCheck
	}
	heard, err := f.hear(ctx, whole)
	if err != nil {
		return because("", fail, "", deploy.Fail(err).For(f.tenant))
	}
	last := heard.Record.Last
	switch {
	case last == nil && row.BundleDigest != "":
		return because("", fail, "", deploy.Fail(deploy.ErrNoJournal).For(f.tenant))
	case last == nil:
		return bad("", warn, "it has no journal: nothing was deployed to it", "run reconciler sync")
	case !known:
		return bad("", warn, "state does not know it", "run reconciler state rebuild")
	case row.BundleDigest != last.Bundle:
		return bad("", warn, "its journal and state tell of different deployments", "run reconciler sync, or reconciler state rebuild")
	case heard.Master.Fingerprint() != last.To:
		return bad("", warn, "its schema is not what the last deployment left", "run reconciler drift to see the difference")
	}
	text := fmt.Sprintf("%s, last at %s", plural(len(heard.journal), "deployment"), stampOf(last.At))
	if !whole {
		text += "; too large to read every page"
	}
	return ok("", text)
}
