package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/adoption"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// isServer tells that a URL leads to a server.
func isServer(url string) bool {
	return !strings.HasPrefix(url, "file:") && (strings.Contains(url, "://") || strings.HasPrefix(url, "libsql:"))
}

// readServer reads the schema of a database on a server that the operator
// allows, with the token that its reference leads to.
func (s *survey) readServer(ctx context.Context, row adoption.Row) (adoption.Tenant, error) {
	t := adoption.Tenant{ID: row.ID, Name: row.Name, Plan: row.Plan, URL: row.URL, AuthToken: row.AuthToken}
	at, err := s.at(row)
	if err == nil {
		t.Schema, err = readAt(ctx, s.router, s.reader, at)
	}
	return t, err
}

// readAt reads the schema of the database at a place.
func readAt(ctx context.Context, router *tenantrouter.Router, reader *adoption.Reader, at tenantrouter.Location) (*adoption.Schema, error) {
	conn, err := router.OpenReadOnly(ctx, at)
	if err != nil {
		return nil, err
	}
	schema, err := reader.Read(ctx, conn)
	return schema, errors.Join(err, conn.Close())
}

// at is where a row leads to.
func (s *survey) at(row adoption.Row) (tenantrouter.Location, error) {
	return s.router.Locate(protocol.TenantID(row.ID), &protocol.TenantConnectionConfig{URL: row.URL, AuthToken: row.AuthToken})
}

// onceOnServer refuses a database that an earlier row leads to.
func (s *survey) onceOnServer(row adoption.Row) error {
	at, err := s.at(row)
	if err != nil {
		return err
	}
	if other, taken := s.taken.LoadOrStore(s.router.Identity(at), row.ID); taken {
		return fmt.Errorf("it is the database of tenant %q as well", other)
	}
	return nil
}
