package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/state"
)

// bundles keeps in state what was deployed, so that there is a way back
// without git. Tenants that share a bundle share its row.
type bundles struct {
	store *state.Store

	mu    sync.Mutex
	saved map[string]bool // digests that are known to be there
}

// save stores a bundle under its digest, once. It is called before the
// deployment runs: one that commits always has its bundle there.
func (b *bundles) save(ctx context.Context, d *bundle.Desired) error {
	if b.store == nil || b.has(d.Digest) {
		return nil
	}
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("store bundle %.12s: %w", d.Digest, err)
	}
	if err := b.store.SaveBundle(ctx, d.Digest, body); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.saved == nil || len(b.saved) >= maxKnown {
		b.saved = map[string]bool{}
	}
	b.saved[d.Digest] = true
	return nil
}

func (b *bundles) has(digest string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.saved[digest]
}

// load reads what save stored.
func (b *bundles) load(ctx context.Context, digest string) (*bundle.Desired, error) {
	body, err := b.store.Bundle(ctx, digest)
	if errors.Is(err, state.ErrNotFound) {
		return nil, fmt.Errorf("%w; deploy the earlier revision from git instead", err)
	}
	if err != nil {
		return nil, err
	}
	var d bundle.Desired
	numbersKept := json.NewDecoder(bytes.NewReader(body))
	numbersKept.UseNumber() // definitions are registered as they were written
	if err := numbersKept.Decode(&d); err != nil {
		return nil, fmt.Errorf("read stored bundle %.12s: %w", digest, err)
	}
	return &d, nil
}
