package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// tenantFile is the database file of one tenant.
type tenantFile struct {
	tenant protocol.TenantID
	path   string
}

// tenantFiles lists the databases below the data directory, each for the tenant
// that its name says, and those that file: URLs of a fleet lead to, by tenant.
// The fleet may be nil.
func (c *cli) tenantFiles(fleet *bundle.Fleet) ([]tenantFile, error) {
	entries, err := os.ReadDir(filepath.Join(c.settings.Data, "tenants"))
	if err != nil {
		return nil, fmt.Errorf("list tenant databases: %w", err)
	}
	var files []tenantFile
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".db"); ok {
			files = append(files, tenantFile{protocol.TenantID(id), filepath.Join(c.settings.Data, "tenants", e.Name())})
		}
	}
	if fleet == nil {
		return files, nil
	}
	if files, err = c.withURLs(files, fleet); err != nil {
		return nil, err
	}
	slices.SortStableFunc(files, func(a, b tenantFile) int { return strings.Compare(string(a.tenant), string(b.tenant)) })
	return files, nil
}

// withURLs adds the files that URLs lead to. One of them that was listed for
// a tenant that there is not is that of the URL alone.
func (c *cli) withURLs(files []tenantFile, fleet *bundle.Fleet) ([]tenantFile, error) {
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: c.settings.Data, FileRoot: c.settings.FileRoot})
	if err != nil {
		return nil, err
	}
	known, named := map[protocol.TenantID]bool{}, map[string]bool{}
	var byURL []tenantFile
	for _, t := range fleet.Tenants {
		known[t.ID] = true
		if t.Spec.ConnectionConfig == nil {
			continue
		}
		if at, err := router.Locate(t.ID, t.Spec.ConnectionConfig); err == nil && at.Path != "" { // others have no file
			byURL = append(byURL, tenantFile{t.ID, at.Path})
			named[router.Identity(at)] = true
		}
	}
	files = slices.DeleteFunc(files, func(f tenantFile) bool {
		return !known[f.tenant] && named[router.Identity(tenantrouter.Location{Path: f.path})]
	})
	return append(files, byURL...), nil
}

// testimony is what a tenant's database says about itself.
type testimony struct {
	apply.Reading
	journal []apply.Entry // oldest first
}

// hear reads a database without changing it. One that belongs to another
// tenant gives an error matching apply.ErrOwnedElsewhere.
func (f tenantFile) hear(ctx context.Context, check bool) (t testimony, err error) {
	conn, err := libsql.Open(ctx, f.path, libsql.Options{ReadOnly: true})
	if err != nil {
		return t, err
	}
	defer conn.Close()
	if check {
		if err := libsql.QuickCheck(ctx, conn); err != nil {
			return t, err
		}
	}
	if t.Reading, err = apply.Read(ctx, conn); err != nil {
		return t, err
	}
	if t.journal, err = apply.Journal(ctx, conn); err != nil {
		return t, err
	}
	if owner := t.Record.Owner.Tenant; t.Record.Last != nil && owner != string(f.tenant) {
		return t, fmt.Errorf("%w: it is tenant %q of fleet %q", apply.ErrOwnedElsewhere, owner, t.Record.Owner.Fleet)
	}
	return t, nil
}
