package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
)

// Memory provides databases that end with the process, for tests and for
// trying things out. The zero value is empty.
type Memory struct {
	mu        sync.Mutex
	databases map[string]*inMemory // by URL
}

// inMemory is one database: its only connection, which is in the channel while
// nobody uses it.
type inMemory struct {
	tenant protocol.TenantID
	conn   chan *libsql.Conn
}

// Locate implements Provider. A connection is not served.
func (m *Memory) Locate(tenant protocol.TenantID, connection *protocol.TenantConnectionConfig) (Database, error) {
	if connection != nil {
		return Database{}, fmt.Errorf("tenant %q: a database in memory has no URL: leave connectionConfig out", tenant)
	}
	return Database{Tenant: tenant, URL: "memory:" + string(tenant), Own: true}, nil
}

// Open implements Provider. It waits until the connection that is open is
// closed.
func (m *Memory) Open(ctx context.Context, at Database, create bool) (database.Conn, error) {
	d, err := m.find(ctx, at, create)
	if err != nil {
		return nil, err
	}
	select {
	case conn, open := <-d.conn:
		if !open {
			return nil, fmt.Errorf("open %s: %w", at.URL, database.ErrMissing)
		}
		return &borrowed{Conn: conn, to: d}, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("open %s: %w", at.URL, ctx.Err())
	}
}

func (m *Memory) find(ctx context.Context, at Database, create bool) (*inMemory, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.databases[at.URL]; d != nil {
		return d, nil
	}
	if !create {
		return nil, fmt.Errorf("open %s: %w", at.URL, database.ErrMissing)
	}
	conn, err := libsql.OpenMemory(ctx)
	if err != nil {
		return nil, err
	}
	d := &inMemory{tenant: at.Tenant, conn: make(chan *libsql.Conn, 1)}
	d.conn <- conn
	if m.databases == nil {
		m.databases = map[string]*inMemory{}
	}
	m.databases[at.URL] = d
	return d, nil
}

// borrowed is a connection that goes back when it is closed, as it came.
type borrowed struct {
	*libsql.Conn
	to   *inMemory
	back sync.Once
}

// Close gives the connection back, outside a transaction and writable.
func (b *borrowed) Close() error {
	var err error
	b.back.Do(func() {
		ctx := context.Background()
		_, _ = b.Exec(ctx, "ROLLBACK") // fails where there is nothing to roll back
		_, err = b.Query(ctx, "PRAGMA query_only = OFF")
		b.to.conn <- b.Conn
	})
	return err
}

// Copy implements Provider.
func (m *Memory) Copy(ctx context.Context, at Database, path string) error {
	conn, err := m.Open(ctx, at, false)
	if err != nil {
		return err
	}
	return errors.Join(libsql.Copy(ctx, conn, path, 0o600), conn.Close())
}

// Destroy implements Provider.
func (m *Memory) Destroy(ctx context.Context, at Database) error {
	m.mu.Lock()
	d := m.databases[at.URL]
	m.mu.Unlock()
	if d == nil {
		return nil
	}
	select {
	case conn, open := <-d.conn:
		if !open {
			return nil // somebody was faster
		}
		m.mu.Lock()
		delete(m.databases, at.URL)
		m.mu.Unlock()
		close(d.conn)
		return conn.Close()
	case <-ctx.Done():
		return fmt.Errorf("destroy %s: %w", at.URL, ctx.Err())
	}
}

// List implements Provider.
func (m *Memory) List(context.Context) ([]Database, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Database
	for url, d := range m.databases {
		list = append(list, Database{Tenant: d.tenant, URL: url, Own: true})
	}
	slices.SortFunc(list, func(a, b Database) int { return strings.Compare(a.URL, b.URL) })
	return list, nil
}
