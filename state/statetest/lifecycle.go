package statetest

import (
	"context"
	"errors"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/state"
)

var lifeCycle = []exercise{
	{"an empty store has nothing", emptyStore},
	{"a closed store says so", closedStore},
	{"a read-only store reads and refuses to write", readOnlyStore},
	{"a read-only store is not created", readOnlyMissing},
	{"a cancelled call changes nothing", cancelled},
}

func emptyStore(f *fixture) {
	ctx, s := f.Context(), f.store()
	list, err := s.Deployments(ctx, "acme", 0)
	f.must(err)
	f.equal(list, []state.Deployment{})
	unfinished, err := s.Unfinished(ctx)
	f.must(err)
	f.equal(unfinished, []state.Deployment{})
	all, err := s.Observed(ctx)
	f.must(err)
	f.equal(len(all), 0)
	_, found, err := s.ObservedOf(ctx, "acme")
	f.must(err)
	f.equal(found, false)
	_, found, err = s.LastPass(ctx)
	f.must(err)
	f.equal(found, false)
	f.must(s.SaveObserved(ctx))
	for _, read := range []func() error{
		func() error { _, err := s.Deployment(ctx, "0193"); return err },
		func() error { _, err := s.Deployment(ctx, ""); return err },
		func() error { _, err := s.Plan(ctx, "digest"); return err },
		func() error { _, err := s.PlanByClass(ctx, "class"); return err },
		func() error { _, err := s.Bundle(ctx, "digest"); return err },
	} {
		if err := read(); !errors.Is(err, state.ErrNotFound) {
			f.Errorf("got %v, want ErrNotFound", err)
		}
	}
}

func closedStore(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.Close())
	f.must(s.Close())
	if err := s.SaveObserved(ctx, observation("acme", 1)); !errors.Is(err, database.ErrClosed) {
		f.Errorf("save: got %v, want ErrClosed", err)
	}
	if _, err := s.Observed(ctx); !errors.Is(err, database.ErrClosed) {
		f.Errorf("read: got %v, want ErrClosed", err)
	}
}

func readOnlyStore(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := observation("acme", 1)
	f.must(s.SaveObserved(ctx, want))
	f.must(s.Close())

	reader, err := f.open(ctx, f.dir, state.Options{ReadOnly: true})
	f.must(err)
	defer func() { f.must(reader.Close()) }()
	got, _, err := reader.ObservedOf(ctx, "acme")
	f.must(err)
	f.equal(got, want)
	if err := reader.SaveObserved(ctx, want); !errors.Is(err, database.ErrReadOnly) {
		f.Errorf("save: got %v, want ErrReadOnly", err)
	}
	if err := reader.Replace(ctx, "acme", nil, want); !errors.Is(err, database.ErrReadOnly) {
		f.Errorf("replace: got %v, want ErrReadOnly", err)
	}
}

func readOnlyMissing(f *fixture) {
	for range 2 {
		_, err := f.open(f.Context(), f.dir, state.Options{ReadOnly: true})
		if !errors.Is(err, database.ErrMissing) {
			f.Errorf("got %v, want ErrMissing", err)
		}
	}
}

func cancelled(f *fixture) {
	s := f.store()
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	for _, call := range []func() error{
		func() error { return s.SaveObserved(ctx, observation("acme", 1)) },
		func() error { return s.Replace(ctx, "acme", nil, observation("acme", 1)) },
		func() error { _, err := s.Observed(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			f.Errorf("got %v, want context.Canceled", err)
		}
	}
	all, err := s.Observed(f.Context())
	f.must(err)
	f.equal(len(all), 0)
}
