package main

import (
	"fmt"
	"regexp"
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

// quoted is a command in a next step.
var quoted = regexp.MustCompile(`"reconciler [^"]*"`)

// ofAny is a next step without the name of the tenant that it is for, which its
// commands have among their last words.
func ofAny(next string, tenant protocol.TenantID) string {
	return quoted.ReplaceAllStringFunc(next, func(command string) string {
		words := strings.Split(strings.Trim(command, `"`), " ")
		for i := len(words) - 1; i > 1; i-- {
			if words[i] == string(tenant) {
				words[i] = "TENANT"
				break
			}
		}
		return `"` + strings.Join(words, " ") + `"`
	})
}

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
		same.Next = ofAny(same.Next, t.Tenant)
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
			same.Next = strings.ReplaceAll(same.Next, " TENANT", " "+names[0])
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
