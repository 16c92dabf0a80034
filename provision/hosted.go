package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/state"
)

// Hosted provides databases on a server for tenants that name none. Tenants
// that were there before keep their files, and what a URL names is as Files has
// it.
//
// Where a database is, and the token that opens it, are recorded in state and
// known to the router, whose connections follow at once.
type Hosted struct {
	Files
	Databases
	Store   *state.Store
	Secrets secret.Keeper
	// Fleet returns fleet.yaml as it was read last.
	Fleet func(ctx context.Context) (config.Fleet, error)
}

var (
	_ Placer  = (*Hosted)(nil)
	_ Blocker = (*Hosted)(nil)
	_ Revoker = (*Hosted)(nil)
)

// Confirm lets the router ask the control plane whether a database is there, of
// which the data plane says that it is not.
func (h *Hosted) Confirm() {
	h.Router.Placements().Confirm(func(ctx context.Context, p state.Placement) (bool, error) {
		s, _, err := h.server(ctx)
		if err != nil || s.Provider() != p.Provider {
			return false, errors.Join(err, errors.New("the configured server is another one"))
		}
		_, err = s.Find(ctx, p.Name)
		if errors.Is(err, control.ErrNotFound) {
			return false, nil
		}
		return true, err
	})
}

// server opens the server for the fleet that is.
func (h *Hosted) server(ctx context.Context) (Server, config.Fleet, error) {
	c, err := h.Fleet(ctx)
	if err != nil {
		return nil, c, err
	}
	s, err := h.Server(c.Databases)
	return s, c, err
}

// placed is the placement of a database, and the server that has it.
func (h *Hosted) placed(ctx context.Context, at Database) (state.Placement, Server, error) {
	p, ok := h.Router.Placements().Of(at.Tenant)
	if !ok || !at.Own {
		return p, nil, fmt.Errorf("%w: %s", ErrNotPlaced, at.URL)
	}
	s, _, err := h.server(ctx)
	if err == nil {
		p.ServerID, err = same(ctx, s, p)
	}
	return p, s, err
}

// same makes sure that what the configured server has under a placement's name is
// the database that was placed, and returns its id. Another server than the one on
// which it was made may have somebody else's of that name.
func same(ctx context.Context, s Server, p state.Placement) (string, error) {
	if s.Provider() != p.Provider {
		return p.ServerID, fmt.Errorf("the database of tenant %q is on %s, and the configured server is %s", p.Tenant, p.Provider, s.Provider())
	}
	found, err := s.Find(ctx, p.Name)
	if errors.Is(err, control.ErrNotFound) {
		return p.ServerID, nil // nothing can be done to it
	}
	switch {
	case err != nil:
	case found.URL != p.URL:
		err = &ElsewhereError{Tenant: p.Tenant, URL: p.URL, Found: found.URL}
	case p.ServerID != "" && found.ID != p.ServerID:
		err = &NameTakenError{Provider: p.Provider, Name: p.Name, Anew: true}
	default:
		return found.ID, nil
	}
	return p.ServerID, err
}

// UsageOf returns what a database has used that was made on a server.
func UsageOf(ctx context.Context, s Server, p state.Placement) (control.Usage, error) {
	if _, err := same(ctx, s, p); err != nil {
		return control.Usage{}, err
	}
	return s.Usage(ctx, p.Name)
}

// Locate implements Provider.
func (h *Hosted) Locate(tenant protocol.TenantID, connection *protocol.TenantConnectionConfig) (Database, error) {
	if p, ok := h.Router.Placements().Of(tenant); ok && connection == nil {
		return Database{Tenant: tenant, URL: p.URL, Own: true}, nil
	}
	return h.Files.Locate(tenant, connection)
}

// Open implements Provider.
func (h *Hosted) Open(ctx context.Context, at Database, create bool) (database.Conn, error) {
	if _, ok := h.Router.Placements().Of(at.Tenant); !ok || !at.Own {
		return h.Files.Open(ctx, at, create)
	}
	place, err := h.Router.Locate(at.Tenant, nil)
	if err != nil {
		return nil, err
	}
	return h.Router.Open(ctx, place, create)
}

// Place implements Placer. The placement is recorded before the database is
// made, so that after a crash it is known whose it is.
func (h *Hosted) Place(ctx context.Context, tenant protocol.TenantID, adopt bool) error {
	p, asked, err := h.Store.Placement(ctx, tenant)
	if err != nil || p.URL != "" && !adopt || h.hasFile(tenant) {
		return err
	}
	s, fleet, err := h.server(ctx)
	if err != nil {
		return err
	}
	if p.URL != "" {
		var moved *ElsewhereError
		var another *NameTakenError
		if _, is := same(ctx, s, p); !errors.As(is, &moved) && !errors.As(is, &another) {
			return nil // it is where it was, and what it was
		}
	}
	asked = asked && p.Provider == s.Provider() // else that server did not make it
	if !asked {
		p = state.Placement{Tenant: tenant, Provider: s.Provider(), Name: h.nameOf(fleet.Fleet, tenant)}
		if err := h.ask(ctx, s, p, adopt); err != nil {
			return err
		}
	}
	made, err := h.make(ctx, s, p, asked || adopt)
	if err != nil {
		return err
	}
	token, err := s.Token(ctx, p.Name)
	if err != nil {
		return err
	}
	p.URL, p.ServerID = made.URL, made.ID
	return h.record(ctx, p, token)
}

// ask records that a database is about to be made, unless its name is taken.
func (h *Hosted) ask(ctx context.Context, s Server, p state.Placement, adopt bool) error {
	switch _, err := s.Find(ctx, p.Name); {
	case err == nil && !adopt:
		return &NameTakenError{Provider: p.Provider, Name: p.Name}
	case err != nil && !errors.Is(err, control.ErrNotFound):
		return err
	}
	return h.Store.SavePlacement(context.WithoutCancel(ctx), p)
}

// make has a database made, of which it is recorded that it is about to be. One
// that is there is used if it may be known: an earlier try may have made it.
//
// The record of a first try goes when the server has refused it: what somebody
// else makes under the name until the next one is not an earlier try's.
func (h *Hosted) make(ctx context.Context, s Server, p state.Placement, known bool) (control.Database, error) {
	made, err := s.Create(ctx, p.Name)
	there := errors.Is(err, control.ErrExists)
	var refused *control.Error
	switch {
	case there && known:
		found, missing := s.Find(ctx, p.Name)
		if errors.Is(missing, control.ErrNotFound) {
			return made, err // something has the name that is no database
		}
		return found, missing
	case there: // somebody has made it since it was looked for
		err = &NameTakenError{Provider: p.Provider, Name: p.Name}
	case known || !errors.As(err, &refused) || !refused.Undone():
		return made, err
	}
	return made, errors.Join(err, h.Store.ForgetPlacement(context.WithoutCancel(ctx), p.Tenant))
}

// hasFile tells that a tenant's database is in a file of this machine: it is
// from before there was a server.
func (h *Hosted) hasFile(tenant protocol.TenantID) bool {
	at, err := h.Router.Locate(tenant, nil)
	if err != nil || at.Path == "" {
		return false
	}
	_, err = os.Lstat(at.Path)
	return err == nil
}

// maxDatabase is the longest name of a database: a label of a host.
const maxDatabase = 63

// nameOf is what the database of a tenant is called. One that would be too long
// is cut, and told apart by a digest.
func (h *Hosted) nameOf(fleet string, tenant protocol.TenantID) string {
	pattern := h.Name
	if pattern == "" {
		pattern = "{tenant_id}"
	}
	name := strings.NewReplacer("{fleet}", idOf(fleet), "{tenant_id}", string(tenant)).Replace(pattern)
	if len(name) <= maxDatabase {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.Trim(name[:maxDatabase-9], "-") + "-" + hex.EncodeToString(sum[:4])
}

// record keeps a placement with its token, encrypted.
func (h *Hosted) record(ctx context.Context, p state.Placement, token string, events ...state.Event) error {
	p.Token = ""
	if token != "" {
		sealed, err := h.Secrets.Seal(token)
		if err != nil {
			return fmt.Errorf("keep the token of tenant %q: %w", p.Tenant, err)
		}
		p.Token = string(sealed)
	}
	if err := h.Store.SavePlacement(context.WithoutCancel(ctx), p, events...); err != nil {
		return err
	}
	h.Router.Placements().Put(p)
	return nil
}

// Rotate implements Placer.
func (h *Hosted) Rotate(ctx context.Context, at Database, events ...state.Event) (state.Placement, error) {
	p, s, err := h.placed(ctx, at)
	if err != nil {
		return p, err
	}
	if err := h.Secrets.Check(); err != nil && p.Token != "" { // before the old token is gone
		return p, err
	}
	token, err := s.Rotate(ctx, p.Name)
	if err != nil {
		return p, err
	}
	p.RotatedAt = h.Store.Now()
	return p, h.record(ctx, p, token, events...)
}

// RevokeTokens implements Revoker. The reconciler keeps a new token.
func (h *Hosted) RevokeTokens(ctx context.Context, at Database) error {
	_, err := h.Rotate(ctx, at)
	return err
}

// Block implements Blocker.
func (h *Hosted) Block(ctx context.Context, at Database, writes bool) error {
	p, s, err := h.placed(ctx, at)
	if err != nil {
		return err
	}
	return s.Block(ctx, p.Name, writes)
}

// Destroy implements Provider.
func (h *Hosted) Destroy(ctx context.Context, at Database) error {
	p, s, err := h.placed(ctx, at)
	if errors.Is(err, ErrNotPlaced) {
		// One that was asked for and never made: whoever has the name by now, it is
		// not the tenant's.
		err = h.Files.Destroy(ctx, at)
		if err == nil && at.Own {
			err = h.Forget(ctx, at.Tenant)
		}
		return err
	}
	if err == nil {
		err = h.leftBehind(ctx, s, p, at)
	}
	if err == nil {
		err = s.Delete(ctx, p.Name)
	}
	if err != nil {
		return err
	}
	return h.Forget(ctx, at.Tenant)
}

// leftBehind refuses to take a database for one that is gone because the server
// that is configured by now does not know it.
func (h *Hosted) leftBehind(ctx context.Context, s Server, p state.Placement, at Database) error {
	if _, err := s.Find(ctx, p.Name); !errors.Is(err, control.ErrNotFound) {
		return nil
	}
	conn, err := h.Open(ctx, at, false)
	if err == nil {
		_, err = apply.Read(ctx, conn)
		err = errors.Join(err, conn.Close())
	}
	if err == nil {
		return &ElsewhereError{Tenant: p.Tenant, URL: p.URL}
	}
	return nil
}

// Anew implements Placer.
func (h *Hosted) Anew(ctx context.Context, at Database) bool {
	_, _, err := h.placed(ctx, at)
	var taken *NameTakenError
	return errors.As(err, &taken)
}

// Forget implements Placer.
func (h *Hosted) Forget(ctx context.Context, tenant protocol.TenantID) error {
	if err := h.Store.ForgetPlacement(context.WithoutCancel(ctx), tenant); err != nil {
		return err
	}
	h.Router.Placements().Remove(tenant)
	return nil
}

// List implements Provider: files, what the server lists, and what is recorded
// and there all the same, as in a group that was configured before. Branches are
// not among them: the reconciler removes them itself.
func (h *Hosted) List(ctx context.Context) ([]Database, error) {
	list, err := h.Files.List(ctx)
	if err != nil {
		return nil, err
	}
	placements, err := h.Store.Placements(ctx)
	if err != nil {
		return nil, err
	}
	s, _, err := h.server(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.List(ctx)
	if err != nil && !errors.Is(err, control.ErrNoList) {
		return nil, err
	}
	unlisted, err := h.unlisted(ctx, s, placements, found)
	if err != nil {
		return nil, err
	}
	branches, err := h.Store.Branches(ctx)
	if err != nil {
		return nil, err
	}
	tenants := map[string]protocol.TenantID{}
	for _, p := range placements {
		tenants[p.Name] = p.Tenant
	}
	for _, d := range append(found, unlisted...) {
		if slices.ContainsFunc(branches, func(b state.Branch) bool { return b.Provider == s.Provider() && b.Name == d.Name }) {
			continue
		}
		list = append(list, Database{Tenant: tenants[d.Name], URL: d.URL, Own: true})
	}
	return list, nil
}

// unlisted are the databases of placements that are there and not on a list.
func (h *Hosted) unlisted(ctx context.Context, s Server, placements []state.Placement, listed []control.Database) ([]control.Database, error) {
	names := map[string]bool{}
	for _, d := range listed {
		names[d.Name] = true
	}
	var list []control.Database
	for _, p := range placements {
		if p.Provider != s.Provider() || names[p.Name] {
			continue
		}
		d, err := s.Find(ctx, p.Name)
		if errors.Is(err, control.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}
