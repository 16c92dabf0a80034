package config

import "fmt"

const maxWaves = 100 // more is a list of tenants, and each is held against all before it

// rollout finds waves that cannot be meant.
func (c *fleetCheck) rollout(r Rollout) {
	if len(r.Waves) > maxWaves {
		c.add([]any{"rollout", "waves"}, CodeWave, fmt.Sprintf("there are %d waves, more than %d", len(r.Waves), maxWaves), "put tenants together by labels")
		return
	}
	seen := map[string]bool{}
	for i, w := range r.Waves {
		at := []any{"rollout", "waves", i}
		c.span(w.Bake, append(at, "bake")...)
		if seen[w.Name] {
			c.add(append(at, "name"), CodeWave, fmt.Sprintf("there are two waves %q", w.Name), "rename one")
		}
		seen[w.Name] = true
		if b := w.FailureBudget; b != nil && b.Tenants == nil && b.Percent == nil {
			c.add(append(at, "failureBudget"), CodeWave, "the budget says nothing",
				"give tenants or percent, or leave it out to go on whatever fails")
		}
		for _, before := range r.Waves[:i] {
			if before.takes(w) {
				c.add(append(at, "name"), CodeWave,
					fmt.Sprintf("no tenant can be in wave %q: %q before it takes them all", w.Name, before.Name),
					"put it before that one, or limit that one")
				break
			}
		}
	}
}

// takes tells that the wave leaves no tenant that a later one could have.
func (w Wave) takes(later Wave) bool {
	if w.Tenants != nil || w.Percent != nil && *w.Percent < 100 {
		return false
	}
	for key, value := range w.Match {
		if got, ok := later.Match[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// Rest is the name of the wave that has what no other one takes.
const Rest = "rest"

// All are the waves in their order, and after them one for the tenants that
// none of them takes, where there may be any.
func (r Rollout) All() []Wave {
	rest := Wave{Name: Rest}
	for _, w := range r.Waves {
		if w.takes(rest) {
			return r.Waves
		}
	}
	for _, w := range r.Waves {
		if w.Name == rest.Name {
			rest.Name += " of the fleet"
		}
	}
	return append(r.Waves[:len(r.Waves):len(r.Waves)], rest)
}
