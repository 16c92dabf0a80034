package deploy

import (
	"fmt"

	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/schema"
)

// compileSeeds makes statements of the bundle's seed sets, which hold those of
// the tenant's environment alone.
func compileSeeds(s situation, tables []schema.Table) (plan.SeedPlan, error) {
	sets := make([]plan.SeedSet, 0, len(s.desired.Bundle.SeedData))
	for i, definition := range s.desired.Bundle.SeedData {
		set, report := shape.Parse[plan.SeedSet](definition, shape.Strip)
		if err := report.Err(); err != nil {
			return plan.SeedPlan{}, &InvalidError{Message: fmt.Sprintf("seed set %d: %v", i+1, err)}
		}
		sets = append(sets, set)
	}
	return plan.CompileSeeds(plan.SeedInput{
		Sets: sets, Objects: s.desired.Objects, Tables: tables, Applied: s.record.SeedDigests,
	}), nil
}
