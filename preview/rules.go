package preview

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
)

type tenantID = protocol.TenantID

const maxPolicy = 30 // changes of policy that are listed

// rules puts the rules of base into the merge result: where a tenant's database
// is and what may be done to it. What the pull request says about that is
// reported, and the plans that would follow from it are not bound.
func (r *run) rules() {
	r.unsure = map[tenantID]string{}
	r.report.Policy = differences(fleetFile, r.before.Config, r.own.Config)
	for _, t := range r.after.Tenants {
		said, was := t.Spec, find(r.before, t.ID)
		if was == nil {
			t.Spec.ConnectionConfig = nil
		} else {
			t.Spec.ConnectionConfig, t.Spec.Policy = was.Spec.ConnectionConfig, was.Spec.Policy
			t.Spec.Drift, t.Spec.LegalHold = was.Spec.Drift, was.Spec.LegalHold
		}
		if r.own == r.after && reflect.DeepEqual(t.Spec, said) {
			continue // nearly always
		}
		if was != nil {
			r.policyOf(t, was.Spec, said)
		}
		if why := r.doubt(t, said, was != nil); why != "" {
			r.unsure[t.ID] = why
		}
	}
	if most := maxPolicy; len(r.report.Policy) > most {
		r.report.Policy = append(r.report.Policy[:most:most], fmt.Sprintf("and %d more", len(r.report.Policy)-most))
	}
}

// doubt says why the plan of a tenant may not be the one that follows the merge,
// empty where it is. said is what its file says.
func (r *run) doubt(t *bundle.Tenant, said bundle.TenantSpec, known bool) string {
	moved := !reflect.DeepEqual(t.Spec.ConnectionConfig, said.ConnectionConfig)
	switch {
	case moved && !known:
		return "the database that connectionConfig names is not looked at before the merge: the plan is that of an empty one"
	case moved:
		return "connectionConfig changes: the plan is for the database that base names"
	case t.Desired == nil:
		return ""
	}
	merged := *t
	merged.Spec = said
	if own := find(r.own, t.ID); r.own != r.after && own != nil {
		merged.Spec, merged.Desired = own.Spec, own.Desired
	}
	if merged.Desired == nil {
		return "by the fleet.yaml of the pull request the tenant's files are wrong"
	}
	asks := reconcile.New(reconcile.Config{})
	q := asks.RequestFor(reconcile.Ahead{Fleet: r.after}, t)
	own := asks.RequestFor(reconcile.Ahead{Fleet: r.own}, &merged)
	if !reflect.DeepEqual(q.Policy.Plan, own.Policy.Plan) || q.Owner != own.Owner || t.Desired.Digest != merged.Desired.Digest {
		return "what the pull request says about policy changes how plans are made: this one goes by the base revision"
	}
	return ""
}

// policyOf reports what a tenant's own file says of policy and connections.
func (r *run) policyOf(t *bundle.Tenant, was, is bundle.TenantSpec) {
	type rules struct {
		Policy    *config.OwnPolicy `json:"policy,omitempty"`
		Drift     config.Drift      `json:"drift,omitempty"`
		LegalHold *bundle.LegalHold `json:"legalHold,omitempty"`
	}
	file := bundle.TenantFile(t.Dir)
	r.report.Policy = append(r.report.Policy, differences(file, rules{was.Policy, was.Drift, was.LegalHold}, rules{is.Policy, is.Drift, is.LegalHold})...)
	if !reflect.DeepEqual(was.ConnectionConfig, is.ConnectionConfig) {
		r.report.Policy = append(r.report.Policy, file+": connectionConfig changes")
	}
}

// differences says in which keys two settings differ: "fleet.yaml:
// policy.narrowing: approve becomes allow". Values of keys that may hold a
// secret are left out.
func differences(file string, before, after any) []string {
	was, is := flat(before), flat(after)
	var found []string
	for _, key := range slices.Sorted(maps.Keys(union(was, is))) {
		a, had := was[key]
		b, has := is[key]
		secret := strings.Contains(strings.ToLower(key), "token") || strings.Contains(strings.ToLower(key), "url")
		switch {
		case had && has && a == b:
		case secret:
			found = append(found, fmt.Sprintf("%s: %s changes", file, key))
		case !had:
			found = append(found, fmt.Sprintf("%s: %s: %s is added", file, key, b))
		case !has:
			found = append(found, fmt.Sprintf("%s: %s: %s is removed", file, key, a))
		default:
			found = append(found, fmt.Sprintf("%s: %s: %s becomes %s", file, key, a, b))
		}
	}
	return found
}

func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// flat are the values of settings by their paths.
func flat(v any) map[string]string {
	text, err := json.Marshal(v)
	var tree any
	if err == nil {
		err = json.Unmarshal(text, &tree)
	}
	if err != nil {
		panic("settings cannot be written as JSON: " + err.Error()) // they were read from it
	}
	leaves := map[string]string{}
	flatten(leaves, "", tree)
	return leaves
}

func flatten(into map[string]string, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			flatten(into, strings.TrimPrefix(at+"."+key, "."), below)
		}
	case []any:
		for i, below := range v {
			flatten(into, fmt.Sprintf("%s[%d]", at, i), below)
		}
	default:
		into[at] = fmt.Sprint(v)
	}
}

// find returns a tenant of a fleet, nil for none.
func find(f *bundle.Fleet, id tenantID) *bundle.Tenant {
	i, ok := slices.BinarySearchFunc(f.Tenants, id, func(t *bundle.Tenant, id tenantID) int { return strings.Compare(string(t.ID), string(id)) })
	if !ok {
		return nil
	}
	return f.Tenants[i]
}
