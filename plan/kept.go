package plan

import (
	"fmt"

	"github.com/tenantops/reconciler/diff"
)

// keptTables tells of the tables that an app leaves, and of those that an
// object takes again with whatever is in them.
func keptTables(r diff.Result) []Warning {
	var warnings []Warning
	for _, t := range r.Released {
		warnings = append(warnings, Warning{Code: "table_kept", Message: fmt.Sprintf(
			"table %q stays with its rows although app %s goes; dropTables: [%[2]s] in tenant.yaml retires it", t.Name, t.App)})
	}
	for _, t := range r.Reclaimed {
		warnings = append(warnings, Warning{Code: "table_taken_again", Message: fmt.Sprintf(
			"table %q, which app %s left, is taken again with the rows that it has", t.Name, t.App)})
	}
	return warnings
}
