package tenantrouter

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

const openTime = 10 * time.Second // to open a database that others wait for, too

// cache keeps the clients that were used last.
type cache struct {
	files   *Router
	max     int           // clients
	pool    int           // connections of a client
	ttl     time.Duration // since a client was opened
	idle    time.Duration // since it was used
	recheck time.Duration // since a client was opened whose database says what its record does not
	now     func() time.Time
	log     *slog.Logger

	mu      sync.Mutex
	closed  bool
	order   *list.List // of *Client, the one used last in front
	clients map[protocol.TenantID]*list.Element
}

// enter returns a tenant's client, opened for this record or one like it. The
// caller leaves it. Callers at the same time share one opening, which does not
// end with the request of the first.
func (c *cache) enter(ctx context.Context, record Record, at Location, readOnly bool) (*Client, error) {
	client, mine, err := c.find(record, at, readOnly)
	if err != nil {
		return nil, err
	}
	if mine {
		c.open(context.WithoutCancel(ctx), client)
	}
	select {
	case <-client.opened:
		err = client.err
	case <-ctx.Done():
		err = fmt.Errorf("wait for its database: %w", ctx.Err())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tenant %q: %w", record.ID, err), client.leave())
	}
	return client, nil
}

// find returns the client that is kept, or a new one that is the caller's to
// open, entered. One that does not fit any more is replaced.
func (c *cache) find(record Record, at Location, readOnly bool) (client *Client, mine bool, err error) {
	identity, now := c.files.Identity(at), c.now()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, false, errClosed
	}
	var out []*Client
	if e, ok := c.clients[record.ID]; ok {
		kept := e.Value.(*Client)
		if kept.record.sameDatabase(record) && kept.identity == identity && now.Sub(kept.since) < c.life(kept) {
			kept.used = now
			kept.enter() // retired are only those that were taken out before
			c.order.MoveToFront(e)
			c.mu.Unlock()
			return kept, false, nil
		}
		out = append(out, c.remove(e))
	}
	client = &Client{
		tenant: record.ID, record: record, identity: identity, at: at, files: c.files, readOnly: readOnly,
		opened: make(chan struct{}), err: errAborted, slots: make(chan struct{}, c.pool), users: 1, since: now, used: now,
	}
	c.clients[record.ID] = c.order.PushFront(client)
	for len(c.clients) > c.max {
		out = append(out, c.remove(c.longestUnused()))
	}
	c.mu.Unlock()
	c.retire(out)
	return client, true, nil
}

// life is how long a client stays. One whose database says that the tenant is
// suspended, and whose record does not, is looked at again soon: the tenant is
// being suspended, or resumed.
func (c *cache) life(client *Client) time.Duration {
	if client.suspended.Load() {
		return min(c.ttl, c.recheck)
	}
	return c.ttl
}

// errClosed is what a gateway gives after its Close.
var errClosed = errors.New("the gateway is closed")

// longestUnused is the client that was used longest ago, of those that no
// request has in hand if there are any.
func (c *cache) longestUnused() *list.Element {
	for e := c.order.Back(); e != c.order.Front(); e = e.Prev() {
		if !e.Value.(*Client).inUse() {
			return e
		}
	}
	return c.order.Back()
}

// remove takes a client out, under the lock.
func (c *cache) remove(e *list.Element) *Client {
	client := c.order.Remove(e).(*Client)
	delete(c.clients, client.tenant)
	return client
}

// retire closes clients, now or when their last user leaves.
func (c *cache) retire(clients []*Client) {
	for _, client := range clients {
		if err := client.retire(); err != nil {
			c.log.Error("database not closed", attrTenant, string(client.tenant), attrErr, err)
		}
	}
}

// Attributes of the log.
const (
	attrTenant = "tenant"
	attrErr    = "err"
)

// open makes the first connection of a client, for all who wait for it. A
// client that cannot be opened is not kept.
func (c *cache) open(ctx context.Context, client *Client) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	defer close(client.opened)
	defer func() {
		if client.err != nil {
			c.drop(client)
		}
	}()
	var conn database.Conn
	if conn, client.err = client.connect(ctx); client.err == nil {
		client.mu.Lock()
		client.idle = append(client.idle, conn)
		client.mu.Unlock()
	}
}

// drop takes a client out if it is still the one that is kept.
func (c *cache) drop(client *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.clients[client.tenant]; ok && e.Value.(*Client) == client {
		c.remove(e)
	}
}

// forget closes a tenant's client.
func (c *cache) forget(tenant protocol.TenantID) {
	c.mu.Lock()
	var out []*Client
	if e, ok := c.clients[tenant]; ok {
		out = append(out, c.remove(e))
	}
	c.mu.Unlock()
	c.retire(out)
}

// sweep closes what is too old or was not used for long. A client that a
// request has in hand is closed when that ends.
func (c *cache) sweep() {
	now := c.now()
	var out []*Client
	c.mu.Lock()
	for e := c.order.Back(); e != nil; {
		client, before := e.Value.(*Client), e.Prev()
		if now.Sub(client.since) >= c.ttl || now.Sub(client.used) >= c.idle && !client.inUse() {
			out = append(out, c.remove(e))
		}
		e = before
	}
	c.mu.Unlock()
	c.retire(out)
}

// close closes all clients, those that are used when their users leave.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	var out []*Client
	for e := c.order.Front(); e != nil; e = c.order.Front() {
		out = append(out, c.remove(e))
	}
	c.mu.Unlock()
	c.retire(out)
}
