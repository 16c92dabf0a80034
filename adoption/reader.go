package adoption

import (
	"context"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/schema"
)

// Reader reads many databases and inspects those of one schema text once. It may
// be used by many goroutines.
type Reader struct {
	mu    sync.Mutex
	known map[string]*Schema // by fingerprint
}

// NewReader returns a Reader that has read nothing.
func NewReader() *Reader { return &Reader{known: map[string]*Schema{}} }

// Read is the function Read, for one of many. The result is shared and only read.
func (r *Reader) Read(ctx context.Context, conn database.Conn) (*Schema, error) {
	master, err := schema.ReadMaster(ctx, conn)
	if err != nil {
		return nil, err
	}
	if !master.Reconciled {
		r.mu.Lock()
		known := r.known[master.Fingerprint()]
		r.mu.Unlock()
		if known != nil {
			return known, nil
		}
	}
	read, err := describe(ctx, master)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[master.Fingerprint()] = &read
	return &read, nil
}
