package tenantrouter_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

func TestLimitsOfATenantGoBeforeThoseOfItsPlan(t *testing.T) {
	plans := map[string]protocol.TenantQuota{"free": {MaxObjects: new(int64(50)), MaxUsers: new(int64(5)), MaxStorageBytes: new(int64(1000))}}
	for name, c := range map[string]struct {
		plan protocol.TenantPlan
		own  *protocol.TenantQuota
		want protocol.TenantQuota
	}{
		"nothing of its own":       {"free", nil, plans["free"]},
		"a plan without quotas":    {"pro", nil, protocol.TenantQuota{}},
		"one of its own":           {"free", &protocol.TenantQuota{MaxUsers: new(int64(9))}, protocol.TenantQuota{MaxObjects: new(int64(50)), MaxUsers: new(int64(9)), MaxStorageBytes: new(int64(1000))}},
		"the other key of storage": {"free", &protocol.TenantQuota{MaxStorage: new(int64(5000))}, protocol.TenantQuota{MaxObjects: new(int64(50)), MaxUsers: new(int64(5)), MaxStorage: new(int64(5000))}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tenantrouter.Limits(plans, c.plan, c.own), c.want); diff != "" {
				t.Errorf("limits (-got +want)\n%s", diff)
			}
		})
	}
	if *plans["free"].MaxUsers != 5 {
		t.Error("the plan was changed")
	}
}

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
