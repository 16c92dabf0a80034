package config

import (
	"cmp"

	"github.com/tenantops/reconciler/protocol"
)

// QuotasOf returns the limits of a tenant: those of its plan, and its own, where
// it has any, over them. It shares no limit with either.
func (f Fleet) QuotasOf(plan protocol.TenantPlan, own *protocol.TenantQuota) protocol.TenantQuota {
	q, over := f.Plans[string(plan)], protocol.TenantQuota{}
	if own != nil {
		over = *own
	}
	if over.MaxStorage != nil || over.MaxStorageBytes != nil { // two keys of one meaning
		q.MaxStorage, q.MaxStorageBytes = nil, nil
	}
	limit := func(of func(*protocol.TenantQuota) **int64) {
		if value := cmp.Or(*of(&over), *of(&q)); value != nil {
			n := *value
			*of(&q) = &n
		}
	}
	limit(func(q *protocol.TenantQuota) **int64 { return &q.MaxUsers })
	limit(func(q *protocol.TenantQuota) **int64 { return &q.MaxStorage })
	limit(func(q *protocol.TenantQuota) **int64 { return &q.APIRateLimit })
	limit(func(q *protocol.TenantQuota) **int64 { return &q.MaxObjects })
	limit(func(q *protocol.TenantQuota) **int64 { return &q.MaxRecordsPerObject })
	limit(func(q *protocol.TenantQuota) **int64 { return &q.MaxDeploymentsPerDay })
	limit(func(q *protocol.TenantQuota) **int64 { return &q.MaxStorageBytes })
	return q
}
