package tenantrouter_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// place is a data directory with a directory beside it that is nobody's.
type place struct {
	*testing.T
	data, outside string
	router        *tenantrouter.Router
}

func newPlace(t *testing.T, fileRoot string) *place {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	p := &place{T: t, data: filepath.Join(dir, "data"), outside: filepath.Join(dir, "outside")}
	must(t, os.Mkdir(p.data, 0o700))
	must(t, os.Mkdir(p.outside, 0o700))
	if fileRoot != "" {
		fileRoot = filepath.Join(dir, fileRoot)
	}
	p.router, err = tenantrouter.New(tenantrouter.Config{DataDir: p.data, FileRoot: fileRoot})
	must(t, err)
	return p
}

// locate returns where a URL leads; DATA and OUTSIDE in it are the directories.
func (p *place) locate(url string) (string, error) {
	p.Helper()
	url = strings.NewReplacer("DATA", p.data, "OUTSIDE", p.outside).Replace(url)
	at, err := p.router.Locate("acme", &protocol.TenantConnectionConfig{URL: url})
	return at.Path, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLocate(t *testing.T) {
	p := newPlace(t, "")
	at, err := p.router.Locate("acme", nil)
	must(t, err)
	if want := filepath.Join(p.data, "tenants", "acme.db"); at.Path != want {
		t.Errorf("without a URL: got %s, want %s", at.Path, want)
	}
	must(t, os.Mkdir(filepath.Join(p.data, "big"), 0o700))
	must(t, os.Symlink("big", filepath.Join(p.data, "link")))
	for url, want := range map[string]string{
		"file:one.db":              "one.db",
		"file:tenants/one.db":      "tenants/one.db", // the directory is made with the first database
		"file:big/one.db":          "big/one.db",
		"file:link/one.db":         "big/one.db",
		"file:big/../one.db":       "one.db",
		"file:one%20two%23.db":     "one two#.db",
		"file:%2e%2e/data/one.db":  "one.db",
		"file://DATA/one.db":       "one.db",
		"file:///DATA/one.db":      "one.db",
		"file://localhost/DATA/x":  "x",
		"file:statement.db":        "statement.db",
		"file:big/state.db":        "big/state.db",
		"file:lockers/../big/x.db": "big/x.db",
	} {
		if got, err := p.locate(url); err != nil || got != filepath.Join(p.data, want) {
			t.Errorf("%s: got %s, %v; want %s", url, got, err, want)
		}
	}
}

// No spelling of a URL and no link leads out of the directories, or to what the
// reconciler keeps for itself. Each error has a reason and the next step.
func TestLocateRefuses(t *testing.T) {
	p := newPlace(t, "")
	must(t, os.Mkdir(filepath.Join(p.data, "git"), 0o700))
	must(t, os.WriteFile(filepath.Join(p.outside, "other.db"), nil, 0o600))
	for link, target := range map[string]string{
		"out": p.outside, "other.db": filepath.Join(p.outside, "other.db"), "dangling.db": filepath.Join(p.outside, "none.db"),
		"nowhere": filepath.Join(p.outside, "none"), "loop": "loop", "mine.db": "state.db",
	} {
		must(t, os.Symlink(target, filepath.Join(p.data, link)))
	}
	must(t, os.WriteFile(filepath.Join(p.data, "state.db"), nil, 0o600))
	for url, want := range map[string]error{
		"libsql://acme.turso.io":     tenantrouter.ErrHost,
		"postgres://x":               tenantrouter.ErrNotServed,
		"":                           tenantrouter.ErrNotServed,
		"FILE:one.db":                tenantrouter.ErrNotServed,
		"file:":                      tenantrouter.ErrOutside,
		"file:.":                     tenantrouter.ErrOutside,
		"file:..":                    tenantrouter.ErrOutside,
		"file:dir/":                  tenantrouter.ErrOutside,
		"file:one.db?mode=memory":    tenantrouter.ErrOutside,
		"file:one.db#two":            tenantrouter.ErrOutside,
		"file:100%.db":               tenantrouter.ErrOutside,
		"file:a%00.db":               tenantrouter.ErrOutside,
		"file://host/one.db":         tenantrouter.ErrOutside,
		"file:../outside/one.db":     tenantrouter.ErrOutside,
		"file:..%2Foutside%2Fone.db": tenantrouter.ErrOutside,
		"file:%2e%2e/one.db":         tenantrouter.ErrOutside,
		"file://OUTSIDE/one.db":      tenantrouter.ErrOutside,
		"file:DATAbase/one.db":       tenantrouter.ErrOutside, // a sibling of the same prefix
		"file:/etc/passwd":           tenantrouter.ErrOutside,
		"file:out/one.db":            tenantrouter.ErrOutside,
		"file:other.db":              tenantrouter.ErrOutside,
		"file:tenants/acme.db-wal":   tenantrouter.ErrOutside,
		"file:state.db":              tenantrouter.ErrOutside,
		"file:mine.db":               tenantrouter.ErrOutside,
		"file:state.db.broken-1":     tenantrouter.ErrOutside,
		"file:lock":                  tenantrouter.ErrOutside,
		"file:git/one.db":            tenantrouter.ErrOutside,
		"file:snapshots/one.db":      tenantrouter.ErrOutside,
		"file:dangling.db":           database.ErrMissing,
		"file:nowhere/one.db":        database.ErrMissing,
		"file:unmounted/one.db":      database.ErrMissing,
		"file:loop":                  database.ErrMissing,
	} {
		got, err := p.locate(url)
		var wrong *tenantrouter.LocationError
		if !errors.Is(err, want) || !errors.As(err, &wrong) || wrong.Tenant != "acme" || wrong.Reason() == "" || wrong.Next() == "" {
			t.Errorf("%s: got %s, %v; want %v", url, got, err, want)
		}
	}
}

func TestFileRoot(t *testing.T) {
	p := newPlace(t, "outside")
	must(t, os.Symlink(filepath.Dir(p.outside), filepath.Join(p.outside, "up")))
	if got, err := p.locate("file://OUTSIDE/one.db"); err != nil || got != filepath.Join(p.outside, "one.db") {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := p.locate("file://OUTSIDE/state.db"); err != nil {
		t.Errorf("a name that only the data directory reserves: got %s, %v", got, err)
	}
	for _, url := range []string{"file://OUTSIDE/../one.db", "file://OUTSIDE/up/one.db", "file://OUTSIDE"} {
		if got, err := p.locate(url); !errors.Is(err, tenantrouter.ErrOutside) {
			t.Errorf("%s: got %s, %v; want ErrOutside", url, got, err)
		}
	}
	if got, err := p.locate("file://OUTSIDE/unmounted/one.db"); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %s, %v; want ErrMissing", got, err)
	}
}

// A plan looks at a data directory that is not there yet.
func TestLocateBeforeTheFirstSync(t *testing.T) {
	p := newPlace(t, "")
	must(t, os.Remove(p.data))
	if got, err := p.locate("file:one.db"); err != nil || got != filepath.Join(p.data, "one.db") {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := p.locate("file:sub/one.db"); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %s, %v; want ErrMissing", got, err)
	}
	if _, err := os.Stat(p.data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking made the directory: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	p := newPlace(t, "")
	at := func(name string) tenantrouter.Location {
		return tenantrouter.Location{Path: filepath.Join(p.data, name)}
	}
	same := func(a, b string, want bool) {
		t.Helper()
		if got := p.router.Identity(at(a)) == p.router.Identity(at(b)); got != want {
			t.Errorf("%s and %s are one file: got %v, want %v", a, b, got, want)
		}
	}
	must(t, os.Symlink(p.data, filepath.Join(p.data, "self")))
	same("one.db", "self/one.db", true) // neither exists
	same("one.db", "two.db", false)
	same("none/one.db", "self/none/one.db", true)
	same("none/one.db", "one.db", false)
	must(t, os.WriteFile(filepath.Join(p.data, "one.db"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(p.data, "three.db"), nil, 0o600))
	must(t, os.Link(filepath.Join(p.data, "one.db"), filepath.Join(p.data, "two.db")))
	same("one.db", "two.db", true)
	same("one.db", "self/two.db", true)
	same("one.db", "three.db", false)
}

// A stamp changes with each commit, in the file or in its log, and with
// nothing else.
func TestStamp(t *testing.T) {
	ctx, p := t.Context(), newPlace(t, "")
	at, err := p.router.Locate("acme", nil)
	must(t, err)
	stamp := func() string {
		t.Helper()
		s, err := p.router.Stamp(at)
		must(t, err)
		return s
	}
	if got := stamp(); got != "" {
		t.Errorf("without a file: got %q, want none", got)
	}
	conn, err := p.router.Open(ctx, at, true)
	must(t, err)
	exec := func(sql string) {
		t.Helper()
		_, err := conn.Exec(ctx, sql)
		must(t, err)
	}
	exec("CREATE TABLE t (a)")
	first := stamp()
	_, err = conn.Query(ctx, "SELECT * FROM t")
	must(t, err)
	if got := stamp(); got != first {
		t.Errorf("reading changed the stamp: %q, %q", first, got)
	}
	time.Sleep(20 * time.Millisecond) // longer than a tick of the file system's clock
	exec("INSERT INTO t VALUES (1)")
	second := stamp()
	if second == first {
		t.Errorf("a commit to the log left the stamp as it was: %q", second)
	}
	must(t, conn.Close())
	reader, err := p.router.OpenReadOnly(ctx, at)
	must(t, err)
	if _, err := reader.Exec(ctx, "INSERT INTO t VALUES (2)"); !errors.Is(err, database.ErrReadOnly) {
		t.Errorf("writing to what was opened to look: got %v, want ErrReadOnly", err)
	}
	must(t, reader.Close())
}

func TestOpenCreatesOnlyWhenAllowed(t *testing.T) {
	ctx, p := t.Context(), newPlace(t, "")
	at, err := p.router.Locate("acme", nil)
	must(t, err)
	if _, err := p.router.Open(ctx, at, false); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if _, err := p.router.OpenReadOnly(ctx, at); !errors.Is(err, database.ErrMissing) {
		t.Errorf("to look: got %v, want ErrMissing", err)
	}
	if _, err := os.Stat(filepath.Dir(at.Path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the tenants directory was made: %v", err)
	}
	conn, err := p.router.Open(ctx, at, true)
	must(t, err)
	rows, err := conn.Query(ctx, "PRAGMA journal_mode")
	must(t, err)
	if got := rows.Values[0][0]; got != "wal" {
		t.Errorf("a new database has journal mode %v, want wal", got)
	}
	must(t, conn.Close())
	info, err := os.Stat(filepath.Dir(at.Path))
	must(t, err)
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("others may look into the tenants directory: mode %o", got)
	}
}

// The journal mode that a database has is somebody's decision.
func TestOpenKeepsTheJournalMode(t *testing.T) {
	ctx, p := t.Context(), newPlace(t, "")
	path := filepath.Join(p.data, "one.db")
	made, err := libsql.Open(ctx, path, libsql.Options{Create: true})
	must(t, err)
	_, err = made.Exec(ctx, "CREATE TABLE t (a)")
	must(t, errors.Join(err, made.Close()))
	conn, err := p.router.Open(ctx, tenantrouter.Location{Path: path}, true)
	must(t, err)
	rows, err := conn.Query(ctx, "PRAGMA journal_mode")
	must(t, errors.Join(err, conn.Close()))
	if got := rows.Values[0][0]; got != "delete" {
		t.Errorf("got journal mode %v, want delete", got)
	}
}
