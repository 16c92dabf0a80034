package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	controlplane "github.com/tenantops/reconciler/provision/control"
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

const serverTime = 10 * time.Second // status does not wait longer for the API of a server

// serverUsageOf asks the server on which a tenant's database was made what that
// has used. It is nil for a database that was not made on one.
func (c *cli) serverUsageOf(ctx context.Context, store *state.Store, tenant protocol.TenantID, policy config.Databases) (*controlplane.Usage, error) {
	placed, ok, err := store.Placement(ctx, tenant)
	databases := c.databases()
	if err != nil || !ok || placed.URL == "" || databases.Server == nil {
		return nil, err
	}
	server, err := databases.Server(policy)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	used, err := provision.UsageOf(ctx, server, placed)
	if err != nil {
		return nil, err
	}
	return &used, nil
}

// policyOf reads fleet.yaml from the repository: that of an empty file without
// one, or where it cannot be read now.
func (c *cli) policyOf(ctx context.Context) config.Fleet {
	if c.settings.Repo == "" {
		return config.Fleet{}
	}
	c.patient = true
	repo, err := c.openRepo(ctx)
	if err != nil {
		return config.Fleet{}
	}
	defer repo.Close()
	_, loaded, err := load(ctx, repo.Repo)
	if err != nil {
		return config.Fleet{}
	}
	return loaded.Config
}

// usage adds a table of what a tenant uses and may use, and of what its server
// counts, which may be nil.
func (p *page) usage(u protocol.TenantUsage, q *protocol.TenantQuota, s *controlplane.Usage) {
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
	if s != nil {
		since := map[string]string{controlplane.UsedEver: "since it was made", controlplane.UsedThisMonth: "this month"}[s.Since]
		add("rows read, "+since, s.RowsRead, nil)
		add("rows written, "+since, s.RowsWritten, nil)
		add("bytes on the server", s.Bytes, nil)
	}
	p.table([]string{"USES", "NOW", "LIMIT"}, rows)
	if limits.MaxRecordsPerObject != nil {
		p.line("at most %s of one object", plural(int(*limits.MaxRecordsPerObject), "record"))
	}
}
