package statetest

import (
	"errors"
	"slices"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var placements = []exercise{
	{"every field of a placement is kept", placementFields},
	{"a placement is saved with its events, or not at all", placementEvents},
	{"two tenants do not have one database", placementTaken},
	{"a token in plain text is refused", placementPlain},
	{"branches are kept until they are forgotten", branches},
}

func placement(tenant protocol.TenantID) state.Placement {
	return state.Placement{
		Tenant: tenant, Provider: "sqld", Name: "main-" + string(tenant), URL: "https://" + string(tenant) + ".example:8080",
		Token: "$age:-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----", PlacedAt: now, RotatedAt: now.Add(time.Hour), ServerID: "0eb771dd",
	}
}

func placementFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	acme, beta := placement("acme"), placement("beta")
	asked := acme
	asked.URL, asked.Token = "", ""
	for _, p := range []state.Placement{beta, asked, acme} {
		f.must(s.SavePlacement(ctx, p))
	}
	s = f.reopened(s)
	all, err := s.Placements(ctx)
	f.must(err)
	one, found, err := s.Placement(ctx, "acme")
	f.must(err)
	if !found || one != acme || !slices.Equal(all, []state.Placement{acme, beta}) {
		f.Errorf("got %+v and %+v, want %+v and %+v", one, all, acme, beta)
	}
	if asked.Connection() != nil || *acme.Connection() != (protocol.TenantConnectionConfig{URL: acme.URL, AuthToken: acme.Token}) {
		f.Errorf("got connections %+v and %+v", asked.Connection(), acme.Connection())
	}
	f.must(s.ForgetPlacement(ctx, "acme"))
	if _, found, err := s.Placement(ctx, "acme"); found || err != nil {
		f.Errorf("got found %v, error %v; want nothing", found, err)
	}
}

func placementEvents(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SavePlacement(ctx, placement("acme")))
	taken := placement("beta")
	taken.Name = "main-acme"
	event := state.Event{At: now, Actor: "ada", Via: "cli", Kind: state.EventRotated, Tenant: "beta"}
	if err := s.SavePlacement(ctx, taken, event); err == nil {
		f.Error("a name that is taken is no error")
	}
	f.must(s.SavePlacement(ctx, placement("beta"), event))
	got, err := s.Events(ctx, state.EventQuery{Tenant: "beta"})
	f.must(err)
	if len(got) != 1 || got[0].Kind != state.EventRotated {
		f.Errorf("got events %+v, want one", got)
	}
}

func placementTaken(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SavePlacement(ctx, placement("acme")))
	taken := placement("beta")
	taken.Name = "main-acme"
	if err := s.SavePlacement(ctx, taken); !errors.Is(err, database.ErrConstraint) {
		f.Errorf("got error %v, want ErrConstraint", err)
	}
	taken.Provider = "turso"
	f.must(s.SavePlacement(ctx, taken))
}

func placementPlain(f *fixture) {
	plain := placement("acme")
	plain.Token = "eyJhbGciOiJFZERTQSJ9"
	if err := f.store().SavePlacement(f.Context(), plain); !errors.Is(err, database.ErrConstraint) {
		f.Errorf("got error %v, want ErrConstraint", err)
	}
}

func branches(f *fixture) {
	ctx, s := f.Context(), f.store()
	first := state.Branch{Provider: "sqld", Name: "try-1", Tenant: "acme", MadeAt: now}
	second := state.Branch{Provider: "sqld", Name: "try-0", Tenant: "beta", MadeAt: now.Add(time.Second)}
	for _, b := range []state.Branch{second, first, first} {
		f.must(s.SaveBranch(ctx, b))
	}
	if got, err := s.Branches(ctx); err != nil || !slices.Equal(got, []state.Branch{first, second}) {
		f.Errorf("got %+v, %v; want the first and the second", got, err)
	}
	f.must(s.ForgetBranch(ctx, first))
	if got, err := s.Branches(ctx); err != nil || !slices.Equal(got, []state.Branch{second}) {
		f.Errorf("got %+v, %v; want the second", got, err)
	}
}
