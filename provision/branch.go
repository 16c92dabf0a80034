package provision

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/transfer"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var _ Brancher = (*Hosted)(nil)

// Copy implements Provider. A database on a server is read by statements, in one
// transaction.
func (h *Hosted) Copy(ctx context.Context, at Database, path string) error {
	if _, ok := h.Router.Placements().Of(at.Tenant); !ok || !at.Own {
		return h.Files.Copy(ctx, at, path)
	}
	conn, err := h.Open(ctx, at, false)
	if err != nil {
		return err
	}
	return errors.Join(transfer.Copy(ctx, conn, path), conn.Close())
}

// Branch implements Brancher. A branch is recorded before it is made, and
// forgotten after it was removed. What a crash has left of earlier ones, or a
// server that did not answer, goes first.
func (h *Hosted) Branch(ctx context.Context, at Database) (database.Conn, error) {
	p, s, err := h.placed(ctx, at)
	if errors.Is(err, ErrNotPlaced) {
		err = fmt.Errorf("%w: %w", ErrNoBranch, err)
	}
	if err != nil {
		return nil, err
	}
	if h.Branches != nil {
		_ = h.Sweep(ctx) // what cannot be removed now is tried with the next one
	}
	b := state.Branch{Provider: p.Provider, Name: branchName(p.Name), Tenant: at.Tenant}
	h.Branches.begin(b.Name)
	remove := func() error {
		defer h.Branches.end(b.Name)
		return h.prune(context.WithoutCancel(ctx), s, b)
	}
	if err := h.Store.SaveBranch(ctx, b); err != nil {
		h.Branches.end(b.Name)
		return nil, err
	}
	conn, err := h.branch(ctx, s, p.Name, b)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return &branch{Conn: conn, remove: remove}, nil
}

// branchName is a name that no tenant's database has: a tenant's id has no two
// hyphens that could come from here, and a digest is not drawn twice.
func branchName(of string) string {
	suffix := "--try-" + strings.ToLower(rand.Text()[:12])
	return of[:min(len(of), maxDatabase-len(suffix))] + suffix
}

// branch makes a branch, lets writes in that the original may refuse, and opens
// it with a token of its own.
func (h *Hosted) branch(ctx context.Context, s Server, from string, b state.Branch) (database.Conn, error) {
	made, err := s.Fork(ctx, from, b.Name)
	if err != nil {
		return nil, err
	}
	if err := s.Block(ctx, b.Name, false); err != nil {
		return nil, err
	}
	token, err := s.Token(ctx, b.Name)
	if err != nil {
		return nil, err
	}
	connection := &protocol.TenantConnectionConfig{URL: made.URL}
	if token != "" {
		sealed, err := h.Secrets.Seal(token)
		if err != nil {
			return nil, err
		}
		connection.AuthToken = string(sealed)
	}
	place, err := h.Router.Locate(b.Tenant, connection)
	if err != nil {
		return nil, err
	}
	return h.Router.Open(ctx, place, false)
}

// prune removes a branch and then its record.
func (h *Hosted) prune(ctx context.Context, s Server, b state.Branch) error {
	if err := s.Delete(ctx, b.Name); err != nil {
		return err
	}
	return h.Store.ForgetBranch(ctx, b)
}

// branch is a connection to a branch, which goes when it is closed.
type branch struct {
	database.Conn
	once   sync.Once
	remove func() error
}

// Close removes the branch.
func (b *branch) Close() error {
	err := b.Conn.Close()
	b.once.Do(func() { err = errors.Join(err, b.remove()) })
	return err
}

// Sweep removes branches that are recorded and not in use: those
// of processes that ended before they did, and those that could not be removed.
// The caller makes sure that no other process uses one.
func (h *Hosted) Sweep(ctx context.Context) error {
	all, err := h.Store.Branches(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	s, _, err := h.server(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	for _, b := range all {
		if b.Provider == s.Provider() && !h.Branches.has(b.Name) {
			wrong = append(wrong, h.prune(ctx, s, b))
		}
	}
	return errors.Join(wrong...)
}
