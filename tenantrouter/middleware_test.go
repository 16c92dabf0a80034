package tenantrouter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Each request gets its own tenant's database, and the protocol's context.
func TestMiddleware(t *testing.T) {
	limit := int64(600)
	h := newHouse(t, nil)
	h.add("acme", func(r *tenantrouter.Record) {
		r.Plan, r.Quotas = protocol.PlanPro, &protocol.TenantQuota{APIRateLimit: &limit}
	})
	h.add("globex", nil)
	for _, id := range []string{"acme", "globex", "acme"} {
		if got := h.get(id, whose); got.Code != http.StatusOK || got.Body.String() != "database of "+id {
			t.Errorf("%s: got %d %s", id, got.Code, got.Body)
		}
	}
	h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		if tenant.TenantID != "acme" || tenant.TenantPlan != protocol.PlanPro || *tenant.TenantQuotas.APIRateLimit != 600 ||
			tenant.TenantRegion != "eu-west" || tenant.Schema.Revision != "0123abcd" || tenant.Identity.By != protocol.ResolveHeader {
			t.Errorf("got %+v", tenant)
		}
		text, err := json.Marshal(tenant.TenantRuntimeContext)
		must(t, err)
		if _, report := shape.ParseJSON[protocol.TenantRuntimeContext](text, shape.Strict); len(report.Issues) > 0 {
			t.Errorf("%s is no context of the protocol: %v", text, report.Issues)
		}
	})
	if got := h.gateway.RequestsThisMinute("acme"); got < 1 || got > 3 {
		t.Errorf("%d requests were counted, want 3 or those of a minute that has just begun", got)
	}
}

func TestFromContextWithoutMiddleware(t *testing.T) {
	if _, err := tenantrouter.FromContext(t.Context()); !errors.Is(err, tenantrouter.ErrNotRouted) {
		t.Errorf("got %v, want ErrNotRouted", err)
	}
}

// Who is not served hears why, in one form; the handler is never asked.
func TestMiddlewareRefuses(t *testing.T) {
	h := newHouse(t, nil)
	for id, status := range map[protocol.TenantID]protocol.TenantProvisioningStatus{
		"suspended": protocol.TenantSuspended, "new": protocol.TenantProvisioning,
		"failed": protocol.TenantFailed, "going": protocol.TenantDestroying, "odd": "sleeping",
	} {
		h.add(id, func(r *tenantrouter.Record) { r.Status = status })
	}
	h.records.Put(tenantrouter.Record{ID: "lost", Status: protocol.TenantActive})
	h.records.Put(tenantrouter.Record{
		ID: "remote", Status: protocol.TenantActive,
		Connection: &protocol.TenantConnectionConfig{URL: "libsql://remote.example"},
	})
	never := func(http.ResponseWriter, *http.Request) { t.Error("the handler was asked") }
	for _, test := range []struct {
		tenant  string
		status  int
		code    string
		handler http.HandlerFunc
	}{
		{"", 401, "unauthenticated", never},
		{"Nobody!", 400, "malformed_identity", never},
		{"nobody", 404, "unknown_tenant", never},
		{"suspended", 403, "tenant_suspended", never},
		{"new", 503, "tenant_provisioning", never},
		{"failed", 503, "tenant_failed", never},
		{"odd", 503, "tenant_failed", never},
		{"going", 410, "tenant_destroying", never},
		{"remote", 503, "unavailable", never},
		{"lost", 503, "unavailable", whose}, // its file is opened with the first connection
	} {
		got := h.get(test.tenant, test.handler)
		wantError(t, got, test.status, test.code)
		if strings.Contains(got.Body.String(), h.data) {
			t.Errorf("%s: got %s, which names a path", test.tenant, got.Body)
		}
	}
}

// Where the protocol's configuration keeps a suspended tenant's tokens, it can
// read and nothing else.
func TestSuspendedReads(t *testing.T) {
	h := newHouse(t, func(o *tenantrouter.Options) { o.OnSuspend = &protocol.TenantSuspendHook{ReadOnly: true} })
	h.add("acme", func(r *tenantrouter.Record) { r.Status = protocol.TenantSuspended })
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	for _, sql := range []string{"DELETE FROM who", "CREATE TABLE more (a)", "PRAGMA user_version = 7"} {
		got := h.get("acme", func(w http.ResponseWriter, r *http.Request) {
			tenant, err := tenantrouter.FromContext(r.Context())
			must(t, err)
			_, err = tenant.Exec(r.Context(), "PRAGMA query_only = 0")
			must(t, err)
			_, err = tenant.Exec(r.Context(), sql)
			tenantrouter.WriteError(w, err)
		})
		wantError(t, got, http.StatusForbidden, "read_only")
	}
}

// A tenant that is suspended while a request has its connection keeps that to
// the end, and gets no other.
func TestSuspendedMeanwhile(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	got := h.get("acme", func(w http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		lease, err := tenant.Conn(r.Context())
		must(t, err)
		defer lease.Close()
		_, err = lease.Exec(r.Context(), "BEGIN IMMEDIATE")
		must(t, err)
		h.change("acme", func(r *tenantrouter.Record) { r.Status = protocol.TenantSuspended })
		h.gateway.InvalidateCache("acme")
		wantError(t, h.get("acme", whose), http.StatusForbidden, "tenant_suspended")
		_, err = lease.Exec(r.Context(), "INSERT INTO who VALUES ('late')")
		must(t, err)
		_, err = lease.Exec(r.Context(), "COMMIT")
		must(t, err)
		rows, err := tenant.Query(r.Context(), "SELECT count(*) FROM who") // a second connection
		must(t, err)
		if rows.Values[0][0] != int64(2) {
			t.Errorf("got %v rows, want 2", rows.Values[0][0])
		}
		fmt.Fprint(w, "done")
	})
	if got.Body.String() != "done" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	wantNoHandles(t, h)
}

// More requests than apiRateLimit a minute are told when to come again; what
// the limit lets in comes back with time, and a changed limit counts.
func TestRateLimit(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	h := newHouse(t, func(o *tenantrouter.Options) { o.Now = func() time.Time { return now } })
	limit := int64(3)
	h.add("acme", func(r *tenantrouter.Record) { r.Quotas = &protocol.TenantQuota{APIRateLimit: &limit} })
	h.add("globex", nil)
	for range 3 {
		if got := h.get("acme", whose); got.Code != http.StatusOK {
			t.Fatalf("got %d %s within the limit", got.Code, got.Body)
		}
	}
	got := h.get("acme", whose)
	wantError(t, got, http.StatusTooManyRequests, "over_quota")
	if after := got.Header().Get("Retry-After"); after != "20" {
		t.Errorf("got Retry-After %q, want 20", after)
	}
	if got := h.get("globex", whose); got.Code != http.StatusOK {
		t.Errorf("another tenant got %d", got.Code)
	}
	now = now.Add(20 * time.Second)
	if got := h.get("acme", whose); got.Code != http.StatusOK {
		t.Errorf("got %d after the time that Retry-After says", got.Code)
	}
	wantError(t, h.get("acme", whose), http.StatusTooManyRequests, "over_quota")
	more := int64(6000)
	h.change("acme", func(r *tenantrouter.Record) { r.Quotas = &protocol.TenantQuota{APIRateLimit: &more} })
	now = now.Add(2 * time.Second)
	if got := h.get("acme", whose); got.Code != http.StatusOK {
		t.Errorf("got %d with a higher limit", got.Code)
	}
	if got := h.gateway.RequestsThisMinute("acme"); got != 5 {
		t.Errorf("%d requests were let in, want 5", got)
	}
}
