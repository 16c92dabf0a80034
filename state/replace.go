package state

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Replace makes what state holds of a tenant agree with the tenant's journal,
// in one transaction: committed are the deployments in the journal, each ready.
// Ready deployments that are not among them go. One that is recorded as ready
// already stays as it is, since it knows more than a journal does; so do
// attempts that never committed, and ids that another tenant's deployment has
// (a database that was copied brings the other's journal along).
func (s *Store) Replace(
	ctx context.Context, tenant protocol.TenantID, committed []Deployment, o Observed,
) error {
	doing := fmt.Sprintf("replace what is known of tenant %q", tenant)
	statements, err := replacement(tenant, committed, o)
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.use(ctx, doing, func(conn database.Conn) error {
		s.memory.forget()
		return run(ctx, conn, statements)
	})
}

func replacement(tenant protocol.TenantID, committed []Deployment, o Observed) ([]database.Statement, error) {
	if o.Tenant != tenant {
		return nil, fmt.Errorf("the observed row is of tenant %q", o.Tenant)
	}
	o.Follows = false
	observed, err := o.insertion()
	if err != nil {
		return nil, err
	}
	refuted, err := refutation(tenant, committed)
	if err != nil {
		return nil, err
	}
	statements := []database.Statement{observed, refuted}
	for _, d := range committed {
		if d.Tenant != tenant {
			return nil, fmt.Errorf("deployment %q is of tenant %q", d.ID, d.Tenant)
		}
		statement, err := insertion("INSERT INTO deployments", d.columns())
		if err != nil {
			return nil, err
		}
		statement.SQL += " ON CONFLICT (id) DO NOTHING"
		statements = append(statements, statement)
	}
	return statements, nil
}

// refutation removes what a journal contradicts: ready deployments that it
// lacks, and those that it has and that are not recorded as ready.
func refutation(tenant protocol.TenantID, committed []Deployment) (database.Statement, error) {
	ids := make([]string, len(committed))
	for i, d := range committed {
		ids[i] = d.ID
	}
	known, err := json.Marshal(ids)
	return database.Statement{
		SQL: "DELETE FROM deployments WHERE tenant = ?" +
			" AND (status = ?) = (id NOT IN (SELECT value FROM json_each(?)))",
		Args: []any{string(tenant), string(protocol.DeployReady), string(known)},
	}, err
}
