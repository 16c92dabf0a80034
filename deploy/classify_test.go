package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/reason"
)

// A process that is told to end while it waits for a server says so, and not that
// the server is away; one that is too slow is.
func TestInterruptedOnTheWayToAServer(t *testing.T) {
	for _, c := range []struct {
		cause error
		want  string
	}{
		{context.Canceled, reason.Interrupted},
		{context.DeadlineExceeded, reason.ServerAway},
		{errors.New("connection refused"), reason.ServerAway},
	} {
		got := deploy.Fail(fmt.Errorf("read schema: %w", &hrana.AwayError{Host: "acme.example", Err: c.cause}))
		if got.Action != deploy.Failed || got.Reason != c.want {
			t.Errorf("%v: got %v, %s, want %s", c.cause, got.Action, got.Reason, c.want)
		}
	}
}

// Nor is it the fault of a snapshot or a proof that was cut short. A deadline of
// one call is no end of the process.
func TestInterrupted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: %w", apply.ErrSnapshot, context.Canceled), "Interrupted"},
		{fmt.Errorf("%w: %w", apply.ErrProof, context.Canceled), "Interrupted"},
		{context.DeadlineExceeded, "DeploymentFailed"},
	} {
		if got := deploy.Fail(c.err); got.Reason != c.want {
			t.Errorf("%v: got %s, want %s", c.err, got.Reason, c.want)
		}
	}
}
