package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// edit is a row of the registry that is ours and that somebody else changed or
// took away.
type edit struct {
	kind protocol.EntityType
	name string
	gone bool
}

func (e edit) difference() Difference {
	what := " was edited"
	if e.gone {
		what = " is missing"
	}
	name := string(e.kind) + " " + e.name
	return Difference{"metadata", name, "metadata of " + name + what}
}

// editsOf holds the rows that earlier deployments registered against what they
// wrote, in order of type and name. A definition that somebody else has a row
// for is theirs, and a registry that has lost the columns to compare is found
// by its schema.
func editsOf(ctx context.Context, conn database.Conn, seen apply.Reading) ([]edit, error) {
	ours, err := plan.ParseRegistered(seen.Record.Registered)
	if err != nil || len(ours) == 0 {
		return nil, err
	}
	var edits []edit
	rows, err := registryRows(ctx, conn, seen.Master)
	if err != nil || rows == nil {
		return nil, err
	}
	for _, d := range ours {
		row, there := rows.byID[plan.RowID(plan.RegistryTable, string(d.Type), d.Name)]
		switch {
		case there && row == (registered{string(d.Type), d.Name, d.Checksum}):
		case there:
			edits = append(edits, edit{kind: d.Type, name: d.Name})
		case !rows.named[[2]string{string(d.Type), d.Name}]:
			edits = append(edits, edit{kind: d.Type, name: d.Name, gone: true})
		}
	}
	return edits, nil
}

// registered is a row of the registry; the body by its checksum.
type registered struct{ kind, name, checksum string }

type registry struct {
	byID  map[string]registered
	named map[[2]string]bool // by type and name
}

// What the registry is asked.
var (
	registryColumns = "SELECT count(*) FROM pragma_table_info(" + schema.QuoteText(plan.RegistryTable) + ") WHERE name IN ('id', 'type', 'name', 'metadata')"
	registryQuery   = "SELECT CAST(id AS TEXT), CAST(type AS TEXT), CAST(name AS TEXT), CAST(metadata AS BLOB) FROM " + schema.Quote(plan.RegistryTable)
	metadataQuery   = "SELECT id, CAST(metadata AS BLOB) FROM " + schema.Quote(plan.RegistryTable)
)

// readings are the queries of a look at a tenant, for one that is on a server.
func readings() []string {
	return append(apply.Readings(), registryColumns, registryQuery, metadataQuery)
}

// registryRows reads the registry. A table that is gone is one without rows;
// one that lacks a column gives nil.
func registryRows(ctx context.Context, conn database.Conn, master schema.Master) (*registry, error) {
	r := &registry{byID: map[string]registered{}, named: map[[2]string]bool{}}
	if !slices.ContainsFunc(master.Of("table"), func(e schema.Entry) bool { return e.Name == plan.RegistryTable }) {
		return r, nil
	}
	columns, err := conn.Query(ctx, registryColumns)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	if columns.Values[0][0] != int64(4) {
		return nil, nil
	}
	rows, err := conn.Query(ctx, registryQuery)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	for _, row := range rows.Values {
		id, _ := row[0].(string)
		kind, _ := row[1].(string)
		name, _ := row[2].(string)
		body, _ := row[3].([]byte)
		r.byID[id] = registered{kind, name, digestOf(string(body))}
		r.named[[2]string{kind, name}] = true
	}
	return r, nil
}

// mark tells a comparison which definitions are not in the registry as they
// were registered, so that they are written again.
func mark(definitions []diff.Definition, edits []edit) {
	for _, e := range edits {
		for i := range definitions {
			if d := &definitions[i]; d.Type == e.kind && d.Name == e.name {
				d.Edited, d.Gone = !e.gone, e.gone
			}
		}
	}
}
