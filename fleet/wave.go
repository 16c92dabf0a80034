package fleet

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"math"
	"slices"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/state"
)

// Assign puts the tenants of a rollout into the waves of fleet.yaml, as a rollout
// that begins does. Places are by wave, an index into c.All(), and id.
func Assign(c config.Rollout, members []Tenant) []state.RolloutTenant {
	return assign(c.All(), members)
}

// assign puts tenants into waves, each into the first that takes it. Where a
// wave takes a number or a share they come in the order of sha256(id): the same
// tenants on every machine, and no name is always the first to meet a change.
// Places are by wave and id.
func assign(waves []config.Wave, members []Tenant) []state.RolloutTenant {
	type hashed struct {
		Tenant
		sum [sha256.Size]byte
	}
	left := make([]hashed, len(members))
	for i, t := range members {
		left[i] = hashed{t, sha256.Sum256([]byte(t.ID))}
	}
	slices.SortFunc(left, func(a, b hashed) int { return bytes.Compare(a.sum[:], b.sum[:]) })
	places := make([]state.RolloutTenant, 0, len(members))
	for i, w := range waves {
		room := places[len(places):]
		most := capacity(w, members)
		left = slices.DeleteFunc(left, func(t hashed) bool {
			if len(room) >= most || !matches(w.Match, t.Labels) {
				return false
			}
			room = append(room, state.RolloutTenant{Tenant: t.ID, Wave: i, Target: t.Target})
			return true
		})
		places = append(places, room...)
	}
	slices.SortFunc(places, func(a, b state.RolloutTenant) int {
		return cmp.Or(cmp.Compare(a.Wave, b.Wave), cmp.Compare(a.Tenant, b.Tenant))
	})
	return places
}

// capacity is how many tenants a wave takes at most. A share is of all members
// that match, in whatever wave they are, and at least one of them.
func capacity(w config.Wave, members []Tenant) int {
	most := math.MaxInt
	if w.Tenants != nil {
		most = *w.Tenants
	}
	if w.Percent != nil {
		matching := 0
		for _, t := range members {
			if matches(w.Match, t.Labels) {
				matching++
			}
		}
		most = min(most, int(math.Ceil(*w.Percent*float64(matching)/100)))
	}
	return most
}

func matches(want, labels map[string]string) bool {
	for key, value := range want {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}
