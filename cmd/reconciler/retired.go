package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
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

// retiredOf lists what is retired in the database of one tenant, nil when that
// is not below the data directory or cannot be read now. first is when the
// first of it is due, as the last pass knew.
func (c *cli) retiredOf(ctx context.Context, tenant protocol.TenantID, first time.Time) []retiredAnswer {
	conn, err := libsql.Open(ctx, filepath.Join(c.settings.Data, "tenants", string(tenant)+".db"), libsql.Options{ReadOnly: true})
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
