package bundle

import "fmt"

// policy finds where a tenant asks for less than the fleet does: in the classes
// of change, and about drift.
func (l *loader) policy(t *Tenant) {
	fleet := l.fleet.Config.Drift
	if _, ok := fleet.With(t.Spec.Drift); !ok {
		l.tell(t, t.document.Error([]any{"drift"}, codeLooserPolicy,
			fmt.Sprintf("a tenant can only be stricter than the fleet, which has drift: %s", fleet), "leave it out, or change drift in fleet.yaml"))
	}
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
