// Package databasetest says where the databases of a test live, so that one
// test is run on files, in memory, and on a real libSQL server.
package databasetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/sqldtest"
)

// Kind is what databases live in.
type Kind string

// The kinds of places.
const (
	File   Kind = "file"
	Memory Kind = "memory" // of this process
	Server Kind = "server" // the one of sqldtest
)

// Each runs a test on each kind of place, as a subtest of that name.
func Each(t *testing.T, test func(t *testing.T, kind Kind), kinds ...Kind) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) { test(t, kind) })
	}
}

// Place is a directory in which a test keeps what belongs together, and its
// databases: files in it, or namespaces of a server that the directory knows.
// So another process which is told the directory finds them.
type Place struct {
	Dir string
	// File is how files are opened. Create is added.
	File libsql.Options

	memory map[string]database.Conn
	at     *server // nil for files and memory
}

// server is what a directory knows about where its databases are.
type server struct {
	URL, Admin string
	Prefix     string // of the namespaces, which are this place's alone
}

// The files of a directory whose databases are on a server. There is one of
// the suffix for each of them.
const (
	pointer   = "server.json"
	namespace = ".namespace"
)

// New is an empty place. Where there is no server for tests, a test of that
// kind is skipped.
func New(t testing.TB, kind Kind) *Place {
	t.Helper()
	p := &Place{Dir: t.TempDir(), File: libsql.Options{WAL: true}}
	switch kind {
	case Memory:
		p.memory = map[string]database.Conn{}
		t.Cleanup(func() {
			for _, conn := range p.memory {
				_ = conn.Close()
			}
		})
	case Server:
		s := sqldtest.Start(t)
		p.at = &server{URL: s.URL, Admin: s.Admin}
		p.point(t)
	}
	return p
}

// In is the place of a directory that New or Copy made, here or in another
// process.
func In(t testing.TB, dir string) *Place {
	t.Helper()
	p := &Place{Dir: dir, File: libsql.Options{WAL: true}}
	text, err := os.ReadFile(filepath.Join(dir, pointer))
	if errors.Is(err, fs.ErrNotExist) {
		return p
	}
	p.at = &server{}
	if err := errors.Join(err, json.Unmarshal(text, p.at)); err != nil {
		t.Fatal(err)
	}
	return p
}

// Around is the place of a database file that is there, and the file's name in it.
func Around(path string) (*Place, string) {
	p := &Place{Dir: filepath.Dir(path), File: libsql.Options{WAL: true}}
	return p, strings.TrimSuffix(filepath.Base(path), ".db")
}

// point gives the place namespaces of its own.
func (p *Place) point(t testing.TB) {
	t.Helper()
	p.at.Prefix = "n" + strings.ToLower(rand.Text()[:12])
	text, err := json.Marshal(p.at)
	if err := errors.Join(err, os.WriteFile(filepath.Join(p.Dir, pointer), text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// OnServer tells that the databases are on a server.
func (p *Place) OnServer() bool { return p.at != nil }

// Address is the URL of the server that the databases are on.
func (p *Place) Address() string { return p.at.URL }

// Path is the file of a database, which is not there on a server.
func (p *Place) Path(name string) string { return filepath.Join(p.Dir, name+".db") }

// Host is what requests to a database on a server are sent to.
func (p *Place) Host(name string) string { return sqldtest.Host(p.at.Prefix + "-" + name) }

// Open connects to a database, which is made when it is not there.
func (p *Place) Open(ctx context.Context, name string) (database.Conn, error) {
	if p.at != nil {
		return p.Through(ctx, name, p.at.URL)
	}
	if p.memory == nil {
		o := p.File
		o.Create = true
		return libsql.Open(ctx, p.Path(name), o)
	}
	if p.memory[name] == nil {
		conn, err := libsql.OpenMemory(ctx)
		if err != nil {
			return nil, err
		}
		p.memory[name] = conn
	}
	return kept{p.memory[name]}, nil
}

// kept is a connection that outlives those who close it.
type kept struct{ database.Conn }

func (kept) Close() error { return nil }

// Through connects to a database on a server by way of an address, such as a
// proxy's.
func (p *Place) Through(ctx context.Context, name, address string) (database.Conn, error) {
	known := filepath.Join(p.Dir, name+namespace)
	if _, err := os.Stat(known); err != nil {
		if err := p.server().Create(ctx, p.at.Prefix+"-"+name); err != nil {
			return nil, err
		}
		if err := os.WriteFile(known, nil, 0o600); err != nil {
			return nil, err
		}
	}
	return hrana.Open(ctx, hrana.Options{URL: address, Host: p.Host(name)})
}

func (p *Place) server() *sqldtest.Server { return &sqldtest.Server{URL: p.at.URL, Admin: p.at.Admin} }

// Copy is a place with the same files and databases, none of which is open.
func (p *Place) Copy(t testing.TB) *Place {
	t.Helper()
	other := &Place{Dir: t.TempDir(), File: p.File}
	if err := os.CopyFS(other.Dir, os.DirFS(p.Dir)); err != nil {
		t.Fatal(err)
	}
	if p.at == nil {
		return other
	}
	other.at = &server{URL: p.at.URL, Admin: p.at.Admin}
	other.point(t)
	names, err := filepath.Glob(filepath.Join(p.Dir, "*"+namespace))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), namespace)
		if err := p.fork(t.Context(), p.at.Prefix+"-"+name, other.at.Prefix+"-"+name); err != nil {
			t.Fatal(err)
		}
	}
	return other
}

// forking is held by one at a time: sqld forks a namespace for one after the other,
// and the deadlines of the others would run meanwhile.
var forking sync.Mutex

func (p *Place) fork(ctx context.Context, from, to string) error {
	forking.Lock()
	defer forking.Unlock()
	return p.server().Fork(ctx, from, to)
}
