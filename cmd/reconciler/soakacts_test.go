package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What people do to a fleet through git.

func (x *soak) addTenant() string {
	t := &soakTenant{id: fmt.Sprintf("t%04d", len(x.tenants)), path: x.tenantFile(fmt.Sprintf("t%04d", len(x.tenants)))}
	x.tenants = append(x.tenants, t)
	d := tenantDesign{Apps: map[string]int{"shop": 0}, Heal: x.random.IntN(2) == 0}
	if x.random.IntN(2) == 0 {
		d.Apps["desk"] = 0
	}
	x.repo.now.Tenants[t.id] = d
	return t.id
}

func (x *soak) newTenants() {
	if len(x.tenants) > x.plan.tenants*11/10 {
		return // so that the fleet stays as large as it is said to be
	}
	for range 1 + x.random.IntN(3) {
		x.addTenant()
	}
	x.repo.commit("new tenants")
	x.settle()
}

// removeTenant takes one away; the tenants that breakages name stay.
func (x *soak) removeTenant() {
	id := pick(x.random, slices.Sorted(maps.Keys(x.repo.now.Tenants)))
	if id <= "t0009" {
		return
	}
	delete(x.repo.now.Tenants, id)
	x.repo.commit("remove " + id)
	x.settle()
}

func (x *soak) editTenant() {
	id := pick(x.random, slices.Sorted(maps.Keys(x.repo.now.Tenants)))
	t := x.repo.now.Tenants[id]
	switch x.random.IntN(3) {
	case 0:
		t.Own = !t.Own
	case 1:
		t.Heal = !t.Heal
	case 2:
		t.Apps["desk"] = 0
	}
	x.repo.now.Tenants[id] = t
	x.repo.commit("edit " + id)
	x.settle()
}

func (x *soak) changeSchema() {
	x.repo.commit(x.editSchema())
	x.settle()
}

// editSchema changes one object: a field comes, goes, or has another index.
func (x *soak) editSchema() string {
	app := pick(x.random, soakApps)
	object := pick(x.random, soakObjects[app])
	fields := x.repo.now.Apps[app].Objects[object]
	field := pick(x.random, slices.Sorted(maps.Keys(soakFields)))
	index, there := fields[field]
	switch {
	case !there:
		fields[field] = ""
	case x.random.IntN(2) == 0 && len(fields) > 2:
		delete(fields, field)
	case index == "" && field != "tags": // several values have no index of their own
		fields[field] = map[string]string{"email": "unique", "phone": "unique"}[field]
		if fields[field] == "" {
			fields[field] = "index"
		}
	default:
		fields[field] = ""
	}
	return fmt.Sprintf("%s: another %s", object, field)
}

// upgrade releases an app and moves some tenants to that version for good, and
// others back to that of the branch.
func (x *soak) upgrade() {
	x.repo.mend() // nobody releases what a revert has broken again
	name := pick(x.random, soakApps)
	app := x.repo.now.Apps[name]
	x.repo.version++
	app.Version, app.Label = x.repo.version, app.Label+1
	x.repo.now.Apps[name] = app
	x.editSchema()
	x.repo.commit("release " + name)
	x.repo.tag(name)
	for id, t := range x.repo.now.Tenants {
		if _, has := t.Apps[name]; has && strings.HasSuffix(id, fmt.Sprint(x.random.IntN(10))) {
			t.Apps[name] = pick(x.random, []int{0, app.Version})
		}
	}
	x.repo.commit("upgrade some")
	x.settle()
}

func (x *soak) badCommit() {
	x.repo.now.Broken = pick(x.random, slices.Sorted(maps.Keys(breakages)))
	x.repo.commit("hasty: " + x.repo.now.Broken)
	x.settle()
	x.repo.revert()
	x.settle()
}

func (x *soak) revert() {
	x.repo.revert()
	x.settle()
}

// burst is several commits at once; only the last one matters.
func (x *soak) burst() {
	for range 2 + x.random.IntN(3) {
		x.repo.commit(x.editSchema())
	}
	x.settle()
}

// kill ends the daemon while it deploys, mostly by force, and damages a
// tenant's file meanwhile. In a long soak it lives on after the first third, so
// that what grows is seen.
func (x *soak) kill() {
	if x.plan.long() && x.elapsed() > x.plan.time/3 {
		return
	}
	x.repo.commit(x.editSchema())
	x.daemon.awaitLog("plan applied", 1+x.random.IntN(max(1, x.plan.tenants/2)))
	if x.random.IntN(4) == 0 {
		x.daemon.terminate()
	} else {
		x.daemon.kill()
	}
	x.corrupt()
	x.start()
	x.settle()
}
