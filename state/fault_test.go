package state_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Every statement of a store's life fails once, in each of three ways. Half a
// call is never seen, and running the calls again gives the content of a
// store that never failed.
func TestFailureAtEachStatement(t *testing.T) {
	whole := open(t, filepath.Join(t.TempDir(), "state.db"))
	must(t, work(t.Context(), whole))
	want := contents(t, whole)
	for name, fault := range map[string]failing{
		"the statement does not run":             {},
		"the statement runs and is not heard of": {after: true},
		"the connection is gone":                 {forGood: true},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				fault.left = n
				path := filepath.Join(t.TempDir(), "state.db")
				failed := workWith(t, path, fault)
				s := open(t, path)
				if !failed {
					if n < 20 {
						t.Errorf("only %d statements ran", n)
					}
					return
				}
				atomic(t, n, s)
				must(t, work(t.Context(), s))
				if diff := cmp.Diff(want, contents(t, s)); diff != "" {
					t.Errorf("after a failure at statement %d, -want +got:\n%s", n, diff)
				}
				must(t, s.Close())
			}
		})
	}
}

// workWith does the work on a connection with a fault, and again after it when
// the connection survives. It reports whether the fault was met.
func workWith(t *testing.T, path string, fault failing) bool {
	t.Helper()
	fault.Conn = connect(t, path)
	s, err := state.OpenConn(t.Context(), &fault, path, state.Options{})
	if err == nil {
		if err = work(t.Context(), s); errors.Is(err, errFault) && !fault.forGood {
			must(t, work(t.Context(), s))
		}
	}
	must(t, fault.Close())
	if err != nil && !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	return err != nil
}

// work is a piece of a store's life. It may be done twice.
func work(ctx context.Context, s *state.Store) error {
	for _, call := range []func() error{
		func() error { return s.SavePass(ctx, state.Pass{Kind: "sync", Status: state.Running}) },
		func() error { return s.SaveBundle(ctx, "bundle", []byte("body")) },
		func() error { return s.SavePlan(ctx, state.Plan{Digest: "plan", Class: "class", Body: []byte("{}")}) },
		func() error { return s.SaveDeployment(ctx, deployment("acme", 1, protocol.DeployMigrating)) },
		func() error { return s.SaveDeployment(ctx, deployment("acme", 1, protocol.DeployReady)) },
		func() error { return s.SaveObserved(ctx, observation("acme", "1"), observation("globex", "1")) },
		func() error {
			return s.Replace(ctx, "acme", []state.Deployment{
				deployment("acme", 2, protocol.DeployReady), deployment("acme", 3, protocol.DeployReady),
			}, observation("acme", "2"))
		},
		func() error { return s.SaveTags(ctx, map[string]string{"crm/v1": "aaaa", "crm/v2": "bbbb"}) },
		func() error { return s.SavePass(ctx, state.Pass{Kind: "sync", Status: state.Succeeded, Tenants: 2}) },
		func() error { return s.Approve(ctx, state.Approval{Plan: "plan", Actor: "ada", At: began}) },
		func() error { return s.SetHold(ctx, hold("acme")) },
		func() error { return s.SetHold(ctx, hold("globex")) },
		func() error {
			_, err := s.EndHold(ctx, hold("acme"), state.Event{Kind: state.EventReleased, At: began})
			return err
		},
		func() error { return s.Confirm(ctx, state.Confirmation{Revision: "r1", Actor: "ada", At: began}) },
	} {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

// atomic checks that the store shows each call of work whole or not at all.
func atomic(t *testing.T, n int, s *state.Store) {
	t.Helper()
	observed, err := s.Observed(t.Context())
	must(t, err)
	list, err := s.Deployments(t.Context(), "acme", 0)
	must(t, err)
	seen := fmt.Sprintf("%d observed, message %q, %d deployments", len(observed), observed["acme"].Message, len(list))
	switch seen {
	case "0 observed, message \"\", 0 deployments",
		"0 observed, message \"\", 1 deployments",
		"2 observed, message \"1\", 1 deployments",
		"2 observed, message \"2\", 2 deployments":
	default:
		t.Errorf("after a failure at statement %d: %s", n, seen)
	}
	_, plan := s.Plan(t.Context(), "plan")
	_, class := s.PlanByClass(t.Context(), "class")
	if (plan == nil) != (class == nil) {
		t.Errorf("after a failure at statement %d: plan %v, class %v", n, plan, class)
	}
	for _, tenant := range []protocol.TenantID{"acme", "globex"} {
		events, err := s.Events(t.Context(), state.EventQuery{Tenant: tenant, Limit: 1})
		must(t, err)
		holds, err := s.Holds(t.Context())
		must(t, err)
		held := slices.ContainsFunc(holds, func(h state.Hold) bool { return h.Tenant == tenant })
		if told := len(events) > 0 && events[0].Kind == state.EventHeld; held != told {
			t.Errorf("after a failure at statement %d: held %v, and the last event is %v", n, held, events)
		}
	}
}

// contents is all that work has saved.
func contents(t *testing.T, s *state.Store) []any {
	t.Helper()
	ctx := t.Context()
	list, err := s.Deployments(ctx, "acme", 0)
	must(t, err)
	observed, err := s.Observed(ctx)
	must(t, err)
	plan, err := s.PlanByClass(ctx, "class")
	must(t, err)
	bundle, err := s.Bundle(ctx, "bundle")
	must(t, err)
	pass, _, err := s.LastPass(ctx)
	must(t, err)
	holds, err := s.Holds(ctx)
	must(t, err)
	approvals, err := s.Approvals(ctx, "")
	must(t, err)
	return []any{list, observed, plan, bundle, pass, holds, approvals}
}

func hold(tenant protocol.TenantID) state.Hold {
	return state.Hold{Tenant: tenant, Owner: "ada", Reason: "why", SetAt: began}
}

var errFault = errors.New("fault")

// failing is a connection on which the statement fails that brings left to 0.
type failing struct {
	database.Conn
	left    int
	after   bool // it runs, and then fails
	forGood bool // and so does every later one
}

func (f *failing) Exec(ctx context.Context, sql string, args ...any) (changed int64, err error) {
	err = f.run(func() error { changed, err = f.Conn.Exec(ctx, sql, args...); return err })
	return changed, err
}

func (f *failing) Query(ctx context.Context, sql string, args ...any) (rows database.Rows, err error) {
	err = f.run(func() error { rows, err = f.Conn.Query(ctx, sql, args...); return err })
	return rows, err
}

func (f *failing) run(statement func() error) error {
	f.left--
	switch {
	case f.left == 0 && f.after:
		return errors.Join(statement(), errFault)
	case f.left == 0, f.left < 0 && f.forGood:
		return errFault
	}
	return statement()
}
