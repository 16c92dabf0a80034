package tenantrouter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

// Errors about a tenant that is known and not served. A caller can match
// them, protocol.ErrUnknownTenant, and those of package identity.
var (
	ErrSuspended    = errors.New("the tenant is suspended")
	ErrProvisioning = errors.New("the tenant is not ready yet")
	ErrFailed       = errors.New("the tenant could not be set up")
	ErrDestroying   = errors.New("the tenant is being removed")
	ErrOverQuota    = errors.New("the tenant is over its quota")
	ErrQuota        = errors.New("the tenant's quota does not allow it")
	// ErrNotRouted is a use of a context that Middleware has not made.
	ErrNotRouted = errors.New("the request was not routed to a tenant")
)

// Errors of statements that an application can match.
var (
	ErrBusy       = database.ErrBusy
	ErrConstraint = database.ErrConstraint
	ErrReadOnly   = database.ErrReadOnly
	ErrClosed     = database.ErrClosed
)

// RateError says that a tenant has sent more requests than its apiRateLimit.
// It matches ErrOverQuota.
type RateError struct {
	Tenant protocol.TenantID
	Limit  int64         // requests a minute
	After  time.Duration // until the next one is let in
}

func (e *RateError) Error() string {
	return fmt.Sprintf("tenant %q: more than %d requests a minute", e.Tenant, e.Limit)
}

// Unwrap makes it match ErrOverQuota.
func (e *RateError) Unwrap() error { return ErrOverQuota }

// answers says how each error is told to a client. The first row that matches
// counts. The text of the sentinel is the message: what else an error says, such
// as a path, is for the log.
var answers = []struct {
	err    error
	status int
	code   string
}{
	{identity.ErrConflict, http.StatusForbidden, "cross_tenant"},
	{identity.ErrMalformed, http.StatusBadRequest, "malformed_identity"},
	{identity.ErrKeys, http.StatusServiceUnavailable, "unavailable"},
	{identity.ErrToken, http.StatusUnauthorized, "unauthenticated"},
	{identity.ErrMissing, http.StatusUnauthorized, "unauthenticated"},
	{protocol.ErrUnknownTenant, http.StatusNotFound, "unknown_tenant"},
	{ErrSuspended, http.StatusForbidden, "tenant_suspended"},
	{ErrProvisioning, http.StatusServiceUnavailable, "tenant_provisioning"},
	{ErrFailed, http.StatusServiceUnavailable, "tenant_failed"},
	{ErrDestroying, http.StatusGone, "tenant_destroying"},
	{ErrOverQuota, http.StatusTooManyRequests, "over_quota"},
	{ErrQuota, http.StatusForbidden, "quota_exceeded"},
	{database.ErrReadOnly, http.StatusForbidden, "read_only"},
	{database.ErrBusy, http.StatusServiceUnavailable, "busy"},
	{ErrNotServed, http.StatusServiceUnavailable, "unavailable"},
	{ErrOwnedElsewhere, http.StatusServiceUnavailable, "unavailable"},
	{ErrHost, http.StatusServiceUnavailable, "unavailable"},
	{database.ErrAway, http.StatusServiceUnavailable, "unavailable"},
	{ErrOutside, http.StatusServiceUnavailable, "unavailable"},
	{database.ErrMissing, http.StatusServiceUnavailable, "unavailable"},
	{errClosed, http.StatusServiceUnavailable, "unavailable"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "unavailable"},
}

// Answer returns how an error is told to a client: the status, a code for
// programs, and a message that holds nothing of the request, the database or
// the machine. ok is false for an error that is none of a client's business; it
// is a 500 and belongs into the log.
func Answer(err error) (status int, code, message string, ok bool) {
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.status, a.code, a.err.Error(), true
		}
	}
	return http.StatusInternalServerError, "internal", "the request failed", false
}

// WriteError tells a client an error, as Middleware does:
// {"error":{"code","message"}}, with Retry-After where waiting helps.
func WriteError(w http.ResponseWriter, err error) {
	status, code, message, _ := Answer(err)
	header := w.Header()
	var rate *RateError
	switch {
	case errors.As(err, &rate):
		header.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(rate.After.Seconds())))))
	case status == http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	case status == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	}
	body, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message}}) // strings cannot fail
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
