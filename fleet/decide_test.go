package fleet_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// world is a fleet whose deployments succeed at once, unless a tenant is made
// to end otherwise.
type world struct {
	t       *testing.T
	now     time.Time
	yaml    string
	tenants []fleet.Tenant
	ends    map[protocol.TenantID]fleet.Progress // what trying one leads to, instead of Reached
	last    *state.Rollout
	places  []state.RolloutTenant
	ids     int
	log     []string // what was deployed, tenants of a round together
}

func newWorld(t *testing.T, yaml string, tenants ...string) *world {
	w := &world{t: t, now: noon, yaml: yaml, ends: map[protocol.TenantID]fleet.Progress{}}
	for _, id := range tenants {
		tier := "standard"
		if strings.HasPrefix(id, "c") {
			tier = "canary"
		}
		w.tenants = append(w.tenants, fleet.Tenant{ID: protocol.TenantID(id), Labels: map[string]string{"tier": tier}, Target: "v1", Progress: fleet.Reached})
	}
	return w
}

// want is a commit that changes what tenants should have.
func (w *world) want(target string, ids ...protocol.TenantID) {
	for i := range w.tenants {
		if t := &w.tenants[i]; len(ids) == 0 || slices.Contains(ids, t.ID) {
			t.Target, t.Progress = target, fleet.Pending
		}
	}
}

func (w *world) tenant(id protocol.TenantID) *fleet.Tenant {
	i := slices.IndexFunc(w.tenants, func(t fleet.Tenant) bool { return t.ID == id })
	return &w.tenants[i]
}

func (w *world) decide() fleet.Decision {
	w.t.Helper()
	policy, faults := config.ParseFleet("fleet.yaml", []byte("fleet: main\n"+w.yaml))
	if len(faults) > 0 {
		w.t.Fatal(faults)
	}
	d := fleet.Decide(fleet.Input{
		Now: w.now, Revision: "r1", Rollout: policy.Rollout, Windows: policy.Windows,
		Tenants: w.tenants, Last: w.last, Places: w.places,
	})
	if d.Begins {
		w.ids++
		d.Rollout.ID = w.ids
	}
	w.last, w.places = d.Rollout, d.Places
	return d
}

// round decides and deploys what may be deployed.
func (w *world) round() fleet.Decision {
	w.t.Helper()
	d := w.decide()
	var done []string
	for i := range w.tenants {
		t := &w.tenants[i]
		if t.Progress == fleet.Pending && t.Target != "" && d.Waits(t.ID) == nil {
			t.Progress = fleet.Reached
			if end, ok := w.ends[t.ID]; ok {
				t.Progress = end
			}
			done = append(done, string(t.ID))
		}
	}
	if done != nil {
		w.log = append(w.log, strings.Join(done, " "))
	}
	return d
}

// rounds goes on until nothing can be deployed now.
func (w *world) rounds() fleet.Decision {
	w.t.Helper()
	for range 20 {
		if d := w.round(); d.Due == 0 {
			return d
		}
	}
	w.t.Fatal("there is no end to it")
	return fleet.Decision{}
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.log, want) {
		w.t.Errorf("deployed %q, want %q", w.log, want)
	}
}

func (w *world) status(want string) {
	w.t.Helper()
	got := strings.TrimSpace(string(w.last.Status) + " " + w.last.Reason)
	if got != want {
		w.t.Errorf("rollout %d: got %s (%s), want %s", w.last.ID, got, w.last.Message, want)
	}
}

const twoWaves = "rollout: {waves: [{name: canary, match: {tier: canary}, bake: 10m, failureBudget: {tenants: 0}}, {name: all}]}\n"

func TestOneWaveIsAllAtOnce(t *testing.T) {
	w := newWorld(t, "", "c1", "c2", "s1")
	if d := w.rounds(); d.Rollout != nil {
		t.Errorf("nothing is to do, and a rollout began: %+v", d.Rollout)
	}
	w.want("v2")
	w.rounds()
	w.expect("c1 c2 s1")
	w.status("Succeeded")
	if d := w.rounds(); d.Changed || d.Rollout.ID != 1 {
		t.Errorf("a pass without a change changed rollout %d", d.Rollout.ID)
	}
}

func TestWavesFollowEachOther(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "c2", "s1", "s2")
	w.want("v2")
	d := w.rounds()
	w.expect("c1 c2")
	w.status("Running Baking")
	if d.Wake != noon.Add(10*time.Minute) {
		t.Errorf("wakes at %s", d.Wake)
	}
	waits := d.Waits("s1")
	if waits == nil || waits.Reason != "WaitingForWave" || waits.Message != "it waits for its turn, in wave all (2 of 2) of rollout 1" {
		t.Errorf("s1: got %+v", waits)
	}
	w.now = w.now.Add(10*time.Minute - 1)
	w.rounds()
	w.expect("c1 c2")
	w.now = w.now.Add(1)
	w.rounds()
	w.expect("c1 c2", "s1 s2")
	w.status("Succeeded")
}

func TestRolloutHaltsOverItsBudget(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "c2", "s1")
	w.ends["c1"] = fleet.Failed
	w.want("v2")
	d := w.rounds()
	w.expect("c1 c2")
	w.status("Failed BudgetExceeded")
	if w.last.Message != "1 of 2 tenants in wave canary failed, and its budget is 0" {
		t.Errorf("got %q", w.last.Message)
	}
	if got := d.Waits("s1"); got == nil || got.Reason != "RolloutHalted" {
		t.Errorf("s1: got %+v", got)
	}
	w.now = w.now.Add(time.Hour)
	w.rounds()
	w.expect("c1 c2")

	// A person goes on all the same; one more failure would halt it again.
	w.last.Waves[0].Forgiven = 1
	w.rounds()
	w.status("Running Baking")
	w.now = w.now.Add(10 * time.Minute)
	w.rounds()
	w.expect("c1 c2", "s1")
	w.status("Partial")
}

func TestHaltedRolloutGoesOnWhenTheTenantRecovers(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "c2", "s1")
	w.ends["c1"] = fleet.Failed
	w.want("v2")
	w.rounds()
	w.tenant("c1").Progress = fleet.Reached
	w.rounds()
	w.status("Running Baking")
}

func TestFailureDuringBakeHalts(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.want("v2")
	w.rounds()
	w.tenant("c1").Progress = fleet.Failed
	w.rounds()
	w.status("Failed BudgetExceeded")
}

func TestBlockedTenantsDoNotCount(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "c2", "s1")
	w.ends["c1"] = fleet.Blocked
	w.want("v2")
	w.rounds()
	w.now = w.now.Add(10 * time.Minute)
	w.rounds()
	w.expect("c1 c2", "s1")
	w.status("Partial")
}

func TestApprovalComesBeforeTheNextWave(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.ends["c1"] = fleet.Unapproved
	w.want("v2")
	w.rounds()
	w.now = w.now.Add(time.Hour)
	w.rounds()
	w.expect("c1")
	w.status("Running AwaitingApproval")

	// It bakes from the time it was approved, not from when it was asked for.
	w.tenant("c1").Progress = fleet.Pending
	delete(w.ends, "c1")
	w.rounds()
	w.expect("c1", "c1")
	w.status("Running Baking")
}

func TestBudgetCountsOnlyWhatFailsAnew(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "c2", "s1")
	w.ends["c1"] = fleet.Failed
	w.want("v2", "c1")
	w.rounds()
	w.status("Failed BudgetExceeded")

	// Another commit, for others: the tenant that fails already is not of it.
	delete(w.ends, "c1")
	w.last.EndedAt = w.now
	w.want("v3", "c2", "s1")
	w.rounds()
	w.expect("c1", "c2")
	w.status("Running Baking")
}

func TestNewerRevisionSupersedes(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.want("v2")
	w.rounds()
	first := w.last
	w.want("v3")
	d := w.round()
	if d.Superseded == nil || d.Superseded.ID != first.ID || d.Superseded.EndedAt.IsZero() || d.Rollout.ID == first.ID {
		t.Errorf("superseded: %+v", d.Superseded)
	}
	w.rounds()
	w.expect("c1", "c1")
	w.status("Running Baking")
}

func TestRevisionThatConcernsNobodyLetsARolloutGoOn(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.want("v2")
	w.rounds()
	w.now = w.now.Add(5 * time.Minute)
	w.tenants = append(w.tenants, fleet.Tenant{ID: "s9", Target: "v2", New: true})
	if d := w.decide(); d.Begins || d.Waits("s9") != nil {
		t.Errorf("a tenant without a database began a rollout, or waits")
	}
	w.now = w.now.Add(5 * time.Minute)
	w.rounds()
	w.status("Succeeded")
	if w.last.ID != 1 {
		t.Errorf("rollout %d", w.last.ID)
	}
}

func TestBakedWaveKeepsItsTimeWhenOthersChange(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1", "s2")
	w.want("v2", "c1", "s1")
	w.rounds()
	w.now = w.now.Add(9 * time.Minute)
	w.want("v2-own", "s2")
	d := w.rounds()
	if d.Rollout.ID != 2 || d.Wake != noon.Add(10*time.Minute) {
		t.Errorf("rollout %d wakes at %s", d.Rollout.ID, d.Wake)
	}
	w.now = w.now.Add(time.Minute)
	w.rounds()
	w.expect("c1", "s1 s2")
}

func TestRevertBeforeAnyWaveEndsTheRollout(t *testing.T) {
	w := newWorld(t, "rollout: {waves: [{name: all, pauseBefore: true}]}\n", "s1", "s2")
	w.want("v2")
	w.rounds()
	w.expect()
	w.status("Running AwaitingResume")
	for i := range w.tenants {
		w.tenants[i].Target, w.tenants[i].Progress = "v1", fleet.Reached
	}
	w.rounds()
	w.status("Partial Superseded")

	// Wanting it again begins anew, and waits again.
	w.want("v2")
	w.rounds()
	w.expect()
	w.status("Running AwaitingResume")
	w.last.Waves[0].Resumed = true
	w.rounds()
	w.expect("s1 s2")
}

func TestPauseLastsAndStopsEverything(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.want("v2")
	w.decide()
	w.last.Paused = "ada paused it: why"
	d := w.rounds()
	w.expect()
	w.status("Running Paused")
	if got := d.Waits("c1"); got == nil || got.Reason != "RolloutPaused" {
		t.Errorf("c1: got %+v", got)
	}
	w.want("v3") // a pause is of the fleet's rollouts, until somebody resumes
	w.rounds()
	w.status("Running Paused")
	w.last.Paused = ""
	w.rounds()
	w.expect("c1")
}

func TestAbortedRolloutStaysWhereItIs(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.want("v2")
	w.rounds()
	w.last.EndedAt, w.last.Status, w.last.Reason = w.now, state.Failed, "Aborted"
	w.now = w.now.Add(time.Hour)
	d := w.rounds()
	if got := d.Waits("s1"); got == nil || got.Reason != "RolloutAborted" || d.Changed {
		t.Errorf("s1: got %+v", got)
	}
	w.want("v3")
	w.rounds()
	w.expect("c1", "c1")
}

func TestPromotion(t *testing.T) {
	const closed = "windows: [{cron: '0 2 * * *', duration: 1h}]\n"
	w := newWorld(t, twoWaves+closed, "c1", "s1", "s2")
	w.want("v2")
	d := w.rounds()
	w.expect()
	w.status("Running OutsideWindow")
	if want := time.Date(2026, 3, 5, 2, 0, 0, 0, time.UTC); d.Wake != want {
		t.Errorf("wakes at %s, want %s", d.Wake, want)
	}
	w.last.Promoted = []protocol.TenantID{"s2"}
	w.rounds()
	w.expect("s2")
	w.last.Waves[0].Promoted = true
	w.rounds()
	w.expect("s2", "c1")
	w.last.Waves[1].Promoted = true // no bake, no window
	w.rounds()
	w.expect("s2", "c1", "s1")
	w.status("Succeeded")
}

func TestWindowClosesOnTenantsThatAreLeft(t *testing.T) {
	w := newWorld(t, "windows: [{cron: '0 12 * * *', duration: 1h}]\n", "s1", "s2")
	w.want("v2")
	if d := w.decide(); d.Due != 2 {
		t.Errorf("due: %d", d.Due)
	}
	w.now = w.now.Add(time.Hour)
	w.rounds()
	w.expect()
	w.status("Running OutsideWindow")
	w.now = w.now.Add(23 * time.Hour)
	w.rounds()
	w.expect("s1 s2")
}

func TestHeldAndBrokenTenantsHoldNobodyUp(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "c2", "c3", "s1")
	w.want("v2")
	w.decide()
	w.tenant("c1").Progress = fleet.Aside
	w.tenant("c2").Target = ""
	w.rounds()
	w.status("Running Baking")
	w.tenant("c1").Progress = fleet.Pending // released
	w.rounds()
	w.expect("c3", "c1")
}

func TestSharesAndNumbers(t *testing.T) {
	var ids []string
	for i := range 20 {
		ids = append(ids, fmt.Sprintf("s%02d", i))
	}
	w := newWorld(t, "rollout: {maxConcurrent: 5, waves: [{name: one, tenants: 1, maxConcurrent: 1}, {name: some, percent: 25, maxConcurrent: 9}, {name: more, percent: 50}]}\n", ids...)
	w.want("v2")
	d := w.decide()
	var sizes []string
	for _, wave := range d.Rollout.Waves {
		sizes = append(sizes, fmt.Sprintf("%s %d", wave.Name, wave.Tenants))
	}
	if want := []string{"one 1", "some 5", "more 10", "rest 4"}; !slices.Equal(sizes, want) {
		t.Errorf("waves: got %q, want %q", sizes, want)
	}
	if d.Limit() != 1 {
		t.Errorf("limit of the first wave: %d", d.Limit())
	}
	first := slices.Clone(w.places)
	if d := w.round(); d.Due != 1 {
		t.Errorf("due: %d", d.Due)
	}
	if d := w.decide(); d.Limit() != 5 || d.Due != 5 {
		t.Errorf("second wave: limit %d, due %d", d.Limit(), d.Due)
	}
	// The same tenants are first on every machine, whatever their order.
	slices.SortFunc(w.tenants, func(a, b fleet.Tenant) int { return -cmp.Compare(a.ID, b.ID) })
	w.want("v2")
	w.last, w.places = nil, nil
	w.decide()
	if !slices.Equal(first, w.places) {
		t.Errorf("places depend on the order:\n%v\n%v", first, w.places)
	}
}

func TestAllFailedIsFailed(t *testing.T) {
	w := newWorld(t, "", "s1", "s2")
	w.ends["s1"], w.ends["s2"] = fleet.Failed, fleet.Failed
	w.want("v2")
	w.rounds()
	w.status("Failed")
	if w.last.EndedAt.IsZero() {
		t.Error("it has not ended")
	}
	w.rounds()
	if w.last.ID != 1 {
		t.Errorf("trying again is rollout %d", w.last.ID)
	}
}
