package preview

import (
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/config"
)

// rule says what is waited for around a wave.
func rule(w config.Wave) string {
	var parts []string
	if w.PauseBefore {
		parts = append(parts, "begins when somebody lets it")
	}
	if w.Percent != nil {
		parts = append(parts, fmt.Sprintf("%g %% of them", *w.Percent))
	}
	if bake := w.Bake.Duration(); bake > 0 {
		parts = append(parts, fmt.Sprintf("then waits %s", w.Bake))
	}
	if b := w.FailureBudget; b != nil {
		switch {
		case b.Percent != nil:
			parts = append(parts, fmt.Sprintf("halts when more than %g %% fail", *b.Percent))
		case b.Tenants != nil:
			parts = append(parts, fmt.Sprintf("halts when more than %d fail", *b.Tenants))
		}
	}
	return strings.Join(parts, ", ")
}
