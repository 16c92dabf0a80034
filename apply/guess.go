package apply

import "github.com/tenantops/reconciler/plan"

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
