package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// backUp keeps a copy of a tenant's database, read back and checked, unless a
// backup has the same content, whose retention then begins anew. name tells the backups of
// one removal apart, so that taking one again after a crash replaces it.
func (s *Service) backUp(ctx context.Context, t state.Tenant, at Database, c config.Backup, name string) (err error) {
	vault, err := s.Backups(c)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.Scratch, string(t.ID))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil { // what a crash left there is of no use
		return fmt.Errorf("back up tenant %q: %w", t.ID, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "copy.db")
	if err := s.Provider.Copy(ctx, at, path); errors.Is(err, database.ErrMissing) {
		return errAbsent
	} else if err != nil {
		return fmt.Errorf("back up tenant %q: %w", t.ID, err)
	}
	backup := state.Backup{
		ID: name, Tenant: t.ID, Revision: t.Revision, Actor: s.By.Actor, Via: s.By.Via, TakenAt: s.Now(),
	}
	if backup.SHA256, backup.Size, err = examine(ctx, path); err != nil {
		return fmt.Errorf("back up tenant %q: the copy is of no use: %w", t.ID, err)
	}
	if kept, err := s.keeps(ctx, vault, t, backup.SHA256); err != nil || kept != nil {
		if kept != nil { // it is as good as one of now, and is kept as long
			kept.TakenAt = backup.TakenAt
			err = s.Store.SaveBackup(context.WithoutCancel(ctx), *kept)
		}
		return err
	}
	if backup.URL, err = put(ctx, vault, string(t.ID)+"/"+name+".db", path); err != nil {
		return fmt.Errorf("back up tenant %q: %w", t.ID, err)
	}
	if err := verify(ctx, vault, backup); err != nil {
		return fmt.Errorf("back up tenant %q: %w", t.ID, err)
	}
	event := s.event(state.EventBackedUp, t, "", fmt.Sprintf("%s, %d bytes, sha256 %s", backup.ID, backup.Size, backup.SHA256))
	return s.Store.SaveBackup(context.WithoutCancel(ctx), backup, event)
}

// examine opens a copy, reads every page of it, and returns the digest and size
// of its file.
func examine(ctx context.Context, path string) (string, int, error) {
	conn, err := libsql.Open(ctx, path, libsql.Options{ReadOnly: true})
	if err != nil {
		return "", 0, err
	}
	if err := errors.Join(libsql.QuickCheck(ctx, conn), conn.Close()); err != nil {
		return "", 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	return digest(file)
}

func digest(from io.Reader) (string, int, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, from)
	return hex.EncodeToString(sum.Sum(nil)), int(n), err
}

func put(ctx context.Context, vault Vault, name, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return vault.Put(ctx, name, file)
}

// verify reads a backup from where it is kept.
func verify(ctx context.Context, vault Vault, b state.Backup) error {
	content, err := vault.Open(ctx, b.URL)
	if err != nil {
		return fmt.Errorf("read backup %s back: %w", b.ID, err)
	}
	defer content.Close()
	sum, size, err := digest(content)
	if err == nil && (sum != b.SHA256 || size != b.Size) {
		err = fmt.Errorf("it has sha256 %.12s and %d bytes, and should have %.12s and %d", sum, size, b.SHA256, b.Size)
	}
	if err != nil {
		return fmt.Errorf("read backup %s back: %w", b.ID, err)
	}
	return nil
}

// keeps returns the backup of the tenant with this content that is there and
// whole, nil for none.
func (s *Service) keeps(ctx context.Context, vault Vault, t state.Tenant, sum string) (*state.Backup, error) {
	all, err := s.Store.Backups(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.SHA256 == sum && b.ErasedAt.IsZero() && verify(ctx, vault, b) == nil {
			return &b, nil
		}
	}
	return nil, nil
}

// Expire erases the backups that are past their retention, but for those of
// tenants under a legal hold. The snapshots of a tenant that is destroyed go
// along.
func (s *Service) Expire(ctx context.Context, c config.Backup) error {
	old, err := s.Store.BackupsBefore(ctx, s.Now().Add(-c.Retention.Duration()))
	for _, b := range old {
		if err != nil || ctx.Err() != nil {
			break
		}
		err = s.expire(ctx, b, c)
	}
	return err
}

func (s *Service) expire(ctx context.Context, b state.Backup, c config.Backup) error {
	t, err := s.tenant(ctx, b.Tenant)
	if err != nil && !isUnknown(err) || t.Spec.LegalHold != nil {
		return err
	}
	reason := "its retention of " + string(c.Retention) + " is over"
	if isUnknown(err) && s.destroyed(ctx, b.Tenant) == nil { // nobody goes back to its snapshots
		if err := s.eraseSnapshots(ctx, b.Tenant, reason, &Erasure{}); err != nil {
			return err
		}
	}
	return s.erase(ctx, b, c, reason)
}

// destroyed makes sure of a tenant that is not recorded that nothing else tells of
// it: state may have been lost, or rebuilt.
func (s *Service) destroyed(ctx context.Context, id protocol.TenantID) error {
	_, seen, err := s.Store.ObservedOf(ctx, id)
	if err == nil && !seen {
		seen, err = s.Fleet.Has(ctx, id)
	}
	if err == nil && !seen {
		err = s.withDatabase(ctx, state.Tenant{ID: id}, func(ctx context.Context, conn database.Conn) error {
			read, err := apply.Read(ctx, conn)
			seen = read.Record.Last != nil
			return err
		})
		if errors.Is(err, errSkipped) {
			err = nil
		}
	}
	if err == nil && seen {
		err = fmt.Errorf("%w: state does not know %q, which has a database or is in git (run reconciler sync first)", ErrAlive, id)
	}
	return err
}

func (s *Service) erase(ctx context.Context, b state.Backup, c config.Backup, reason string) error {
	vault, err := s.Backups(c)
	if err != nil {
		return err
	}
	if err := vault.Remove(ctx, b.URL); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("erase backup %s: %w", b.ID, err)
	}
	b.ErasedAt, b.ErasedBy, b.EraseReason = s.Now(), s.By.Actor, reason
	event := s.event(state.EventErased, state.Tenant{ID: b.Tenant, Revision: b.Revision}, reason,
		fmt.Sprintf("backup %s, sha256 %s", b.ID, b.SHA256))
	return s.Store.SaveBackup(context.WithoutCancel(ctx), b, event)
}

// Erasure is what Erase removed.
type Erasure struct {
	Backups   []state.Backup
	Snapshots []Erased
}

// Erased is a snapshot that was removed.
type Erased struct {
	ID   string
	Size int64 // in bytes
}

// Erase removes the backups and snapshots of a destroyed tenant before their
// time. What is recorded of them stays. A tenant that is not destroyed gives
// ErrAlive, one under a legal hold ErrLegalHold.
func (s *Service) Erase(ctx context.Context, tenant protocol.TenantID, c config.Backup, reason string) (Erasure, error) {
	defer s.Lock(tenant)()
	var e Erasure
	switch t, err := s.tenant(ctx, tenant); {
	case err == nil && t.Spec.LegalHold != nil:
		return e, fmt.Errorf("tenant %q: %w: %s", tenant, ErrLegalHold, t.Spec.LegalHold.Reason)
	case err == nil:
		return e, fmt.Errorf("%w: %q is %s (destroy it first)", ErrAlive, tenant, t.Status)
	case !isUnknown(err):
		return e, err
	}
	if err := s.destroyed(ctx, tenant); err != nil {
		return e, err
	}
	all, err := s.Store.Backups(ctx, tenant)
	if err != nil {
		return e, err
	}
	for _, b := range all {
		if !b.ErasedAt.IsZero() {
			continue
		}
		if err := s.erase(ctx, b, c, reason); err != nil {
			return e, err
		}
		e.Backups = append(e.Backups, b)
	}
	return e, s.eraseSnapshots(ctx, tenant, reason, &e)
}

func (s *Service) eraseSnapshots(ctx context.Context, tenant protocol.TenantID, reason string, e *Erasure) error {
	removed, err := s.Snapshots.RemoveAll(tenant)
	var ids []string
	for _, at := range removed {
		e.Snapshots = append(e.Snapshots, Erased{ID: at.ID, Size: at.Size})
		ids = append(ids, at.ID)
	}
	if len(ids) == 0 {
		return err
	}
	event := s.event(state.EventErased, state.Tenant{ID: tenant}, reason, "snapshots "+strings.Join(ids, ", "))
	return errors.Join(err, s.Store.AddEvent(context.WithoutCancel(ctx), event))
}
