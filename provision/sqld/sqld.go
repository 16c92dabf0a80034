// Package sqld makes databases on a libSQL server of one's own, through its
// admin API: a database is a namespace. The facts are those of sqld 0.24.32.
package sqld

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/provision/control"
)

// Config says which server it is.
type Config struct {
	// Admin is the URL of the admin API.
	Admin string
	// Key returns the key of the admin API; nil for a server without one.
	Key func() (string, error)
	// URL is where statements go, with {name} for the namespace: the server knows
	// it by the first label of the host.
	URL string
	// Open leaves namespaces without tokens: whoever reaches the server opens them.
	Open   bool
	Client *http.Client
}

// Server is a libSQL server. It may be shared.
type Server struct {
	config Config
	plane  *control.Plane
	one    sync.Mutex // changes of a configuration read, modify and write it
	// forks hold it together, and a removal alone: a fork and a removal at the same
	// time lock up sqld, which then answers nobody until it is started anew.
	forks sync.RWMutex
}

// New returns a Server.
func New(c Config) (*Server, error) {
	plane := control.Plane{Provider: "sqld", Base: c.Admin, Client: c.Client}
	if c.Key != nil {
		plane.Authorization = func() (string, error) {
			key, err := c.Key()
			return "basic " + key, err
		}
	}
	p, err := control.New(plane)
	if err == nil && !strings.Contains(c.URL, "//{name}.") {
		err = errors.New("sqld: the host in databases.sqld.url of reconciler.yaml, or in databases.urlTemplate of fleet.yaml, has to begin with {name}. " +
			"as in http://{name}.sqld.internal:8080: its first label names the namespace")
	}
	return &Server{config: c, plane: p}, err
}

// Provider is the word that stands for this kind of server.
func (s *Server) Provider() string { return "sqld" }

// names are those that can be a label of a host; the server hardly checks them.
var names = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (s *Server) call(ctx context.Context, doing, method, name, path string, in, out any) error {
	if !names.MatchString(name) {
		return fmt.Errorf("sqld: %s %q: a namespace has a-z, 0-9 and -, at most 63, and no - at its ends", doing, name)
	}
	segments := append([]string{"v1", "namespaces", name}, strings.FieldsFunc(path, func(r rune) bool { return r == '/' })...)
	return s.plane.Do(ctx, control.Call{
		Doing: fmt.Sprintf("%s %q", doing, name), Method: method, Path: segments, In: in, Out: out,
	})
}

// exists tells that a 400 is about a name that is taken.
func exists(err error) error {
	var refused *control.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && strings.Contains(refused.Message, "already exists") {
		return fmt.Errorf("%w: %w", control.ErrExists, err)
	}
	return err
}

// URL is where the statements of a namespace go.
func (s *Server) URL(name string) string { return strings.ReplaceAll(s.config.URL, "{name}", name) }

// Create makes an empty namespace. One that is there gives control.ErrExists.
func (s *Server) Create(ctx context.Context, name string) (control.Database, error) {
	err := exists(s.call(ctx, "create namespace", http.MethodPost, name, "create", struct{}{}, nil))
	return control.Database{Name: name, URL: s.URL(name)}, err
}

// Find returns a namespace; one that is not there gives control.ErrNotFound.
func (s *Server) Find(ctx context.Context, name string) (control.Database, error) {
	_, err := s.settings(ctx, name)
	return control.Database{Name: name, URL: s.URL(name)}, err
}

// Delete removes a namespace and all that is in it. One that is not there is no
// error.
func (s *Server) Delete(ctx context.Context, name string) error {
	s.forks.Lock()
	defer s.forks.Unlock()
	err := s.call(ctx, "delete namespace", http.MethodDelete, name, "", map[string]bool{"keep_backup": false}, nil)
	if errors.Is(err, control.ErrNotFound) {
		return nil
	}
	return err
}

// Fork copies a namespace with its rows and its configuration to another one;
// its tokens open the copy too.
func (s *Server) Fork(ctx context.Context, from, to string) (control.Database, error) {
	if !names.MatchString(to) {
		return control.Database{}, fmt.Errorf("sqld: fork to %q: that is no name of a namespace", to)
	}
	s.forks.RLock()
	defer s.forks.RUnlock()
	err := exists(s.call(ctx, "fork namespace", http.MethodPost, from, "fork/"+to, nil, nil))
	return control.Database{Name: to, URL: s.URL(to)}, err
}

// List gives control.ErrNoList: the admin API has none.
func (s *Server) List(context.Context) ([]control.Database, error) {
	return nil, fmt.Errorf("sqld: %w", control.ErrNoList)
}

// Reach tells that the admin API is where it should be and accepts the key.
func (s *Server) Reach(ctx context.Context) error {
	_, err := s.settings(ctx, "default")
	var said *control.Error
	if errors.Is(err, control.ErrNotFound) && errors.As(err, &said) && said.Message != "" {
		return nil // it runs without the namespace of this name, and says so: the port for statements says nothing
	}
	return err
}

// Usage implements provision.Server.
func (s *Server) Usage(ctx context.Context, name string) (control.Usage, error) {
	var answer struct {
		RowsRead    int64 `json:"rows_read_count"`
		RowsWritten int64 `json:"rows_written_count"`
		Bytes       int64 `json:"storage_bytes_used"`
	}
	err := s.call(ctx, "read the usage of namespace", http.MethodGet, name, "stats", nil, &answer)
	return control.Usage{RowsRead: answer.RowsRead, RowsWritten: answer.RowsWritten, Bytes: answer.Bytes, Since: control.UsedEver}, err
}

// settings are the configuration of a namespace, with keys that a newer server
// may have and this program does not know.
type settings map[string]json.RawMessage

func (s *Server) settings(ctx context.Context, name string) (c settings, err error) {
	return c, s.call(ctx, "read namespace", http.MethodGet, name, "config", nil, &c)
}

// change reads the configuration of a namespace and writes it back with some
// keys changed: a write replaces all of them.
func (s *Server) change(ctx context.Context, doing, name string, keys map[string]any) error {
	s.one.Lock()
	defer s.one.Unlock()
	c, err := s.settings(ctx, name)
	if err != nil {
		return err
	}
	changed := false
	for key, value := range keys {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		changed = changed || string(c[key]) != string(text)
		c[key] = text
	}
	if !changed {
		return nil
	}
	return s.call(ctx, doing, http.MethodPost, name, "config", c, nil)
}

// Block refuses the writes of a namespace, those of the reconciler too, or lets
// them in again.
func (s *Server) Block(ctx context.Context, name string, writes bool) error {
	var reason any
	if writes {
		reason = "suspended"
	}
	return s.change(ctx, "block namespace", name, map[string]any{"block_writes": writes, "block_reason": reason})
}
