package deploy

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/state"
)

// backlog holds deployments that have ended while state was full. Nothing is
// deployed before they are in state, so it never has more of them than were
// under way at the same time. A process that ends loses it, and loses nothing:
// the tenants' journals have what was committed.
type backlog struct {
	store   *state.Store
	mu      sync.Mutex
	waiting []ended
}

type ended struct {
	deployment state.Deployment
	event      state.Event
}

// save records a deployment that has ended, later when there is no room now.
func (b *backlog) save(ctx context.Context, d state.Deployment, e state.Event) error {
	err := b.store.SaveDeployment(ctx, d, e)
	if errors.Is(err, database.ErrFull) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waiting = append(b.waiting, ended{d, e})
	}
	return err
}

// catchUp records what waits, oldest first. With an error nothing new may
// begin.
func (b *backlog) catchUp(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.waiting) > 0 {
		next := b.waiting[0]
		if err := b.store.SaveDeployment(ctx, next.deployment, next.event); err != nil {
			return err
		}
		b.waiting = slices.Delete(b.waiting, 0, 1)
	}
	return nil
}
