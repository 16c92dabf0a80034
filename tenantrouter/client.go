package tenantrouter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Rows is the whole answer to a query; values are nil, int64, float64, string
// or []byte.
type Rows = database.Rows

// Client is a tenant's database, as a Gateway keeps it open: up to PoolSize
// connections, made when they are needed. It may be shared by goroutines.
type Client struct {
	tenant   protocol.TenantID
	record   Record // that it was opened for
	identity string // of the database
	at       Location
	files    *Router
	readOnly bool

	suspended atomic.Bool // its database says so, though it was not opened as such

	opened chan struct{} // closed when the first connection is there, or err is set
	err    error
	slots  chan struct{} // one for each connection that may be lent

	mu      sync.Mutex
	idle    []database.Conn // the one used last comes last
	users   int             // requests and leases that keep it open
	retired bool            // it is in the cache no more, and closes when nobody uses it

	since, used time.Time // under the cache's lock
}

// Tenant returns the id of the tenant whose database it is.
func (c *Client) Tenant() protocol.TenantID { return c.tenant }

// ReadOnly reports whether every write is refused, as for a suspended tenant.
func (c *Client) ReadOnly() bool { return c.readOnly || c.suspended.Load() }

// Conn lends a connection until its Close. It waits while all are lent, ten
// seconds at most, then fails with ErrBusy. On a client that the gateway has
// replaced, after an invalidation or for others that were used more recently,
// it fails with ErrClosed.
func (c *Client) Conn(ctx context.Context) (*Lease, error) {
	if !c.enter() {
		return nil, fmt.Errorf("tenant %q: %w", c.tenant, database.ErrClosed)
	}
	return c.lend(ctx)
}

// again lends a connection to who has entered and not left, which keeps the
// client open though it may be retired.
func (c *Client) again(ctx context.Context) (*Lease, error) {
	c.mu.Lock()
	c.users++
	c.mu.Unlock()
	return c.lend(ctx)
}

func (c *Client) lend(ctx context.Context) (*Lease, error) {
	conn, err := c.take(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tenant %q: %w", c.tenant, err), c.leave())
	}
	return &Lease{client: c, conn: conn}, nil
}

// enter keeps the client open until leave. It reports false for one that is
// closed, or about to be.
func (c *Client) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return false
	}
	c.users++
	return true
}

// leave ends what enter began. The last to leave a retired client closes it.
func (c *Client) leave() error {
	c.mu.Lock()
	c.users--
	left := c.unused()
	c.mu.Unlock()
	return closeAll(left)
}

// retire makes the client close when nobody uses it, which may be now.
func (c *Client) retire() error {
	c.mu.Lock()
	c.retired = true
	left := c.unused()
	c.mu.Unlock()
	return closeAll(left)
}

// unused takes the connections out that nobody will ask for again.
func (c *Client) unused() []database.Conn {
	if !c.retired || c.users > 0 {
		return nil
	}
	left := c.idle
	c.idle = nil
	return left
}

func (c *Client) inUse() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.users > 0
}

func closeAll(conns []database.Conn) error {
	var wrong []error
	for _, conn := range conns {
		wrong = append(wrong, conn.Close())
	}
	return errors.Join(wrong...)
}

// lendTime is how long a connection is waited for: longer than a statement
// waits for another process, and not for ever, since who waits may hold all of
// them.
const lendTime = 10 * time.Second

// take takes a connection that is idle, or makes one.
func (c *Client) take(ctx context.Context) (database.Conn, error) {
	if err := c.claim(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return conn, nil
	}
	c.mu.Unlock()
	conn, err := c.connect(ctx)
	if err != nil {
		<-c.slots
	}
	return conn, err
}

// claim waits until a connection may be lent.
func (c *Client) claim(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(lendTime)
	defer late.Stop()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-late.C:
		return fmt.Errorf("%w: its %d connections are lent", database.ErrBusy, cap(c.slots))
	case <-ctx.Done():
		return fmt.Errorf("wait for a connection: %w", ctx.Err())
	}
}

// give puts a connection back, or closes one that is not as it was lent.
func (c *Client) give(conn database.Conn, sound bool) error {
	var err error
	if sound {
		c.mu.Lock()
		c.idle = append(c.idle, conn)
		c.mu.Unlock()
	} else {
		err = conn.Close()
	}
	<-c.slots
	return errors.Join(err, c.leave())
}

// connect opens a connection, if the database says that it is this tenant's.
// It is read-only where the database says that the tenant is suspended, which
// may be before the records do.
func (c *Client) connect(ctx context.Context) (database.Conn, error) {
	conn, err := c.files.openShared(ctx, c.at, c.readOnly)
	if err != nil {
		return nil, err
	}
	m, err := readMarks(ctx, conn)
	if err == nil && m.tenant != "" && m.tenant != c.tenant {
		err = fmt.Errorf("%w, %q", ErrOwnedElsewhere, m.tenant)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if !m.suspended || c.readOnly {
		return conn, nil
	}
	c.suspended.Store(true)
	if err := conn.Close(); err != nil {
		return nil, err
	}
	return c.files.openShared(ctx, c.at, true)
}
