package contracttest

import (
	"testing"

	"github.com/tenantops/reconciler/protocol"
)

// TursoPlatformFixture is a TursoPlatformService without databases.
type TursoPlatformFixture struct {
	Service protocol.TursoPlatformService
	Group   string // that exists
	// Accepts tells whether a database lets a token in.
	Accepts func(t testing.TB, database, token string) bool
}

// TursoPlatform exercises the contract of protocol.TursoPlatformService.
func TursoPlatform(t *testing.T, open func(testing.TB) TursoPlatformFixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, TursoPlatformFixture)
	}{
		{"a created database is found and listed", createDatabase},
		{"a database that does not exist is nothing and no error", missingDatabase},
		{"a deleted database is gone", deleteDatabase},
		{"revoked tokens let nobody in, and new ones do", revokeTokens},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func (f TursoPlatformFixture) create(t testing.TB, name string) protocol.TursoDatabase {
	t.Helper()
	return must(f.Service.CreateDatabase(t.Context(), protocol.TursoDatabaseOptions{Name: name, Group: f.Group}))(t)
}

func (f TursoPlatformFixture) names(t testing.TB, group string) []string {
	t.Helper()
	var names []string
	for _, d := range must(f.Service.ListDatabases(t.Context(), group))(t) {
		names = append(names, d.Name)
	}
	return names
}

func (f TursoPlatformFixture) token(t testing.TB, name string, scope protocol.TursoTokenScope) string {
	t.Helper()
	return must(f.Service.CreateToken(t.Context(), name, scope, "7d"))(t).JWT
}

func createDatabase(t *testing.T, f TursoPlatformFixture) {
	got := f.create(t, "acme")
	if got.Name != "acme" || got.Group != f.Group || got.DBID == "" || got.Hostname == "" {
		t.Errorf("got %+v, want acme in group %s with an id and a host", got, f.Group)
	}
	found := must(f.Service.Database(t.Context(), "acme"))(t)
	if found == nil || found.DBID != got.DBID {
		t.Errorf("got %+v, want the database that was created", found)
	}
	wantList(t, "databases of the group", f.names(t, f.Group), "acme")
	wantList(t, "databases", f.names(t, ""), "acme")
	wantList(t, "databases of another group", f.names(t, "no-such-group"))
	if other := f.create(t, "beta"); other.DBID == got.DBID || other.Hostname == got.Hostname {
		t.Errorf("got %+v, want another id and host than those of acme", other)
	}
	if again, err := f.Service.CreateDatabase(t.Context(), protocol.TursoDatabaseOptions{Name: "acme", Group: f.Group}); err == nil {
		t.Errorf("got %+v, want an error for a name that is taken", again)
	}
}

func missingDatabase(t *testing.T, f TursoPlatformFixture) {
	if got := must(f.Service.Database(t.Context(), "nothing"))(t); got != nil {
		t.Errorf("got %+v, want nothing", got)
	}
	if f.Service.DeleteDatabase(t.Context(), "nothing") == nil {
		t.Error("a database that does not exist was deleted")
	}
	if token, err := f.Service.CreateToken(t.Context(), "nothing", protocol.TokenFullAccess, ""); err == nil {
		t.Errorf("got token %+v, want an error", token)
	}
	if f.Service.RevokeTokens(t.Context(), "nothing") == nil {
		t.Error("tokens of a database that does not exist were revoked")
	}
}

func deleteDatabase(t *testing.T, f TursoPlatformFixture) {
	f.create(t, "acme")
	f.create(t, "beta")
	token := f.token(t, "acme", protocol.TokenFullAccess)
	if err := f.Service.DeleteDatabase(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	wantList(t, "databases", f.names(t, ""), "beta")
	if got := must(f.Service.Database(t.Context(), "acme"))(t); got != nil {
		t.Errorf("got %+v, want nothing", got)
	}
	if f.Accepts(t, "acme", token) {
		t.Error("the token of a deleted database lets in")
	}
}

func revokeTokens(t *testing.T, f TursoPlatformFixture) {
	f.create(t, "acme")
	f.create(t, "beta")
	full, reading := f.token(t, "acme", protocol.TokenFullAccess), f.token(t, "acme", protocol.TokenReadOnly)
	other := f.token(t, "beta", protocol.TokenFullAccess)
	if !f.Accepts(t, "acme", full) || !f.Accepts(t, "acme", reading) || f.Accepts(t, "acme", other) {
		t.Error("a database lets in its own tokens, and no other's")
	}
	if err := f.Service.RevokeTokens(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if f.Accepts(t, "acme", full) || f.Accepts(t, "acme", reading) || !f.Accepts(t, "beta", other) {
		t.Error("revoking ends the tokens of the database, and no other's")
	}
	if !f.Accepts(t, "acme", f.token(t, "acme", protocol.TokenFullAccess)) {
		t.Error("a token made after revoking is not let in")
	}
}
