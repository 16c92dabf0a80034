package tenantrouter

import (
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
)

// Quotas limit one tenant. The zero value limits nothing, and then nothing is
// measured.
type Quotas struct {
	Limits protocol.TenantQuota
	Users  string // object whose rows are users; empty for none
}

// StorageLimit is the quota of bytes, which has two keys of one meaning: the
// smaller one holds. It is nil when neither is set.
func StorageLimit(q protocol.TenantQuota) *int64 {
	if q.MaxStorageBytes == nil || q.MaxStorage != nil && *q.MaxStorage < *q.MaxStorageBytes {
		return q.MaxStorage
	}
	return q.MaxStorageBytes
}

// Check is one quota held against what an operation would make of it.
type Check struct {
	Quota  string // key of the quota, such as maxObjects
	Object string // of maxRecordsPerObject: the object; else empty
	Used   int64  // now
	Would  int64  // afterwards
	Limit  int64
}

// Exceeded tells that the operation is over the quota. One that does not make
// it worse never is: a tenant whose quota was lowered can still remove things.
func (c Check) Exceeded() bool { return c.Would > c.Limit && c.Would > c.Used }

// Result is the check in the protocol's words.
func (c Check) Result() protocol.QuotaEnforcementResult {
	used, limit := float64(c.Used), float64(c.Limit)
	r := protocol.QuotaEnforcementResult{Allowed: !c.Exceeded(), CurrentUsage: &used, Limit: &limit, Message: c.String()}
	if !r.Allowed {
		r.ExceededQuota = c.Quota
	}
	return r
}

// units say what the number of a quota counts.
var units = map[string]string{
	"maxObjects": "objects", "maxUsers": "users", "maxDeploymentsPerDay": "deployments today",
	"maxStorageBytes": "bytes", "apiRateLimit": "requests this minute",
}

// String is the check in words: `maxObjects: it has 48 objects and would have
// 52, the limit is 50`.
func (c Check) String() string {
	unit := units[c.Quota]
	if c.Object != "" {
		unit = "records of " + c.Object
	}
	return fmt.Sprintf("%s: it has %d %s and would have %d, the limit is %d", c.Quota, c.Used, unit, c.Would, c.Limit)
}

// QuotaError says that an operation would exceed quotas. Nothing was done.
type QuotaError struct{ Checks []Check } // those exceeded

func (e *QuotaError) Error() string {
	texts := make([]string, len(e.Checks))
	for i, c := range e.Checks {
		texts[i] = c.String()
	}
	return "the tenant's quota is exceeded: " + strings.Join(texts, "; ")
}

// Unwrap makes it match ErrQuota.
func (e *QuotaError) Unwrap() error { return ErrQuota }

// Reason and Next explain the error in a tenant's status.
func (e *QuotaError) Reason() string { return reason.QuotaExceeded }

// Next says what to do about the first quota.
func (e *QuotaError) Next() string {
	raise := "raise " + e.Checks[0].Quota + " in quotas of tenant.yaml or in plans of fleet.yaml"
	switch e.Checks[0].Quota {
	case "maxDeploymentsPerDay":
		return "wait: it is tried again until midnight UTC is past; or " + raise
	case "maxObjects":
		return "let the commit bring fewer objects, or " + raise
	case "maxStorageBytes":
		return "make room in the database, or " + raise
	}
	return "remove records or seed fewer, or " + raise
}

// exceeded returns a QuotaError for the checks that are, nil without any.
func exceeded(checks []Check) error {
	var over []Check
	for _, c := range checks {
		if c.Exceeded() {
			over = append(over, c)
		}
	}
	if over == nil {
		return nil
	}
	return &QuotaError{Checks: over}
}
