package preview

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
)

// changes are the tenants that the merge makes different, by id. The others are
// not looked at: whatever waits for them, this pull request does not bring it.
func (r *run) changes() []tenantID {
	t := &r.report.Tenants
	t.Total = len(r.after.Tenants)
	var changed []tenantID
	apps := map[AppUse]int{}
	for _, is := range r.after.Tenants {
		was := find(r.before, is.ID)
		if was != nil && alike(was, is) {
			continue
		}
		changed = append(changed, is.ID)
		suspends, suspended := is.Spec.ProvisioningStatus == protocol.TenantSuspended, was != nil && was.Spec.ProvisioningStatus == protocol.TenantSuspended
		switch {
		case was == nil:
			t.Created = append(t.Created, is.ID)
		case suspends && !suspended:
			t.Suspended = append(t.Suspended, is.ID)
		case suspended && !suspends:
			t.Resumed = append(t.Resumed, is.ID)
		}
		countApps(apps, was, is)
	}
	for _, was := range r.before.Tenants {
		if find(r.after, was.ID) == nil {
			t.Removed = append(t.Removed, was.ID)
			countApps(apps, was, nil)
		}
	}
	t.Affected = len(changed) + len(t.Removed)
	r.report.Apps = sorted(apps)
	r.guard()
	return changed
}

// alike tells that a tenant is the same on both sides, for all that concerns its
// database and its life.
func alike(was, is *bundle.Tenant) bool {
	if was.Desired == nil || is.Desired == nil {
		return was.Desired == nil && is.Desired == nil && config.HasErrors(is.Faults) && slices.Equal(was.Faults, is.Faults)
	}
	return was.Desired.Digest == is.Desired.Digest && was.Desired.VerifyDigest == is.Desired.VerifyDigest && reflect.DeepEqual(was.Spec, is.Spec)
}

// countApps counts what becomes of the apps of a tenant, which is nil where
// there is none.
func countApps(apps map[AppUse]int, was, is *bundle.Tenant) {
	if was != nil && was.Desired == nil || is != nil && is.Desired == nil {
		return // files that are wrong say nothing of apps
	}
	before, after := versions(was), versions(is)
	for name, to := range after {
		if from, had := before[name]; !had || from != to {
			apps[AppUse{App: name, From: Optional(from), To: Optional(to)}]++
		}
	}
	for name, from := range before {
		if _, has := after[name]; !has && is != nil {
			apps[AppUse{App: name, From: Optional(from)}]++
		}
	}
}

func versions(t *bundle.Tenant) map[string]string {
	all := map[string]string{}
	if t != nil {
		for _, app := range t.Desired.Apps {
			all[app.Name] = app.Version
		}
	}
	return all
}

func sorted(apps map[AppUse]int) []AppUse {
	var all []AppUse
	for use, n := range apps {
		use.Tenants = n
		all = append(all, use)
	}
	slices.SortFunc(all, func(a, b AppUse) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return all
}

// guard says whether the removals would wait for somebody.
func (r *run) guard() {
	gone := r.report.Tenants.Removed
	why := fleet.Guard(r.before.Config.DeletionGuard, fleet.Removal{Left: len(r.after.Tenants), Tenants: gone})
	if why == nil {
		return
	}
	n := &Notice{Reason: why.Reason, Next: `put them back, or run "reconciler confirm COMMIT" with the merge commit when they are meant to go`}
	n.Message = fmt.Sprintf("the merge removes %s, more than deletionGuard lets go at once: all are kept until somebody confirms it", plural(len(gone), "tenant"))
	if len(r.after.Tenants) == 0 {
		n.Message = fmt.Sprintf("the merge leaves no tenant at all: %s kept until somebody confirms it", plural(len(gone), "tenant"))
	}
	r.report.Guard = n
}

// plural is "1 tenant" or "3 tenants".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", grouped(int64(n)), noun)
}

// grouped writes a number with commas: 10,000.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
