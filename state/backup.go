package state

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Backup is a copy of a tenant's database that was taken before it was
// destroyed. What is recorded of it stays when the copy itself is erased.
type Backup struct {
	ID       string
	Tenant   protocol.TenantID
	URL      string // where it is
	SHA256   string // of its content, in hex
	Size     int    // in bytes
	Revision string // commit that no longer had the tenant; empty where nobody's did
	Actor    string // who had it taken
	Via      string
	TakenAt  time.Time

	ErasedAt    time.Time // zero while it is there
	ErasedBy    string
	EraseReason string
}

func (b *Backup) columns() []column {
	return []column{
		{"id", &b.ID},
		{"tenant", (*string)(&b.Tenant)},
		{"url", &b.URL},
		{"sha256", &b.SHA256},
		{"size_bytes", &b.Size},
		{"revision", &b.Revision},
		{"actor", &b.Actor},
		{"via", &b.Via},
		{"taken_at", &b.TakenAt},
		{"erased_at", &b.ErasedAt},
		{"erased_by", &b.ErasedBy},
		{"erase_reason", &b.EraseReason},
	}
}

// SaveBackup records a backup, or overwrites what was recorded of it, with
// events that tell of it.
func (s *Store) SaveBackup(ctx context.Context, b Backup, events ...Event) error {
	doing := fmt.Sprintf("save backup %q of tenant %q", b.ID, b.Tenant)
	row, err := insertion("REPLACE INTO backups", b.columns())
	if err != nil {
		return explain(s.path, doing, err)
	}
	statements, err := s.insertions(events)
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, append([]database.Statement{row}, statements...)...)
}

// Backups returns the backups of a tenant, or of all for an empty one, those
// that are erased too: by tenant, each tenant's oldest first.
func (s *Store) Backups(ctx context.Context, tenant protocol.TenantID) ([]Backup, error) {
	return read(ctx, s, "read backups", (*Backup).columns, database.Statement{
		SQL:  selection("backups", new(Backup).columns()) + "WHERE ?1 = '' OR tenant = ?1 ORDER BY tenant, taken_at, id",
		Args: []any{string(tenant)},
	})
}

// BackupsBefore returns the backups that are there and were taken before a
// time.
func (s *Store) BackupsBefore(ctx context.Context, before time.Time) ([]Backup, error) {
	return read(ctx, s, "read old backups", (*Backup).columns, database.Statement{
		SQL:  selection("backups", new(Backup).columns()) + "WHERE erased_at = '' AND taken_at < ? ORDER BY tenant, taken_at, id",
		Args: []any{before.UTC().Format(layout)},
	})
}

// SignUp is a request for a tenant that was accepted.
type SignUp struct {
	Key     string // what the caller named the request by
	Request string // digest of what was asked for
	Tenant  protocol.TenantID
	At      time.Time
}

func (u *SignUp) columns() []column {
	return []column{{"key", &u.Key}, {"request", &u.Request}, {"tenant", (*string)(&u.Tenant)}, {"at", &u.At}}
}

// SignUp returns the request of a key, and whether there is one.
func (s *Store) SignUp(ctx context.Context, key string) (SignUp, bool, error) {
	return first(read(ctx, s, "read sign-up", (*SignUp).columns, database.Statement{
		SQL: selection("sign_ups", new(SignUp).columns()) + "WHERE key = ?", Args: []any{clean(key)},
	}))
}

// AddSignUp records a request. One key is recorded once.
func (s *Store) AddSignUp(ctx context.Context, u SignUp) error {
	if u.At.IsZero() {
		u.At = s.now()
	}
	return s.save(ctx, fmt.Sprintf("record sign-up of tenant %q", u.Tenant), "INSERT INTO sign_ups", u.columns())
}
