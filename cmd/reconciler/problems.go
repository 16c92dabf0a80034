package main

import (
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// tenantProblem is what is wrong with a tenant.
type tenantProblem struct {
	Tenant protocol.TenantID `json:"tenant"`
	Error  *problem          `json:"error"`
}

// Bounds of what is shown to people.
const (
	mostNamed    = 10 // tenants with one problem, by name
	mostProblems = 50
)

// ofTenant comes before a tenant's name in a next step, so that one for many
// names none of them.
var ofTenant = []string{"--tenant ", "tenant take "}

// problems adds what is wrong with tenants, once for all that have the same: one
// cause concerns many of a fleet. They are in the order of the first tenant of each.
func (p *page) problems(list []tenantProblem) {
	tenants := map[problem][]string{}
	var order []problem
	for _, t := range list {
		if t.Error == nil {
			continue
		}
		same := *t.Error
		for _, command := range ofTenant {
			same.Next = strings.ReplaceAll(same.Next, command+string(t.Tenant), command+"TENANT")
		}
		if tenants[same] == nil {
			order = append(order, same)
		}
		tenants[same] = append(tenants[same], string(t.Tenant))
	}
	for i, same := range order {
		if i == mostProblems {
			p.line("\nand %d more problems; -o json has them all", len(order)-i)
			return
		}
		names := tenants[same]
		if len(names) == 1 {
			for _, command := range ofTenant {
				same.Next = strings.ReplaceAll(same.Next, command+"TENANT", command+names[0])
			}
		}
		p.line("")
		p.problem(first(mostNamed, names), &same)
	}
}

// first names the first of many, and says how many more there are.
func first(most int, names []string) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
