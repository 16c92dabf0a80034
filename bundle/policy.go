package bundle

import "fmt"

// policy finds the classes of change for which a tenant asks for less than the
// fleet does.
func (l *loader) policy(t *Tenant) {
	if t.Spec.Policy == nil {
		return
	}
	_, looser := l.fleet.Config.Policy.With(*t.Spec.Policy)
	for _, c := range looser {
		l.tell(t, t.document.Error([]any{"policy", c.Class}, codeLooserPolicy,
			fmt.Sprintf("a tenant can only be stricter than the fleet, which has %s for %s changes", c.Fleet, c.Class),
			fmt.Sprintf("leave it out, or change policy.%s in fleet.yaml", c.Class)))
	}
}
