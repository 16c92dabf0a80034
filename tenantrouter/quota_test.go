package tenantrouter_test

import (
	"strings"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

func TestTheSmallerStorageLimitHolds(t *testing.T) {
	small, large := int64(1), int64(2)
	for name, c := range map[string]struct {
		quota protocol.TenantQuota
		want  *int64
	}{
		"neither":    {protocol.TenantQuota{}, nil},
		"the older":  {protocol.TenantQuota{MaxStorage: &small}, &small},
		"the newer":  {protocol.TenantQuota{MaxStorageBytes: &large}, &large},
		"both":       {protocol.TenantQuota{MaxStorage: &small, MaxStorageBytes: &large}, &small},
		"both again": {protocol.TenantQuota{MaxStorage: &large, MaxStorageBytes: &small}, &small},
	} {
		if got := tenantrouter.StorageLimit(c.quota); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		check tenantrouter.Check
		over  bool
	}{
		"within":                    {tenantrouter.Check{Used: 1, Would: 2, Limit: 2}, false},
		"over":                      {tenantrouter.Check{Used: 2, Would: 3, Limit: 2}, true},
		"over and less than it was": {tenantrouter.Check{Used: 9, Would: 8, Limit: 2}, false},
		"over as it was":            {tenantrouter.Check{Used: 9, Would: 9, Limit: 2}, false},
	} {
		if got := c.check.Exceeded(); got != c.over {
			t.Errorf("%s: got %t, want %t", name, got, c.over)
		}
	}
	over := tenantrouter.Check{Quota: "maxRecordsPerObject", Object: "user", Used: 2, Would: 3, Limit: 2}
	got := over.Result()
	if got.Allowed || got.ExceededQuota != "maxRecordsPerObject" || *got.CurrentUsage != 2 || *got.Limit != 2 || !strings.Contains(got.Message, "3") {
		t.Errorf("got %+v, want the numbers of %+v", got, over)
	}
}
