package state_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/state/statetest"
)

func TestStore(t *testing.T) {
	statetest.Exercise(t, func(ctx context.Context, dir string, o state.Options) (statetest.Store, error) {
		return state.Open(ctx, filepath.Join(dir, "state.db"), o)
	})
}
