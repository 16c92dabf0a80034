package statetest

import (
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var backups = []exercise{
	{"every field of a backup is kept, erased or not", backupFields},
	{"backups that were taken before a time are those that are there", backupsBefore},
	{"a sign-up is recorded once", signUps},
}

func backupFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	one, other, changed := filled[state.Backup](1), filled[state.Backup](2), filled[state.Backup](1)
	changed.EraseReason = "asked for it"
	f.must(s.SaveBackup(ctx, other))
	f.must(s.SaveBackup(ctx, one))
	f.must(s.SaveBackup(ctx, changed, state.Event{Kind: state.EventErased, Tenant: one.Tenant}))
	s = f.reopened(s)
	for tenant, want := range map[protocol.TenantID][]state.Backup{
		"": {changed, other}, other.Tenant: {other}, "nobody": {},
	} {
		got, err := s.Backups(ctx, tenant)
		f.must(err)
		f.equal(got, want)
	}
	events, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	f.equal(len(events), 1)
}

func backupsBefore(f *fixture) {
	ctx, s := f.Context(), f.store()
	old, young, erased := filled[state.Backup](1), filled[state.Backup](2), filled[state.Backup](3)
	old.ErasedAt, young.ErasedAt = time.Time{}, time.Time{}
	old.TakenAt, young.TakenAt, erased.TakenAt = now, now.Add(time.Hour), now
	for _, b := range []state.Backup{old, young, erased} {
		f.must(s.SaveBackup(ctx, b))
	}
	got, err := s.BackupsBefore(ctx, now.Add(time.Hour))
	f.must(err)
	f.equal(got, []state.Backup{old})
}

func signUps(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := filled[state.SignUp](1)
	_, found, err := s.SignUp(ctx, want.Key)
	f.must(err)
	f.equal(found, false)
	f.must(s.AddSignUp(ctx, want))
	if err := s.AddSignUp(ctx, state.SignUp{Key: want.Key, Tenant: "other"}); err == nil {
		f.Error("a key was recorded twice")
	}
	got, found, err := f.reopened(s).SignUp(ctx, want.Key)
	f.must(err)
	f.equal(found, true)
	f.equal(got, want)
}
