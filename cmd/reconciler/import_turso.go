package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/adoption"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/turso"
	"github.com/tenantops/reconciler/tenantrouter"
)

// group is a group of databases on Turso that is read.
type group struct {
	*cli
	server *turso.Server
	router *tenantrouter.Router
	reader *adoption.Reader
}

// tursoGroup lists the databases of a group as the rows of a fleet, by name.
func (c *cli) tursoGroup(ctx context.Context, name string, s *survey) ([]adoption.Row, *survey, error) {
	if err := c.secrets().Check(); err != nil {
		return nil, nil, fmt.Errorf("the tokens of databases are written encrypted: %w", err)
	}
	server, err := c.turso(config.Databases{})
	if err != nil {
		return nil, nil, err
	}
	found, err := server.Databases(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	var rows []adoption.Row
	for i, d := range found {
		rows = append(rows, adoption.Row{Line: i + 1, ID: d.Name, Name: d.Name, URL: server.URL(d)})
	}
	slices.SortFunc(rows, func(a, b adoption.Row) int { return strings.Compare(a.ID, b.ID) })
	g := &group{cli: c, server: server, reader: s.reader}
	g.router, err = c.router(ctx, nil)
	s.read, s.once = g.read, func(adoption.Row) error { return nil } // names are unique there
	return rows, s, err
}

// importTime is how long the token lives that a database is read with.
const importTime = "1h"

// read reads the schema of a database with a token that can do no more, and
// makes the one that the tenant.yaml gets.
func (g *group) read(ctx context.Context, row adoption.Row) (adoption.Tenant, error) {
	t := adoption.Tenant{ID: row.ID, Name: row.Name, URL: row.URL}
	if err := adoption.CheckID(row.ID); err != nil {
		return t, err
	}
	reading, err := g.token(ctx, row.ID, protocol.TokenReadOnly, importTime)
	if err != nil {
		return t, err
	}
	at, err := g.router.Locate(protocol.TenantID(row.ID), &protocol.TenantConnectionConfig{URL: row.URL, AuthToken: reading})
	if err != nil {
		return t, err
	}
	if t.Schema, err = readAt(ctx, g.router, g.reader, at); err != nil {
		return t, err
	}
	t.AuthToken, err = g.token(ctx, row.ID, protocol.TokenFullAccess, "")
	return t, err
}

// token makes a token and encrypts it.
func (g *group) token(ctx context.Context, name string, scope protocol.TursoTokenScope, expiration string) (string, error) {
	made, err := g.server.CreateToken(ctx, name, scope, expiration)
	if err != nil {
		return "", err
	}
	sealed, err := g.secrets().Seal(made.JWT)
	return string(sealed), err
}
