package tenantrouter

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenantops/reconciler/protocol"
)

// limits counts the requests of tenants and holds them to their apiRateLimit:
// that many at once, and as many again spread over each minute. It counts those
// of this process.
type limits struct {
	now func() time.Time

	mu      sync.Mutex
	tenants map[protocol.TenantID]*requests
}

type requests struct {
	bucket *rate.Limiter // nil for a tenant without a limit
	limit  int64
	minute int64 // since 1970
	count  int64 // let in during that minute
}

// admit counts a request, or gives a RateError.
func (l *limits) admit(tenant protocol.TenantID, quotas *protocol.TenantQuota) error {
	var limit int64
	if quotas != nil && quotas.APIRateLimit != nil {
		limit = *quotas.APIRateLimit
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.tenants[tenant]
	if r == nil {
		r = &requests{}
		l.tenants[tenant] = r
	}
	r.adjust(limit)
	if r.bucket != nil {
		reservation := r.bucket.ReserveN(now, 1)
		if after := reservation.DelayFrom(now); after > 0 {
			reservation.CancelAt(now)
			return &RateError{Tenant: tenant, Limit: limit, After: after}
		}
	}
	if minute := now.Unix() / 60; r.minute != minute {
		r.minute, r.count = minute, 0
	}
	r.count++
	return nil
}

// adjust begins anew with a limit that has changed, so that one who has bought
// more does not wait for it.
func (r *requests) adjust(limit int64) {
	if r.limit == limit {
		return
	}
	r.limit, r.bucket = limit, nil
	if limit > 0 {
		r.bucket = rate.NewLimiter(rate.Limit(float64(limit)/time.Minute.Seconds()), int(limit))
	}
}

// thisMinute is how many requests were let in since the minute began.
func (l *limits) thisMinute(tenant protocol.TenantID) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.tenants[tenant]; r != nil && r.minute == l.now().Unix()/60 {
		return r.count
	}
	return 0
}

// sweep forgets tenants about which a new entry would say the same.
func (l *limits) sweep() {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for tenant, r := range l.tenants {
		full := r.bucket == nil || r.bucket.TokensAt(now) >= float64(r.limit)
		if full && r.minute != now.Unix()/60 {
			delete(l.tenants, tenant)
		}
	}
}
