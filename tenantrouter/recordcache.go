package tenantrouter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenantops/reconciler/protocol"
)

const lookupTime = 10 * time.Second // for one look into the records

// errAborted is what those get who waited for somebody who did not come back.
var errAborted = errors.New("reading or opening ended before it was done")

// remembered are records that were read a moment ago. Those of tenants that
// are not known are not kept, so that made-up ids take no memory.
type remembered struct {
	records Records
	ttl     time.Duration
	now     func() time.Time

	mu      sync.Mutex
	lookups map[protocol.TenantID]*lookup
}

// lookup is one reading of a record, for all who ask while it lasts.
type lookup struct {
	done   chan struct{} // closed when the rest is set
	record Record
	err    error
	until  time.Time
}

// tenant returns a record that was read within the TTL, and after the last
// forget that ended before this call.
func (m *remembered) tenant(ctx context.Context, id protocol.TenantID) (Record, error) {
	m.mu.Lock()
	l := m.lookups[id]
	mine := l == nil || l.over(m.now())
	if mine {
		l = &lookup{done: make(chan struct{}), err: errAborted}
		m.lookups[id] = l
	}
	m.mu.Unlock()
	if mine {
		m.read(context.WithoutCancel(ctx), id, l)
	}
	select {
	case <-l.done:
		return l.record, l.err
	case <-ctx.Done():
		return Record{}, ctx.Err()
	}
}

// over reports whether a reading has ended and is too old.
func (l *lookup) over(now time.Time) bool {
	select {
	case <-l.done:
		return !now.Before(l.until)
	default:
		return false
	}
}

// read does not end with the request that caused it: others wait for it.
func (m *remembered) read(ctx context.Context, id protocol.TenantID, l *lookup) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	defer close(l.done)
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if l.err != nil && m.lookups[id] == l {
			delete(m.lookups, id)
		}
	}()
	l.record, l.err = m.records.Tenant(ctx, id)
	if l.err == nil && l.record.ID != id {
		l.err = fmt.Errorf("tenant %q: the record is that of %q", id, l.record.ID)
	}
	l.until = m.now().Add(m.ttl)
}

func (m *remembered) forget(id protocol.TenantID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lookups, id)
}

// sweep drops what is too old.
func (m *remembered) sweep() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, l := range m.lookups {
		if l.over(m.now()) {
			delete(m.lookups, id)
		}
	}
}
