package state

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Replace makes what state holds of a tenant agree with the tenant's journal,
// in one transaction: committed are the deployments in the journal. Ready
// deployments that are not among them go. One that is recorded as ready
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
	_, err = s.write(ctx, doing, statements...)
	return err
}

func replacement(tenant protocol.TenantID, committed []Deployment, o Observed) ([]database.Statement, error) {
	if o.Tenant != tenant {
		return nil, fmt.Errorf("the observed row is of tenant %q", o.Tenant)
	}
	observed, err := upsert("observed", o.columns(), "")
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(committed))
	statements := []database.Statement{observed, {}}
	for i, d := range committed {
		if d.Tenant != tenant {
			return nil, fmt.Errorf("deployment %q is of tenant %q", d.ID, d.Tenant)
		}
		ids[i] = d.ID
		statement, err := upsert("deployments", d.columns(),
			" WHERE tenant = excluded.tenant AND status <> excluded.status")
		if err != nil {
			return nil, err
		}
		statements = append(statements, statement)
	}
	known, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	statements[1] = database.Statement{
		SQL: "DELETE FROM deployments WHERE tenant = ? AND status = ?" +
			" AND id NOT IN (SELECT value FROM json_each(?))",
		Args: []any{string(tenant), string(protocol.DeployReady), string(known)},
	}
	return statements, nil
}
