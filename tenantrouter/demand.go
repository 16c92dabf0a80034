package tenantrouter

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// Demand is what a deployment asks of a tenant's quotas.
type Demand struct {
	ObjectsBefore, Objects int64
	Bundle                 string // digest of the one that it brings, where that is another; else empty
	Pages                  int64  // new pages that it takes at the least
	Grows                  bool   // it writes more than metadata
	Seeds                  []SeedDemand
}

// SeedDemand is what a deployment may load into one object.
type SeedDemand struct {
	Object, Table string
	New           bool // the deployment makes the table
	Finds         []string
}

// Check holds a deployment against the quotas before it starts. It measures
// only what a limit is set for and what the deployment adds to. Its error is a
// *QuotaError, beside the checks, or that of a measurement.
//
// What goes back to a bundle that the tenant had before exceeds no quota: it
// must always be possible to take a change back.
func (q Quotas) Check(ctx context.Context, conn database.Conn, now time.Time, d Demand) ([]Check, error) {
	var checks []Check
	if limit := q.Limits.MaxObjects; limit != nil && d.Objects != d.ObjectsBefore {
		checks = append(checks, Check{Quota: "maxObjects", Used: d.ObjectsBefore, Would: d.Objects, Limit: *limit})
	}
	for _, measure := range []func(context.Context, database.Conn, time.Time, Demand) ([]Check, error){q.deployments, q.bytes, q.records} {
		more, err := measure(ctx, conn, now, d)
		if err != nil {
			return nil, fmt.Errorf("measure for quotas: %w", err)
		}
		checks = append(checks, more...)
	}
	over := exceeded(checks)
	if over == nil || d.Bundle == "" {
		return checks, over
	}
	had, err := hadBundle(ctx, conn, d.Bundle)
	switch {
	case err != nil:
		return nil, fmt.Errorf("measure for quotas: %w", err)
	case had:
		return nil, nil
	}
	return checks, over
}

// hadBundle tells whether a bundle was deployed to the tenant before.
func hadBundle(ctx context.Context, conn database.Conn, digest string) (bool, error) {
	if there, err := hasJournal(ctx, conn); !there {
		return false, err
	}
	n, err := number(ctx, conn, "SELECT EXISTS (SELECT 1 FROM _reconciler_journal WHERE bundle = ?)", digest)
	return n > 0, err
}

func hasJournal(ctx context.Context, conn database.Conn) (bool, error) {
	n, err := number(ctx, conn, "SELECT count(*) FROM sqlite_master WHERE name = '_reconciler_journal'")
	return n > 0, err
}

func (q Quotas) deployments(ctx context.Context, conn database.Conn, now time.Time, d Demand) ([]Check, error) {
	limit := q.Limits.MaxDeploymentsPerDay
	if limit == nil || d.Bundle == "" {
		return nil, nil
	}
	c := Check{Quota: "maxDeploymentsPerDay", Limit: *limit}
	there, err := hasJournal(ctx, conn)
	if there {
		c.Used, err = deploymentsSince(ctx, conn, midnight(now))
	}
	c.Would = c.Used + 1
	return []Check{c}, err
}

func (q Quotas) bytes(ctx context.Context, conn database.Conn, _ time.Time, d Demand) ([]Check, error) {
	limit := StorageLimit(q.Limits)
	if limit == nil || !d.Grows {
		return nil, nil
	}
	used, err := storage(ctx, conn)
	if err != nil {
		return nil, err
	}
	size, err := number(ctx, conn, "PRAGMA page_size")
	return []Check{{Quota: "maxStorageBytes", Used: used, Would: used + d.Pages*size, Limit: *limit}}, err
}

// records checks the objects that seed data goes to. A record counts when no
// row has its key yet, and none counts where that cannot be asked before the
// plan has run: then the transaction decides.
func (q Quotas) records(ctx context.Context, conn database.Conn, _ time.Time, d Demand) ([]Check, error) {
	var checks []Check
	for _, s := range d.Seeds {
		for _, c := range q.limitsOf(s) {
			if !s.New {
				var err error
				if c.Used, err = countFor(ctx, conn, s.Table, c.Limit); err != nil {
					c.Used = 0 // the plan renames a table to it
					continue
				}
			}
			c.Would = c.Used + int64(len(s.Finds))
			if !s.New && c.Would > c.Limit {
				c.Would = c.Used + inserted(ctx, conn, s.Finds)
			}
			checks = append(checks, c)
		}
	}
	return checks, nil
}

// limitsOf are the quotas that bound the rows of an object.
func (q Quotas) limitsOf(s SeedDemand) (checks []Check) {
	if limit := q.Limits.MaxRecordsPerObject; limit != nil {
		checks = append(checks, Check{Quota: "maxRecordsPerObject", Object: s.Object, Limit: *limit})
	}
	if limit := q.Limits.MaxUsers; limit != nil && s.Object == q.Users {
		checks = append(checks, Check{Quota: "maxUsers", Limit: *limit})
	}
	return checks
}

// countFor counts the rows of a table for a limit: exactly up to that, else as
// Usage does.
func countFor(ctx context.Context, conn database.Conn, table string, limit int64) (int64, error) {
	n, err := countUpTo(ctx, conn, table, limit+1)
	if err != nil || n <= limit {
		return n, err
	}
	return rowsOf(ctx, conn, table)
}

// inserted counts the records that would be new rows, 0 when one cannot be
// asked for.
func inserted(ctx context.Context, conn database.Conn, finds []string) (n int64) {
	for _, find := range finds {
		rows, err := conn.Query(ctx, find)
		if err != nil {
			return 0
		}
		if len(rows.Values) > 0 && rows.Values[0][0] == nil {
			n++
		}
	}
	return n
}

// Watch holds a deployment against quotas inside its transaction, where its
// rows are there to be counted.
type Watch struct {
	quotas Quotas
	demand Demand
	before []Check
}

// Watch returns what watches a deployment that Check has let pass.
func (q Quotas) Watch(d Demand) *Watch { return &Watch{quotas: q, demand: d} }

// Begin measures once the transaction has begun.
func (w *Watch) Begin(ctx context.Context, conn database.Conn) (err error) {
	w.before, err = w.measure(ctx, conn, true)
	return err
}

// End measures before the transaction commits. A *QuotaError says that it must
// not.
func (w *Watch) End(ctx context.Context, conn database.Conn) error {
	after, err := w.measure(ctx, conn, false)
	if err != nil {
		return err
	}
	for i := range after {
		after[i].Used = w.before[i].Would
	}
	return exceeded(after)
}

// measure counts, as Would, what the deployment may add to.
func (w *Watch) measure(ctx context.Context, conn database.Conn, before bool) ([]Check, error) {
	var checks []Check
	add := func(c Check, err error) error {
		checks = append(checks, c)
		return err
	}
	if limit := StorageLimit(w.quotas.Limits); limit != nil && w.demand.Grows {
		bytes, err := storage(ctx, conn)
		if add(Check{Quota: "maxStorageBytes", Would: bytes, Limit: *limit}, err) != nil {
			return nil, fmt.Errorf("measure for quotas: %w", err)
		}
	}
	for _, s := range w.demand.Seeds {
		for _, c := range w.quotas.limitsOf(s) {
			var err error
			if c.Would, err = countFor(ctx, conn, s.Table, c.Limit); before && err != nil {
				if c.Would, err = 0, nil; !s.New {
					c.Would = math.MaxInt64 // a table is renamed to it: nobody knows whether rows are added
				}
			}
			if add(c, err) != nil {
				return nil, fmt.Errorf("measure for quotas: %w", err)
			}
		}
	}
	return checks, nil
}
