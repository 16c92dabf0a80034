package statetest

import (
	"bytes"
	"errors"

	"github.com/tenantops/reconciler/state"
)

var bodies = []exercise{
	{"a plan is stored once for all its classes", planClasses},
	{"a class leads to the plan that was saved last", planClassMoves},
	{"a bundle is stored once", bundleOnce},
	{"a large bundle comes back whole", bundleLarge},
	{"a body needs a digest", bodyDigest},
}

func planClasses(f *fixture) {
	ctx, s := f.Context(), f.store()
	body := []byte(`{"statements":[{"sql":"CREATE TABLE a (b text)"}]}`)
	f.must(s.SavePlan(ctx, state.Plan{Digest: "d1", Class: "c1", Body: body}))
	f.must(s.SavePlan(ctx, state.Plan{Digest: "d1", Class: "c2", Body: []byte("later")}))
	f.must(s.SavePlan(ctx, state.Plan{Digest: "d2", Body: []byte("{}")}))
	s = f.reopened(s)
	for _, class := range []string{"c1", "c2"} {
		got, err := s.PlanByClass(ctx, class)
		f.must(err)
		f.equal(got, state.Plan{Digest: "d1", Class: class, Body: body})
	}
	got, err := s.Plan(ctx, "d1")
	f.must(err)
	f.equal(got, state.Plan{Digest: "d1", Body: body})
	if _, err := s.PlanByClass(ctx, ""); !errors.Is(err, state.ErrNotFound) {
		f.Errorf("plan without a class: got %v, want ErrNotFound", err)
	}
}

func planClassMoves(f *fixture) {
	ctx, s := f.Context(), f.store()
	for _, digest := range []string{"d1", "d2"} {
		f.must(s.SavePlan(ctx, state.Plan{Digest: digest, Class: "c", Body: []byte(digest)}))
	}
	got, err := s.PlanByClass(ctx, "c")
	f.must(err)
	f.equal(got.Digest, "d2")
	_, err = s.Plan(ctx, "d1")
	f.must(err)
}

func bundleOnce(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveBundle(ctx, "d", []byte("one")))
	f.must(s.SaveBundle(ctx, "d", []byte("two")))
	got, err := f.reopened(s).Bundle(ctx, "d")
	f.must(err)
	f.equal(string(got), "one")
}

func bundleLarge(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := make([]byte, 4<<20)
	for i := range want {
		want[i] = byte(i * i >> 7) // zeros among it, and little to compress
	}
	f.must(s.SaveBundle(ctx, "d", want))
	got, err := s.Bundle(ctx, "d")
	f.must(err)
	if !bytes.Equal(got, want) {
		f.Errorf("got %d other bytes, want %d", len(got), len(want))
	}
}

func bodyDigest(f *fixture) {
	ctx, s := f.Context(), f.store()
	if err := s.SavePlan(ctx, state.Plan{Body: []byte("{}")}); err == nil {
		f.Error("a plan without a digest was saved")
	}
	if err := s.SaveBundle(ctx, "", []byte("{}")); err == nil {
		f.Error("a bundle without a digest was saved")
	}
}
