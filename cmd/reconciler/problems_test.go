package main

import (
	"strings"
	"testing"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// One cause that many tenants have is told once, whatever command their next steps
// name them in; that of a single one names it, whatever it is called.
func TestProblemsOfManyAreToldOnce(t *testing.T) {
	for _, err := range []error{database.ErrMissing, deploy.ErrNoJournal} {
		var list []tenantProblem
		for _, id := range []protocol.TenantID{"acme", "tenant", "globex"} {
			list = append(list, tenantProblem{id, problemWith(id, err)})
		}
		p := &page{}
		p.problems(list)
		got := p.String()
		if strings.Count(got, "next: ") != 1 || !strings.Contains(got, "acme, tenant, globex: ") || !strings.Contains(got, " TENANT") {
			t.Errorf("three tenants:\n%s", got)
		}
		alone := &page{}
		alone.problems(list[1:2])
		if got := alone.String(); !strings.Contains(got, problemWith("tenant", err).Next) {
			t.Errorf("one tenant:\n%s", got)
		}
	}
}
