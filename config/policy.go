package config

// OwnPolicy is what a tenant says about its own changes: of each class that it
// names it may ask for more than the fleet does, and not for less.
type OwnPolicy struct {
	Additive    Action `json:"additive,omitempty" doc:"New tables, columns and indexes."`
	Widening    Action `json:"widening,omitempty" doc:"Constraints that are lifted."`
	Rewrite     Action `json:"rewrite,omitempty" doc:"Tables that are copied."`
	Narrowing   Action `json:"narrowing,omitempty" doc:"Constraints that existing rows may break."`
	Destructive Action `json:"destructive,omitempty" doc:"Columns and tables that go with their rows."`
}

// Looser is a class for which a tenant asks for less than its fleet.
type Looser struct {
	Class      string // as it is called in the file
	Own, Fleet Action
}

// With returns the stricter of both for each class, and the classes for which
// the tenant's own is the looser one, in the order of Policy.
func (p Policy) With(own OwnPolicy) (Policy, []Looser) {
	var looser []Looser
	for _, c := range []struct {
		name  string
		fleet *Action
		own   Action
	}{
		{"additive", &p.Additive, own.Additive},
		{"widening", &p.Widening, own.Widening},
		{"rewrite", &p.Rewrite, own.Rewrite},
		{"narrowing", &p.Narrowing, own.Narrowing},
		{"destructive", &p.Destructive, own.Destructive},
	} {
		switch {
		case c.own == "":
		case c.own.strictness() < c.fleet.strictness():
			looser = append(looser, Looser{Class: c.name, Own: c.own, Fleet: *c.fleet})
		default:
			*c.fleet = c.own
		}
	}
	return p, looser
}

// strictness orders the actions, from the most lenient.
func (a Action) strictness() int {
	switch a {
	case Deny:
		return 2
	case Approve:
		return 1
	}
	return 0
}
