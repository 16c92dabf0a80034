package turso_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/provision/turso"
	"github.com/tenantops/reconciler/provision/turso/tursotest"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

// platform is a double with a real server behind it, and a client of it. Names
// of databases begin with unique, since tests share the server.
func platform(t *testing.T, c turso.Config) (*turso.Server, *tursotest.Platform, *sqldtest.Server, string) {
	t.Helper()
	behind := sqldtest.Start(t)
	p := tursotest.Open(t, tursotest.Options{Admin: behind.Admin, Host: sqldtest.Host})
	c.Base, c.Organization = p.URL, "acme"
	if c.Group == "" {
		c.Group = "default"
	}
	if c.Token == nil {
		c.Token = func() (string, error) { return tursotest.Token, nil }
	}
	s, err := turso.New(c)
	must(t, err)
	return s, p, behind, behind.Namespace(t)
}

func execute(t *testing.T, s *sqldtest.Server, namespace, token, sql string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.URL+"/v3/pipeline", strings.NewReader(
		`{"requests":[{"type":"execute","stmt":{"sql":"`+sql+`"}},{"type":"close"}]}`))
	must(t, err)
	request.Host = sqldtest.Host(namespace)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response.Status + " " + string(body)
}

// A database is made, opened, blocked, branched, given new tokens and deleted.
func TestLife(t *testing.T) {
	s, p, behind, unique := platform(t, turso.Config{})
	ctx, name := t.Context(), unique+"-acme"
	made, err := s.Create(ctx, name)
	must(t, err)
	if want := (control.Database{Name: name, URL: "libsql://" + sqldtest.Host(name), ID: made.ID}); made != want || made.ID == "" {
		t.Errorf("got %+v, want %+v", made, want)
	}
	if _, err := s.Create(ctx, name); !errors.Is(err, control.ErrExists) {
		t.Errorf("made twice: got %v, want ErrExists", err)
	}
	first, err := s.Token(ctx, name)
	must(t, err)
	second, err := s.Token(ctx, name)
	must(t, err)
	for _, token := range []string{first, second} {
		wantAnswer(t, execute(t, behind, name, token, "CREATE TABLE IF NOT EXISTS t AS SELECT 7 AS x"), `"ok"`)
	}
	reading, err := s.CreateToken(ctx, name, protocol.TokenReadOnly, "2w1d30m")
	must(t, err)
	wantAnswer(t, execute(t, behind, name, reading.JWT, "INSERT INTO t VALUES (1)"), "403")

	must(t, s.Block(ctx, name, true))
	wantAnswer(t, execute(t, behind, name, first, "INSERT INTO t VALUES (1)"), "BLOCKED")
	branch, err := s.Fork(ctx, name, name+"-try")
	must(t, err)
	token, err := s.Token(ctx, branch.Name)
	must(t, err)
	wantAnswer(t, execute(t, behind, branch.Name, token, "INSERT INTO t SELECT x + 1 FROM t"), `"ok"`)
	must(t, s.Block(ctx, name, false))

	fresh, err := s.Rotate(ctx, name)
	must(t, err)
	for _, token := range []string{first, second} {
		wantAnswer(t, execute(t, behind, name, token, "SELECT 1"), "401")
	}
	wantAnswer(t, execute(t, behind, name, fresh, "SELECT group_concat(x) AS all_x FROM t"), `"value":"7"`)

	if used, err := s.Usage(ctx, name); err != nil || used.RowsWritten == 0 {
		t.Errorf("got usage %+v, %v; want rows that were written", used, err)
	}
	list, err := s.List(ctx)
	must(t, err)
	must(t, s.Reach(ctx))
	if len(list) != 2 {
		t.Errorf("got %+v, want the database and its branch", list)
	}
	p.Protect(name, true)
	var protected *turso.ProtectedError
	if err := s.Delete(ctx, name); !errors.As(err, &protected) || protected.Reason() != "DeleteProtected" {
		t.Errorf("got %v, want that it is protected", err)
	}
	p.Protect(name, false)
	for range 2 {
		must(t, s.Delete(ctx, name))
	}
	if _, err := s.Find(ctx, name); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// Each refusal of the platform has its reason; a 429 is waited for.
func TestRefusals(t *testing.T) {
	s, p, _, unique := platform(t, turso.Config{})
	ctx := t.Context()
	for status, want := range map[int]string{
		401: "ProviderUnauthorized", 402: "ProviderPayment", 403: "ProviderForbidden", 404: "ProviderNotFound", 409: "ProviderConflict", 500: "ProviderAway",
	} {
		p.Refuse("create database", status, nil)
		var refused *control.Error
		if _, err := s.Create(ctx, unique+"-x"); !errors.As(err, &refused) || refused.Reason() != want {
			t.Errorf("%d: got %v, want %s", status, err, want)
		}
	}
	p.Refuse("create database", http.StatusTooManyRequests, http.Header{"Retry-After": {"0"}})
	if _, err := s.Create(ctx, unique+"-y"); err != nil {
		t.Errorf("after a 429: got %v", err)
	}
	p.Refuse("invalidate tokens", http.StatusBadGateway, nil)
	if _, err := s.Rotate(ctx, unique+"-y"); !errors.Is(err, database.ErrAway) {
		t.Errorf("got %v, want ErrAway", err)
	}
	calls := p.Calls()
	if slices.Contains(calls, "create token") {
		t.Errorf("got calls %q: a token was made though the others are valid still", calls)
	}
}

func TestWrongToken(t *testing.T) {
	s, _, _, unique := platform(t, turso.Config{Token: func() (string, error) { return "planted-wrong-token", nil }})
	var refused *control.Error
	_, err := s.Create(t.Context(), unique+"-x")
	for _, err := range []error{err, s.Reach(t.Context())} {
		if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || strings.Contains(err.Error(), "planted") {
			t.Errorf("got %v, want 401 without the token", err)
		}
	}
}

// An answer without the host of a database is an error.
func TestAnswerWithoutAHost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"database":{}}`) }))
	t.Cleanup(server.Close)
	s, err := turso.New(turso.Config{Base: server.URL, Organization: "acme", Token: func() (string, error) { return tursotest.Token, nil }})
	must(t, err)
	made, err := s.Create(t.Context(), "acme")
	found, missing := s.Find(t.Context(), "acme")
	if err == nil || missing == nil {
		t.Errorf("got %+v and %+v, want errors", made, found)
	}
}

func TestGroupIsMade(t *testing.T) {
	s, _, _, unique := platform(t, turso.Config{Group: "prod"})
	if _, err := s.Create(t.Context(), unique+"-x"); err == nil || !strings.Contains(err.Error(), "group") {
		t.Errorf("got %v, want that there is no such group", err)
	}
	s, p, _, unique := platform(t, turso.Config{Group: "prod", Location: "iad"})
	if _, err := s.Create(t.Context(), unique+"-x"); err != nil {
		t.Error(err)
	}
	if want := []string{"create database", "create group", "create database"}; !slices.Equal(p.Calls(), want) {
		t.Errorf("got calls %q, want %q", p.Calls(), want)
	}
}

func TestProtocol(t *testing.T) {
	s, _, _, unique := platform(t, turso.Config{})
	var service protocol.TursoPlatformService = turso.Platform{Server: s}
	ctx, name := t.Context(), unique+"-acme"
	made, err := service.CreateDatabase(ctx, protocol.TursoDatabaseOptions{Name: name, Group: "default"})
	must(t, err)
	found, err := service.Database(ctx, name)
	must(t, err)
	if made.Name != name || made.Group != "default" || found == nil || found.Hostname != made.Hostname {
		t.Errorf("got %+v and then %+v", made, found)
	}
	must(t, service.RevokeTokens(ctx, name))
	list, err := service.ListDatabases(ctx, "default")
	must(t, err)
	must(t, service.DeleteDatabase(ctx, name))
	if gone, err := service.Database(ctx, name); gone != nil || err != nil || len(list) != 1 {
		t.Errorf("got %+v, %v and a list of %d, want nothing and one", gone, err, len(list))
	}
}

func TestNames(t *testing.T) {
	s, p, _, _ := platform(t, turso.Config{})
	for _, name := range []string{"", "../x", "A", "a.b", "-a", "a?x=1", "a\n", strings.Repeat("a", 65)} {
		_, made := s.Create(t.Context(), name)
		_, found := s.Find(t.Context(), name)
		for _, err := range []error{made, found, s.Delete(t.Context(), name)} {
			if err == nil {
				t.Errorf("%q: got no error", name)
			}
		}
	}
	if len(p.Calls()) > 0 {
		t.Errorf("got calls %q, want none", p.Calls())
	}
}

func wantAnswer(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(got, part) {
			t.Errorf("the server answers %s, want %s in it", got, part)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
