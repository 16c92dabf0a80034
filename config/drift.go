package config

// With returns what is done about the drift of a tenant that asks for its own
// reaction, and whether that is one that it may ask for: a tenant can only put
// up with less than its fleet does. ignore puts up with most, heal with nothing.
func (d Drift) With(own Drift) (Drift, bool) {
	if own == "" {
		return d, true
	}
	if own.strictness() < d.strictness() {
		return d, false
	}
	return own, true
}

func (d Drift) strictness() int {
	switch d {
	case DriftHeal:
		return 2
	case DriftReport:
		return 1
	}
	return 0
}
