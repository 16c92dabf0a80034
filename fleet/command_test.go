package fleet_test

import (
	"errors"
	"testing"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.want("v2")
	w.decide()
	if err := fleet.Pause(w.last, "ada", "why"); err != nil || w.last.Paused != "ada paused it: why" {
		t.Errorf("got %v, %q", err, w.last.Paused)
	}
	if err := fleet.Pause(w.last, "bo", "too"); !errors.Is(err, fleet.ErrNotNow) {
		t.Errorf("a second pause: got %v", err)
	}
	w.rounds()
	w.expect()
	if lifted, err := fleet.Resume(w.last, nil); err != nil || lifted != "the pause" {
		t.Errorf("got %q, %v", lifted, err)
	}
	w.rounds()
	w.expect("c1")
	if _, err := fleet.Resume(w.last, nil); !errors.Is(err, fleet.ErrNotNow) {
		t.Errorf("nothing to resume: got %v", err)
	}
}

func TestResumeForgivesWhatHasFailed(t *testing.T) {
	w := newWorld(t, "rollout: {waves: [{name: all, failureBudget: {tenants: 1}}]}\n", "s1", "s2", "s3")
	w.ends["s1"], w.ends["s2"] = fleet.Failed, fleet.Failed
	w.want("v2")
	w.rounds()
	w.status("Failed BudgetExceeded")
	if lifted, err := fleet.Resume(w.last, []int{2}); err != nil || lifted != "the halt after 2 tenants failed" {
		t.Errorf("got %q, %v", lifted, err)
	}
	if d := w.rounds(); d.Allowed(0) != 3 {
		t.Errorf("%d may fail in all", d.Allowed(0))
	}
	w.status("Partial")
}

func TestResumeLetsOneWaveBegin(t *testing.T) {
	w := newWorld(t, "rollout: {waves: [{name: a, tenants: 1, pauseBefore: true}, {name: b, pauseBefore: true}]}\n", "s1", "s2")
	w.want("v2")
	for _, wave := range []string{"a", "b"} {
		w.rounds()
		w.status("Running AwaitingResume")
		if lifted, err := fleet.Resume(w.last, nil); err != nil || lifted != "the pause before wave "+wave {
			t.Errorf("got %q, %v", lifted, err)
		}
	}
	w.rounds()
	w.status("Succeeded")
	for what, err := range map[string]error{
		"pause": fleet.Pause(w.last, "ada", "why"), "abort": fleet.Abort(w.last, "ada", "why", noon),
	} {
		if !errors.Is(err, fleet.ErrNotNow) {
			t.Errorf("%s after the end: got %v", what, err)
		}
	}
}

func TestAbort(t *testing.T) {
	w := newWorld(t, twoWaves, "c1", "s1")
	w.want("v2")
	w.rounds()
	if err := fleet.Abort(w.last, "ada", "why", w.now); err != nil {
		t.Fatal(err)
	}
	w.rounds()
	w.status("Failed Aborted")
	w.expect("c1")
}

func TestPromoteNamesItsPart(t *testing.T) {
	for _, c := range []struct {
		promotion fleet.Promotion
		want      string // empty for a refusal
		promoted  []bool
	}{
		{fleet.Promotion{All: true}, "all waves", []bool{true, true}},
		{fleet.Promotion{Wave: "canary"}, "waves up to canary", []bool{true, false}},
		{fleet.Promotion{Wave: "2"}, "waves up to all", []bool{true, true}},
		{fleet.Promotion{Wave: "3"}, "", []bool{false, false}},
		{fleet.Promotion{Wave: "rest"}, "", []bool{false, false}},
		{fleet.Promotion{Tenant: "s1"}, `tenant "s1"`, []bool{false, false}},
		{fleet.Promotion{Tenant: "s9"}, "", []bool{false, false}},
	} {
		r := &state.Rollout{Waves: []state.Wave{{Name: "canary"}, {Name: "all"}}}
		got, err := fleet.Promote(r, []state.RolloutTenant{{Tenant: "s1", Wave: 1}}, c.promotion)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, fleet.ErrNotNow) {
			t.Errorf("%+v: got %q, %v", c.promotion, got, err)
		}
		for i, want := range c.promoted {
			if r.Waves[i].Promoted != want {
				t.Errorf("%+v: wave %d promoted: %v", c.promotion, i, !want)
			}
		}
		if c.promotion.Tenant == "s1" && (len(r.Promoted) != 1 || r.Promoted[0] != protocol.TenantID("s1")) {
			t.Errorf("promoted: %v", r.Promoted)
		}
	}
}

// What a command leaves behind is what a person is told until the next pass.
func TestCommandsSayWhatTheyHaveChanged(t *testing.T) {
	w := newWorld(t, "rollout: {waves: [{name: a, tenants: 1, bake: 1h}, {name: b}]}\n", "s1", "s2")
	w.want("v2")
	w.rounds()
	w.status("Running Baking")
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return fleet.Pause(w.last, "ada", "why") }, "Running, Paused"},
		{func() error { _, err := fleet.Resume(w.last, nil); return err }, "Running"},
		{func() error { w.rounds(); return nil }, "Running, Baking"},
		{func() error { _, err := fleet.Promote(w.last, nil, fleet.Promotion{Wave: "a"}); return err }, "Running, Baking"},
		{func() error { _, err := fleet.Promote(w.last, nil, fleet.Promotion{All: true}); return err }, "Running"},
	} {
		if err := step.do(); err != nil || fleet.Word(*w.last) != step.want {
			t.Errorf("got %q, %v, want %q", fleet.Word(*w.last), err, step.want)
		}
	}
}
