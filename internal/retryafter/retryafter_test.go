package retryafter_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/retryafter"
)

func TestOf(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-1": 0, "0": 0, "7": 7 * time.Second, "9000000000000000000": time.Minute,
		"Sat, 28 Nov 2026 12:00:09 GMT": 9 * time.Second, "Sat, 28 Nov 2026 11:00:00 GMT": 0, "Sat, 28 Nov 2099 12:00:00 GMT": time.Minute,
	} {
		if got := retryafter.Of(http.Header{"Retry-After": {value}}, now, time.Minute); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}
