package tenantrouter_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// A record that changes counts after RecordTTL without anyone telling: another
// plan reopens the database, a suspension or removal closes it.
func TestRecordsAreReadAgain(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	h := newHouse(t, func(o *tenantrouter.Options) { o.Now = func() time.Time { return now } })
	h.add("acme", nil)
	client := func() any {
		t.Helper()
		c, err := h.gateway.TenantClient(t.Context(), "acme")
		must(t, err)
		return c
	}
	first := client()
	h.change("acme", func(r *tenantrouter.Record) { r.Plan = protocol.PlanPro })
	if client() != first {
		t.Error("the record was read again at once")
	}
	now = now.Add(time.Second)
	if client() == first {
		t.Error("got the client of the plan before")
	}
	if _, err := first.(*tenantrouter.Client).Conn(t.Context()); !errors.Is(err, tenantrouter.ErrClosed) {
		t.Errorf("got %v from the client of before, want ErrClosed", err)
	}
	h.records.Remove("acme")
	now = now.Add(time.Second)
	wantError(t, h.get("acme", whose), http.StatusNotFound, "unknown_tenant")
	wantNoHandles(t, h)
}

// A database file that is another one under the same name is not written to
// through a handle on the one before.
func TestReplacedFileIsReopened(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	h.get("acme", whose)
	for _, path := range []string{"acme.db", "acme.db-wal", "acme.db-shm"} {
		if err := os.Remove(filepath.Join(h.data, "tenants", path)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	wantError(t, h.get("acme", whose), http.StatusServiceUnavailable, "unavailable")
	h.add("acme", nil)
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

// Databases close when nobody has used them for long, and when they were open
// for long.
func TestIdleAndOldDatabasesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(o *tenantrouter.Options) { o.IdleTime, o.TTL = time.Minute, 5*time.Minute })
		defer h.gateway.Close()
		h.add("acme", nil)
		h.get("acme", whose)
		time.Sleep(50 * time.Second)
		if len(handles(t, h.data)) == 0 {
			t.Error("it was closed before its time")
		}
		time.Sleep(40 * time.Second)
		wantNoHandles(t, h)

		client := func() any {
			c, err := h.gateway.TenantClient(t.Context(), "acme")
			must(t, err)
			return c
		}
		first := client()
		for range 7 {
			time.Sleep(40 * time.Second)
			if client() != first {
				t.Fatal("a database that is used was closed")
			}
		}
		time.Sleep(40 * time.Second)
		if client() == first {
			t.Error("a database stays open after its TTL")
		}
	})
}

// slowRecords give the first answer when they are let.
type slowRecords struct {
	tenantrouter.Records
	entered, release chan struct{}
	reads            atomic.Int64
}

func slowly(records tenantrouter.Records) *slowRecords {
	return &slowRecords{Records: records, entered: make(chan struct{}), release: make(chan struct{})}
}

func (s *slowRecords) Tenant(ctx context.Context, id protocol.TenantID) (tenantrouter.Record, error) {
	record, err := s.Records.Tenant(ctx, id) // what is true now
	if s.reads.Add(1) == 1 {
		close(s.entered)
		<-s.release
	}
	return record, err
}

// A record that was being read when the tenant was invalidated is not kept.
func TestInvalidationOvertakesAReading(t *testing.T) {
	var slow *slowRecords
	h := newHouse(t, func(o *tenantrouter.Options) { slow = slowly(o.Records); o.Records = slow })
	h.add("acme", nil)
	done := make(chan error, 1)
	go func() {
		_, err := h.gateway.Resolve(context.Background(), "acme")
		done <- err
	}()
	<-slow.entered
	h.change("acme", func(r *tenantrouter.Record) { r.Status = protocol.TenantSuspended })
	h.gateway.InvalidateCache("acme")
	wantError(t, h.get("acme", whose), http.StatusForbidden, "tenant_suspended")
	close(slow.release)
	must(t, <-done)
	wantError(t, h.get("acme", whose), http.StatusForbidden, "tenant_suspended")
}

// Those who ask at the same time share one reading; the first one's end does
// not end it for the others.
func TestReadingsAreShared(t *testing.T) {
	var slow *slowRecords
	h := newHouse(t, func(o *tenantrouter.Options) {
		slow = slowly(o.Records)
		o.Records, o.RecordTTL = slow, time.Hour
	})
	h.add("acme", nil)
	first, cancel := context.WithCancel(t.Context())
	done := make(chan error, 5)
	resolve := func(ctx context.Context) {
		_, err := h.gateway.Resolve(ctx, "acme")
		done <- err
	}
	go resolve(first)
	<-slow.entered
	for range 4 {
		go resolve(t.Context())
	}
	cancel()
	close(slow.release)
	for range 5 {
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if got := slow.reads.Load(); got != 1 {
		t.Errorf("the record was read %d times", got)
	}
}

// A record of somebody else is no answer.
func TestRecordOfAnotherTenant(t *testing.T) {
	h := newHouse(t, func(o *tenantrouter.Options) { o.Records = confused{} })
	if got := h.get("acme", whose); got.Code != http.StatusInternalServerError {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

type confused struct{}

func (confused) Tenant(context.Context, protocol.TenantID) (tenantrouter.Record, error) {
	return tenantrouter.Record{ID: "globex", Status: protocol.TenantActive}, nil
}
