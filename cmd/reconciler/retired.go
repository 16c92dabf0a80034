package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// retiredAnswer is a column or table that no definition has any more.
type retiredAnswer struct {
	Name         string `json:"name"` // _retired_1_fax
	Was          string `json:"was"`  // account.fax
	Rows         int64  `json:"rows"`
	Bytes        int64  `json:"bytes"`
	RetiredAt    *stamp `json:"retiredAt"`
	PurgeAt      *stamp `json:"purgeAt"`
	DeploymentID string `json:"deploymentId"` // that retired it
}

// keptAnswer is a table that an app left when it was uninstalled.
type keptAnswer struct {
	Table string `json:"table"`
	App   string `json:"app"`
	Rows  int64  `json:"rows"`
}

// keptOf lists the tables in the database of one tenant that apps left, nil
// when that cannot be read now.
func (c *cli) keptOf(ctx context.Context, store *state.Store, tenant protocol.TenantID) []keptAnswer {
	conn, err := c.openTenant(ctx, store, tenant)
	if err != nil {
		return nil
	}
	defer conn.Close()
	kept, err := apply.KeptTables(ctx, conn)
	if err != nil {
		return nil
	}
	list := []keptAnswer{}
	for _, k := range kept {
		list = append(list, keptAnswer{Table: k.Name, App: k.App, Rows: k.Rows})
	}
	return list
}

// kept adds a table of what apps left.
func (p *page) kept(list []keptAnswer) {
	var rows [][]string
	for _, k := range list {
		rows = append(rows, []string{k.Table, k.App, fmt.Sprint(k.Rows)})
	}
	p.table([]string{"KEPT", "OF APP", "ROWS"}, rows)
}

// retiredOf lists what is retired in the database of one tenant, nil when that
// cannot be read now. first is when the
// first of it is due, as the last pass knew.
func (c *cli) retiredOf(ctx context.Context, store *state.Store, tenant protocol.TenantID, first time.Time) []retiredAnswer {
	conn, err := c.openTenant(ctx, store, tenant)
	if err != nil {
		return nil
	}
	defer conn.Close()
	kept, err := apply.Keeps(ctx, conn)
	if err != nil {
		return nil
	}
	var oldest time.Time
	for _, k := range kept {
		if oldest.IsZero() || k.At.Before(oldest) {
			oldest = k.At
		}
	}
	list := []retiredAnswer{}
	for _, k := range kept {
		a := retiredAnswer{Name: k.Name, Was: k.Was, Rows: k.Rows, Bytes: k.Bytes, RetiredAt: stampOf(k.At), DeploymentID: k.Deployment}
		if !first.IsZero() {
			a.PurgeAt = stampOf(k.At.Add(first.Sub(oldest)))
		}
		list = append(list, a)
	}
	return list
}

// retired adds a table of what is retired.
func (p *page) retired(list []retiredAnswer) {
	var rows [][]string
	for _, r := range list {
		rows = append(rows, []string{r.Was, r.Name, fmt.Sprint(r.Rows), fmt.Sprint(r.Bytes), r.RetiredAt.String(), r.PurgeAt.String()})
	}
	p.table([]string{"RETIRED", "KEPT AS", "ROWS", "BYTES", "SINCE", "DROPPED AFTER"}, rows)
}
