package apply

import (
	"fmt"

	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// Guessable tells that a plan can run on a database that nobody has looked at,
// see Deployment.Guessed: every definition that it changes is known as it was.
func Guessable(p *plan.Plan) bool {
	for _, u := range p.Undo {
		if u.Checksum != "" && u.Body == "" {
			return false
		}
	}
	return true
}

// expected checks that the database is what was guessed, in one statement: its
// schema without anything of a fill, who it belongs to, what is ours in it and
// by which deployment, and the definitions that the plan will change.
func (s *script) expected(now Reading, p *plan.Plan) {
	owner, last := now.Record.Owner, now.Record.Last
	condition := "(" + schema.TextQuery + `) = ? AND NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_reconciler_fill')
 AND (SELECT count(*) FROM _reconciler_meta WHERE (key, value) IN
 (VALUES ('format', ?), ('fleet', ?), ('environment', ?), ('tenant', ?), ('applied', ?))) = 5
 AND NOT EXISTS (SELECT 1 FROM _reconciler_meta WHERE key = '` + suspendedKey + `' AND value <> '')
 AND (SELECT deployment || ' ' || bundle || ' ' || to_fingerprint FROM _reconciler_journal ORDER BY seq DESC LIMIT 1) = ?`
	args := []any{
		now.Master.Text(), fmt.Sprint(Format), owner.Fleet, owner.Environment, owner.Tenant, now.Record.Applied,
		last.Deployment + " " + last.Bundle + " " + last.To,
	}
	for _, u := range p.Undo {
		if u.Checksum == "" {
			continue // it was not there
		}
		condition += " AND EXISTS (SELECT 1 FROM " + schema.Quote(plan.RegistryTable) +
			" WHERE id = ? AND type = ? AND name = ? AND CAST(metadata AS TEXT) = ?)"
		args = append(args, plan.RowID(plan.RegistryTable, string(u.Type), u.Name), string(u.Type), u.Name, u.Body)
	}
	s.check(errGuess, condition, args...)
}

var errGuess = fmt.Errorf("%w: the database is not what state says of it", ErrStale)
