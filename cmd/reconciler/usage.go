package main

import (
	"context"
	"fmt"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// quotaAnswer is one quota held against what a plan would make of it.
type quotaAnswer struct {
	Quota   string  `json:"quota"`  // maxObjects
	Object  *string `json:"object"` // of maxRecordsPerObject
	Used    int64   `json:"used"`
	Would   int64   `json:"would"`
	Limit   int64   `json:"limit"`
	Allowed bool    `json:"allowed"`
}

func quotaAnswerOf(c tenantrouter.Check) quotaAnswer {
	return quotaAnswer{
		Quota: c.Quota, Object: optional(c.Object), Used: c.Used, Would: c.Would, Limit: c.Limit, Allowed: !c.Exceeded(),
	}
}

// usageOf measures what one tenant uses, nil when its database cannot
// be read now.
func (c *cli) usageOf(ctx context.Context, store *state.Store, tenant protocol.TenantID, users string) *protocol.TenantUsage {
	conn, err := c.openTenant(ctx, store, tenant)
	if err != nil {
		return nil
	}
	defer conn.Close()
	usage, err := tenantrouter.Meter{Users: users}.Usage(ctx, conn, tenant)
	if err != nil {
		return nil
	}
	return &usage
}

// quotasOf reads a tenant's quotas as the last pass knew them, nil for none.
func quotasOf(ctx context.Context, store *state.Store, tenant protocol.TenantID) *protocol.TenantQuota {
	known, err := store.Tenant(ctx, tenant)
	if err != nil {
		return nil
	}
	return &known.Quotas
}

// usersOf reads which object's records are users from the repository, empty
// without one or where it cannot be read now.
func (c *cli) usersOf(ctx context.Context) string {
	if c.settings.Repo == "" {
		return ""
	}
	c.patient = true
	repo, err := c.openRepo(ctx)
	if err != nil {
		return ""
	}
	defer repo.Close()
	_, loaded, err := load(ctx, repo.Repo)
	if err != nil {
		return ""
	}
	return loaded.Config.Usage.Users
}

// usage adds a table of what a tenant uses and may use.
func (p *page) usage(u protocol.TenantUsage, q *protocol.TenantQuota) {
	limits := protocol.TenantQuota{}
	if q != nil {
		limits = *q
	}
	var rows [][]string
	add := func(what string, used int64, limit *int64) {
		of := "-"
		if limit != nil {
			of = fmt.Sprint(*limit)
		}
		rows = append(rows, []string{what, fmt.Sprint(used), of})
	}
	add("objects", u.CurrentObjectCount, limits.MaxObjects)
	add("records", u.CurrentRecordCount, nil)
	add("bytes", u.CurrentStorageBytes, tenantrouter.StorageLimit(limits))
	add("deployments today", u.DeploymentsToday, limits.MaxDeploymentsPerDay)
	add("users", u.CurrentUsers, limits.MaxUsers)
	p.table([]string{"USES", "NOW", "LIMIT"}, rows)
	if limits.MaxRecordsPerObject != nil {
		p.line("at most %s of one object", plural(int(*limits.MaxRecordsPerObject), "record"))
	}
}
