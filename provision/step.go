package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// The operations, as they are recorded.
const (
	opProvision = "provision"
	opSuspend   = "suspend"
	opResume    = "resume"
	opDestroy   = "destroy"
)

// operation is one change of a tenant's life.
type operation struct {
	name   string
	during protocol.TenantProvisioningStatus // the tenant's status from its first step
	after  protocol.TenantProvisioningStatus // and after its last one
	failed protocol.TenantProvisioningStatus // and after a step that failed; empty for during
	steps  []step
	end    func(*state.Lifecycle) // what else its end changes; may be nil
	forget bool                   // its end is that of the tenant's record
	done   []state.Event          // recorded together with its end
}

// step is one part of an operation. It may run again after a crash, and again
// after it has ended: it must then find its work done.
type step struct {
	name string
	run  func(context.Context) error
}

// What a step answers that has not failed.
var (
	errSkipped = errors.New("there is nothing to do")
	errAbsent  = fmt.Errorf("%w: the database does not exist", errSkipped)
	errWaiting = errors.New("its time has not come")
)

// carry runs the steps of an operation that are not done, and records each
// before the next one begins. An operation that is recorded as begun goes on.
// It returns whether the operation has come to its end: a step that waits
// leaves it open without an error.
func (s *Service) carry(ctx context.Context, t *state.Tenant, op operation) (bool, error) {
	l := &t.Lifecycle
	if l.Operation != op.name || !sameSteps(l.Steps, op.steps) || ended(l.Steps) {
		l.Operation, l.Steps = op.name, pending(op.steps)
	}
	s.become(l, op.during)
	for i, step := range op.steps {
		at := &l.Steps[i]
		if done(at.Status) {
			continue
		}
		began := s.Now()
		at.Status, at.StartedAt, at.CompletedAt, at.DurationMs, at.Error = protocol.StepRunning, stamp(began), "", nil, ""
		if err := s.save(ctx, *t); err != nil {
			return false, err
		}
		s.OnStep(t.ID, step.name)
		err := step.run(ctx)
		s.OnStep(t.ID, step.name)
		if errors.Is(err, errWaiting) {
			*at = protocol.ProvisioningStep{Name: step.name, Status: protocol.StepPending}
			return false, s.save(ctx, *t)
		}
		s.end(at, began, err)
		if at.Status == protocol.StepFailed {
			s.become(l, op.failed)
			return false, errors.Join(err, s.save(ctx, *t))
		}
	}
	s.become(l, op.after)
	if op.end != nil {
		op.end(l)
	}
	for i := range op.done {
		op.done[i].At = s.Now() // its end, not its beginning
	}
	var err error
	if op.forget {
		err = s.tell(s.Store.ForgetTenant(context.WithoutCancel(ctx), t.ID, op.done...), op.done)
	} else {
		err = s.save(ctx, *t, op.done...)
	}
	s.OnStep(t.ID, op.name)
	s.OnChange(t.ID)
	return err == nil, err
}

// save records a lifecycle, whatever has become of the caller: what was done
// must not be done again.
func (s *Service) save(ctx context.Context, t state.Tenant, events ...state.Event) error {
	return s.tell(s.Store.SaveLifecycle(context.WithoutCancel(ctx), t.ID, t.Lifecycle, events...), events)
}

// tell logs what has become of a tenant, once that is recorded. Of one that was
// provisioned its deployment tells, which is a step of it.
func (s *Service) tell(err error, events []state.Event) error {
	for _, e := range events {
		if err == nil && e.Kind != state.EventProvisioned {
			s.Log.Info("lifecycle changed", logTenant, string(e.Tenant), logStatus, e.Kind, logReason, e.Reason)
		}
	}
	return err
}

func (s *Service) become(l *state.Lifecycle, status protocol.TenantProvisioningStatus) {
	if status != "" && l.Status != status {
		l.Status, l.StatusSince = status, s.Now()
	}
}

func (s *Service) end(at *protocol.ProvisioningStep, began time.Time, err error) {
	now := s.Now()
	elapsed := max(0, now.Sub(began).Milliseconds())
	at.Status, at.CompletedAt, at.DurationMs = protocol.StepCompleted, stamp(now), &elapsed
	switch {
	case errors.Is(err, errSkipped):
		at.Status = protocol.StepSkipped
	case err != nil:
		at.Status, at.Error = protocol.StepFailed, err.Error()
	}
}

// stamp is a time as the protocol writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func done(s protocol.StepStatus) bool {
	return s == protocol.StepCompleted || s == protocol.StepSkipped
}

func ended(steps []protocol.ProvisioningStep) bool {
	return !slices.ContainsFunc(steps, func(at protocol.ProvisioningStep) bool { return !done(at.Status) })
}

// Halfway tells that a tenant was begun to be suspended or resumed, and neither is
// done: its status says what it was before, and its database may be either.
func Halfway(l state.Lifecycle) bool {
	return (l.Operation == opSuspend || l.Operation == opResume) && !ended(l.Steps)
}

func sameSteps(recorded []protocol.ProvisioningStep, steps []step) bool {
	return slices.EqualFunc(recorded, steps, func(at protocol.ProvisioningStep, s step) bool { return at.Name == s.name })
}

func pending(steps []step) []protocol.ProvisioningStep {
	list := make([]protocol.ProvisioningStep, len(steps))
	for i, s := range steps {
		list[i] = protocol.ProvisioningStep{Name: s.name, Status: protocol.StepPending}
	}
	return list
}
