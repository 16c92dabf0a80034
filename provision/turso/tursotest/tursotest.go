// Package tursotest is a double of the Turso Platform API for tests. It holds
// every request, and each of its own answers, against what the platform's
// OpenAPI document says, and keeps its databases as namespaces of a real libSQL
// server.
package tursotest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tenantops/reconciler/provision/sqld"
)

// Token is the one that the platform accepts.
const Token = "turso-platform-token"

// Options says what is behind the platform.
type Options struct {
	Admin string // URL of the libSQL server's admin API
	// Host returns the host that serves a namespace.
	Host   func(name string) string
	Groups []string // that exist; default: default
}

// Platform is the double. Its databases are in one organization, acme.
type Platform struct {
	URL string

	t          testing.TB
	options    Options
	operations []operation
	behind     *sqld.Server

	mu        sync.Mutex
	databases map[string]*entry
	made      int // databases, ever
	groups    []string
	refusals  []refusal
	calls     []string
}

type entry struct {
	id        string // another one when it is made anew under its name
	group     string
	key       ed25519.PrivateKey
	protected bool
	blocked   bool
}

type refusal struct {
	operation string
	status    int
	header    http.Header
}

// Open serves a platform until the test ends.
func Open(t testing.TB, o Options) *Platform {
	t.Helper()
	if o.Groups == nil {
		o.Groups = []string{"default"}
	}
	p := &Platform{t: t, options: o, operations: contract(t), groups: o.Groups, databases: map[string]*entry{}}
	var err error
	p.behind, err = sqld.New(sqld.Config{Admin: o.Admin, URL: "http://{name}.example"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Refuse answers the next call of an operation, by its name in platform.json,
// with a status. Several are answered in turn.
func (p *Platform) Refuse(operation string, status int, header http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusals = append(p.refusals, refusal{operation, status, header})
}

// Calls are the operations that were asked for, in order.
func (p *Platform) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// Protect turns delete_protection of a database on or off, as somebody else
// would.
func (p *Platform) Protect(name string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.databases[name].protected = on
}

// ServeHTTP implements http.Handler. What the document does not have fails the
// test.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Errorf("read a request: %v", err)
	}
	for _, o := range p.operations {
		name, ok := o.match(r.Method, r.URL.Path)
		if !ok {
			continue
		}
		if err := o.check(r.URL.Query(), r.Header.Get("Content-Type"), body); err != nil {
			p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.calls = append(p.calls, o.Name)
		p.answer(w, r, o, name, body)
		return
	}
	p.t.Errorf("%s %s: the document has no such operation", r.Method, r.URL.Path)
	w.WriteHeader(http.StatusTeapot)
}

func (p *Platform) answer(w http.ResponseWriter, r *http.Request, o operation, name string, body []byte) {
	if at := slices.IndexFunc(p.refusals, func(f refusal) bool { return f.operation == o.Name }); at >= 0 {
		f := p.refusals[at]
		p.refusals = slices.Delete(p.refusals, at, at+1)
		for key, values := range f.header {
			w.Header()[key] = values
		}
		p.refuse(w, f.status, http.StatusText(f.status))
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+Token {
		p.refuse(w, http.StatusUnauthorized, "could not parse jwt id")
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/v1/organizations/acme/") {
		p.refuse(w, http.StatusForbidden, "not a member of the organization")
		return
	}
	d := p.databases[name]
	if name != "" && d == nil {
		p.refuse(w, http.StatusNotFound, fmt.Sprintf("could not find database with name %s: record not found", name))
		return
	}
	answer, status, err := p.do(r, o.Name, name, d, body)
	if err != nil {
		p.refuse(w, status, err.Error())
		return
	}
	text, err := json.Marshal(answer)
	if err != nil {
		p.t.Errorf("%s: %v", o.Name, err)
	}
	if o.answer == nil {
		return // the document has no body
	}
	if err := valid(o.answer, text); err != nil {
		p.t.Errorf("%s: the double's own answer is not what the document says: %v", o.Name, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func (p *Platform) refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error": %q}`, message)
}

// do carries an operation out on the server behind.
func (p *Platform) do(r *http.Request, operation, name string, d *entry, body []byte) (any, int, error) {
	ctx := r.Context()
	switch operation {
	case "create database":
		return p.create(ctx, body)
	case "list databases":
		return p.list(r.URL.Query().Get("group")), 0, nil
	case "retrieve database":
		return map[string]any{"database": p.describe(name)}, 0, nil
	case "delete database":
		if d.protected {
			return nil, http.StatusForbidden, fmt.Errorf("database %s is protected from deletion", name)
		}
		delete(p.databases, name)
		return map[string]string{"database": name}, http.StatusInternalServerError, p.behind.Delete(ctx, name)
	case "update configuration":
		return p.configure(ctx, name, d, body)
	case "retrieve configuration":
		return d.configuration(), 0, nil
	case "create token":
		token, err := d.token(name, r.URL.Query().Get("authorization"))
		return map[string]string{"jwt": token}, http.StatusInternalServerError, err
	case "invalidate tokens":
		return nil, http.StatusInternalServerError, p.rekey(ctx, name, d)
	case "retrieve usage":
		u, err := p.behind.Usage(ctx, name)
		used := map[string]int64{"rows_read": u.RowsRead, "rows_written": u.RowsWritten, "storage_bytes": u.Bytes}
		return map[string]any{"database": map[string]any{"uuid": d.id, "instances": []any{}, "total": used}}, http.StatusInternalServerError, err
	case "create group":
		return p.createGroup(body)
	}
	p.t.Errorf("the double has no %s", operation)
	return nil, http.StatusTeapot, nil
}

func (p *Platform) create(ctx context.Context, body []byte) (any, int, error) {
	var in struct {
		Name, Group string
		Seed        *struct{ Type, Name string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, http.StatusBadRequest, err
	}
	if !slices.Contains(p.groups, in.Group) {
		return nil, http.StatusBadRequest, fmt.Errorf("group not found")
	}
	if p.databases[in.Name] != nil {
		return nil, http.StatusConflict, fmt.Errorf("database with name %s already exists", in.Name)
	}
	var err error
	if in.Seed == nil {
		_, err = p.behind.Create(ctx, in.Name)
	} else if p.databases[in.Seed.Name] == nil {
		return nil, http.StatusBadRequest, fmt.Errorf("seed database %s not found", in.Seed.Name)
	} else if _, err = p.behind.Fork(ctx, in.Seed.Name, in.Name); err == nil {
		err = p.behind.Block(ctx, in.Name, false)
	}
	p.made++
	d := &entry{id: fmt.Sprintf("0eb771dd-6906-11ee-8553-%012x", p.made), group: in.Group}
	if err == nil {
		err = p.rekey(ctx, in.Name, d)
	}
	p.databases[in.Name] = d
	return map[string]any{"database": p.describe(in.Name)}, http.StatusInternalServerError, err
}

func (p *Platform) describe(name string) map[string]any {
	return map[string]any{
		"Name": name, "DbId": p.databases[name].id, "Hostname": p.options.Host(name), "group": p.databases[name].group,
		"primaryRegion": "iad", "regions": []string{"iad"}, "type": "logical", "version": "tech-preview",
	}
}

func (p *Platform) list(group string) any {
	all := []any{}
	for name, d := range p.databases {
		if group == "" || d.group == group {
			all = append(all, p.describe(name))
		}
	}
	return map[string]any{"databases": all}
}

func (d *entry) configuration() any {
	return map[string]any{
		"size_limit": "0", "allow_attach": false, "block_reads": false, "block_writes": d.blocked, "delete_protection": d.protected,
	}
}

func (p *Platform) configure(ctx context.Context, name string, d *entry, body []byte) (any, int, error) {
	in := struct {
		Writes  *bool `json:"block_writes"`
		Protect *bool `json:"delete_protection"`
	}{}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, http.StatusBadRequest, err
	}
	var err error
	if in.Writes != nil {
		d.blocked = *in.Writes
		err = p.behind.Block(ctx, name, d.blocked)
	}
	if in.Protect != nil {
		d.protected = *in.Protect
	}
	return d.configuration(), http.StatusInternalServerError, err
}

// rekey gives a database a new key: tokens of the one before are refused.
func (p *Platform) rekey(ctx context.Context, name string, d *entry) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	d.key = private
	return p.behind.SetKey(ctx, name, base64.RawURLEncoding.EncodeToString(public))
}

func (d *entry) token(name, scope string) (string, error) {
	access := map[string]string{"read-only": "ro"}[scope]
	if access == "" {
		access = "rw"
	}
	return jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"id": name, "a": access}).SignedString(d.key)
}

func (p *Platform) createGroup(body []byte) (any, int, error) {
	var in struct{ Name, Location string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, http.StatusBadRequest, err
	}
	if slices.Contains(p.groups, in.Name) {
		return nil, http.StatusConflict, fmt.Errorf("group already exists")
	}
	p.groups = append(p.groups, in.Name)
	return map[string]any{"group": map[string]any{"name": in.Name, "primary": in.Location, "locations": []string{in.Location}}}, 0, nil
}
