package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
)

const (
	maxSignUp = 64 << 10 // bytes; metadata is the longest part
	maxKey    = 255      // bytes of an Idempotency-Key
)

// SignUps provisions tenants. provision.Service has this method.
type SignUps interface {
	SignUp(ctx context.Context, key string, r protocol.TenantProvisioningRequest) (protocol.TenantProvisioningResult, error)
}

// signUp provisions a tenant at once. It answers 201 for one that is active, and
// 202 for one that is not yet, or that failed: the result says which, and the
// same request again tries again.
func (s *server) signUp(w http.ResponseWriter, r *http.Request) error {
	key := r.Header.Values("Idempotency-Key")
	if len(key) > 1 || len(key) == 1 && (key[0] == "" || len(key[0]) > maxKey) {
		return &badRequest{errors.New("Idempotency-Key is to be one of 1 to 255 bytes")}
	}
	var request protocol.TenantProvisioningRequest
	if err := read(w, r, maxSignUp, &request); err != nil {
		return err
	}
	result, err := s.config.SignUps.SignUp(r.Context(), first(key), request)
	switch {
	case errors.Is(err, provision.ErrRequest):
		return &badRequest{err}
	case err != nil:
		return err
	case result.Status != protocol.TenantActive:
		return write(w, http.StatusAccepted, result)
	}
	return write(w, http.StatusCreated, result)
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
