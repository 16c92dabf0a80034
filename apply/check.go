package apply

import (
	"context"
	"fmt"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
)

// maxIDs is how many of the rows in the way are named.
const maxIDs = 20

// maxID bounds how much of an id is told, in bytes: it is the tenant's text.
const maxID = 64

// Check asks a plan's pre-checks and returns those that found rows, in the
// plan's order. It writes nothing.
func Check(ctx context.Context, conn database.Conn, p *plan.Plan) ([]Finding, error) {
	return ask(ctx, conn, p.PreChecks)
}

func ask(ctx context.Context, conn database.Conn, checks []plan.PreCheck) ([]Finding, error) {
	var findings []Finding
	for _, check := range checks {
		rows, err := conn.Query(ctx, fmt.Sprintf("SELECT * FROM (%s) LIMIT %d", check.SQL, maxIDs))
		if err != nil {
			return nil, fmt.Errorf("pre-check %s on %q: %w", check.Code, check.Table, err)
		}
		if len(rows.Values) == 0 {
			continue
		}
		total, err := conn.Query(ctx, fmt.Sprintf("SELECT count(*) FROM (%s)", check.SQL))
		if err != nil {
			return nil, fmt.Errorf("pre-check %s on %q: %w", check.Code, check.Table, err)
		}
		finding := Finding{PreCheck: check, IDs: []string{}}
		finding.Count, _ = total.Values[0][0].(int64)
		for _, row := range rows.Values {
			finding.IDs = append(finding.IDs, shortenTo(fmt.Sprint(row[0]), maxID))
		}
		findings = append(findings, finding)
	}
	return findings, nil
}
