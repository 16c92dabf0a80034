package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tenantops/reconciler/internal/libsql"
)

func (x *soak) aside() string { return filepath.Join(x.dir, "aside") }

func (x *soak) tenantFile(id string) string { return filepath.Join(x.data(), "tenants", id+".db") }

func (t *soakTenant) aside(x *soak) string { return filepath.Join(x.aside(), t.id+".db") }

// calmTenant is one whose database is there and that nothing is wrong with,
// locked; nil when the one that chance chose is not.
func (x *soak) calmTenant() *soakTenant {
	t := pick(x.random, x.tenants)
	if _, wanted := x.repo.now.Tenants[t.id]; !wanted {
		return nil
	}
	t.mu.Lock()
	if _, err := os.Stat(t.path); err != nil || t.lift != nil {
		t.mu.Unlock()
		return nil
	}
	return t
}

// strike makes some tenants fail. A file that is moved away leaves its log
// where it is, and finds it there when it comes back.
func (x *soak) strike() {
	for range 1 + x.plan.tenants/20 {
		t := x.calmTenant()
		if t == nil {
			continue
		}
		switch x.random.IntN(3) {
		case 0:
			x.check(os.Rename(t.path, t.aside(x)))
			t.lift = func() error { return os.Rename(t.aside(x), t.path) }
		case 1:
			x.check(os.Chmod(t.path, 0))
			t.lift = func() error { return os.Chmod(t.path, 0o600) }
		case 2:
			t.lift = x.block(t)
		}
		t.mu.Unlock()
	}
}

// block keeps everybody else from writing.
func (x *soak) block(t *soakTenant) (lift func() error) {
	conn, err := libsql.Open(x.Context(), t.path, libsql.Options{})
	x.check(err)
	if _, err := conn.Exec(x.Context(), "BEGIN IMMEDIATE"); err != nil { // a deployment was first
		x.check(conn.Close())
		return nil
	}
	return conn.Close
}

// corrupt replaces a tenant's file by rubbish. It is done while no daemon has
// the file, after its log has been written back: a log beside a file that is not
// its own would be taken for the file's.
func (x *soak) corrupt() {
	t := x.calmTenant()
	if t == nil {
		return
	}
	defer t.mu.Unlock()
	conn, err := libsql.Open(x.Context(), t.path, libsql.Options{})
	x.check(err)
	_, err = conn.Query(x.Context(), "PRAGMA wal_checkpoint(TRUNCATE)")
	x.check(err)
	x.check(conn.Close())
	if _, err := os.Stat(t.path + "-wal"); err == nil {
		return
	}
	x.check(os.Rename(t.path, t.aside(x)))
	x.check(os.WriteFile(t.path, fmt.Appendf(nil, "%08192d", x.random.Uint64()), 0o644))
	x.check(os.Chmod(t.path, 0o666))
	t.lift = func() error { return os.Rename(t.aside(x), t.path) }
}

// lift ends the trouble of some tenants; they are found well by themselves.
func (x *soak) lift() {
	for _, t := range x.tenants {
		if x.random.IntN(2) == 0 {
			x.liftOne(t)
		}
	}
}

func (x *soak) liftAll() {
	for _, t := range x.tenants {
		x.liftOne(t)
	}
}

func (x *soak) liftOne(t *soakTenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lift != nil {
		x.check(t.lift())
		t.lift = nil
	}
}

// drift is what people change by hand in some databases: an index of ours goes,
// a row of metadata is edited, and a column of their own comes, with a value.
func (x *soak) drift() {
	for range 1 + x.plan.tenants/20 {
		if t := x.calmTenant(); t != nil {
			x.check(t.handwork(x))
			t.mu.Unlock()
		}
	}
}

func (t *soakTenant) handwork(x *soak) error {
	conn, err := libsql.Open(x.Context(), t.path, libsql.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	column := fmt.Sprintf("handmade_%d", len(t.handmade))
	statements := [][]string{
		{"DROP INDEX IF EXISTS idx_customer_name", "DROP INDEX IF EXISTS uniq_customer_email"},
		{"UPDATE sys_metadata SET metadata = '{}' WHERE name = 'customer'"},
		{"ALTER TABLE customer ADD COLUMN " + column + " TEXT DEFAULT 'kept'"},
	}[x.random.IntN(3)]
	for _, sql := range statements {
		if _, err := conn.Exec(x.Context(), sql); err != nil {
			return nil // its time has not come: it is being deployed, or has no such table yet
		}
	}
	if statements[0][0] == 'A' {
		t.handmade = append(t.handmade, column)
	}
	return nil
}
