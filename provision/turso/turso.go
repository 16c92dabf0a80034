// Package turso makes databases on Turso Cloud, through its Platform API.
//
// The shapes are those of the API's OpenAPI document. It names no limit of
// calls, so package control finds one.
package turso

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/control"
)

const maxList = 64 << 20 // bytes; a list of 100,000 databases has 40 MB

// BaseURL is that of Turso Cloud.
const BaseURL = "https://api.turso.tech"

// Config says whose databases they are.
type Config struct {
	Base         string                 // default: BaseURL
	Organization string                 // slug
	Group        string                 // that new databases are made in
	Location     string                 // where the group is made if it does not exist; empty to make none
	Token        func() (string, error) // of the Platform API
	// URL is where statements go, of a database with its hostname; default
	// libsql://HOSTNAME.
	URL    func(d protocol.TursoDatabase) string
	Client *http.Client
}

// Server is the databases of an organization. It may be shared.
type Server struct {
	config Config
	plane  *control.Plane
}

// New returns a Server.
func New(c Config) (*Server, error) {
	if c.Base == "" {
		c.Base = BaseURL
	}
	if c.URL == nil {
		c.URL = func(d protocol.TursoDatabase) string { return "libsql://" + d.Hostname }
	}
	var wrong []error
	if c.Organization == "" {
		wrong = append(wrong, errors.New("turso: the organization is missing: set databases.organizationSlug in fleet.yaml, or databases.turso.organization in reconciler.yaml"))
	}
	if c.Token == nil {
		wrong = append(wrong, errors.New("turso: the token of the Platform API is missing: set databases.turso.apiToken in reconciler.yaml"))
	}
	plane, err := control.New(control.Plane{Provider: "turso", Base: c.Base, Client: c.Client, Authorization: func() (string, error) {
		token, err := c.Token()
		return "Bearer " + token, err
	}})
	return &Server{config: c, plane: plane}, errors.Join(append(wrong, err)...)
}

// Provider is the word that stands for this kind of server.
func (s *Server) Provider() string { return "turso" }

// names are those that the platform accepts.
var names = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

func named(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("turso: %q is no name of a database: use a-z, 0-9 and -, at most 64, and no - at its ends", name)
	}
	return nil
}

// database calls what is below a database.
func (s *Server) database(ctx context.Context, name string, c control.Call, below ...string) error {
	if err := named(name); err != nil {
		return err
	}
	c.Doing = fmt.Sprintf("%s %q", c.Doing, name)
	c.Path = append([]string{"v1", "organizations", s.config.Organization, "databases", name}, below...)
	return s.plane.Do(ctx, c)
}

// found is a database in the platform's spelling.
type found struct {
	Name          string   `json:"Name"`
	DBID          string   `json:"DbId"`
	Hostname      string   `json:"Hostname"`
	Group         string   `json:"group"`
	PrimaryRegion string   `json:"primaryRegion"`
	Regions       []string `json:"regions"`
	Type          string   `json:"type"`
	Version       string   `json:"version"`
	Sleeping      bool     `json:"sleeping"`
}

func (f found) protocol() protocol.TursoDatabase { return protocol.TursoDatabase(f) }

// placed is a database that the platform has told of. One without a host would be
// recorded as being nowhere.
func (s *Server) placed(name string, f found) (control.Database, error) {
	if f.Hostname == "" {
		return control.Database{}, fmt.Errorf("turso: the answer about database %q has no host", name)
	}
	return control.Database{Name: name, URL: s.config.URL(f.protocol()), ID: f.DBID}, nil
}

// creation is the request for a database.
type creation struct {
	Name  string              `json:"name"`
	Group string              `json:"group"`
	Seed  *protocol.TursoSeed `json:"seed,omitempty"`
}

// Create makes an empty database in the group. One that is there gives
// control.ErrExists. A group that does not exist is made, if there is a location for it.
func (s *Server) Create(ctx context.Context, name string) (control.Database, error) {
	d, err := s.create(ctx, name, nil)
	if !s.groupMissing(err) || s.config.Location == "" {
		return d, err
	}
	if err := s.CreateGroup(ctx, s.config.Group, s.config.Location); err != nil && !errors.Is(err, control.ErrExists) {
		return d, err
	}
	return s.create(ctx, name, nil)
}

// groupMissing tells that a creation failed for want of its group, which is a
// 400 or a 404.
func (s *Server) groupMissing(err error) bool {
	var refused *control.Error
	return errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusNotFound) &&
		strings.Contains(strings.ToLower(refused.Message), "group")
}

func (s *Server) create(ctx context.Context, name string, seed *protocol.TursoSeed) (control.Database, error) {
	if err := named(name); err != nil {
		return control.Database{}, err
	}
	var answer struct {
		Database found `json:"database"`
	}
	err := s.plane.Do(ctx, control.Call{
		Doing: fmt.Sprintf("create database %q", name), Method: http.MethodPost,
		Path: []string{"v1", "organizations", s.config.Organization, "databases"},
		In:   creation{Name: name, Group: s.config.Group, Seed: seed}, Out: &answer,
	})
	if err != nil {
		return control.Database{}, err
	}
	return s.placed(name, answer.Database)
}

// CreateGroup makes a group of databases in a location, such as iad.
func (s *Server) CreateGroup(ctx context.Context, name, location string) error {
	return s.plane.Do(ctx, control.Call{
		Doing: fmt.Sprintf("create group %q", name), Method: http.MethodPost,
		Path: []string{"v1", "organizations", s.config.Organization, "groups"},
		In:   map[string]string{"name": name, "location": location},
	})
}

// Fork makes a branch: a database with what another one holds now, in its group,
// which need not be the one that new databases are made in.
func (s *Server) Fork(ctx context.Context, from, to string) (control.Database, error) {
	d, err := s.describe(ctx, from)
	if err != nil {
		return control.Database{}, err
	}
	beside := *s
	beside.config.Group = cmp.Or(d.Group, s.config.Group)
	return beside.create(ctx, to, &protocol.TursoSeed{Type: "database", Name: from})
}

// Find returns a database; one that is not there gives control.ErrNotFound.
func (s *Server) Find(ctx context.Context, name string) (control.Database, error) {
	d, err := s.describe(ctx, name)
	if err != nil {
		return control.Database{}, err
	}
	return s.placed(name, found(d))
}

func (s *Server) describe(ctx context.Context, name string) (protocol.TursoDatabase, error) {
	var answer struct {
		Database found `json:"database"`
	}
	err := s.database(ctx, name, control.Call{Doing: "look for database", Method: http.MethodGet, Out: &answer})
	return answer.Database.protocol(), err
}

// Delete deletes a database and all that is in it. One that is not there is no
// error; one that is protected from deletion is, and stays.
func (s *Server) Delete(ctx context.Context, name string) error {
	c, err := s.Settings(ctx, name)
	if err == nil && c.DeleteProtection {
		return &ProtectedError{Name: name}
	}
	if err == nil {
		err = s.database(ctx, name, control.Call{Doing: "delete database", Method: http.MethodDelete})
	}
	if errors.Is(err, control.ErrNotFound) {
		return nil
	}
	return err
}

// List returns the databases of the group, by name.
func (s *Server) List(ctx context.Context) ([]control.Database, error) {
	all, err := s.Databases(ctx, s.config.Group)
	list := make([]control.Database, len(all))
	for i, d := range all {
		list[i] = control.Database{Name: d.Name, URL: s.config.URL(d), ID: d.DBID}
	}
	return list, err
}

// Reach tells that the platform accepts the token for the organization.
func (s *Server) Reach(ctx context.Context) error {
	_, err := s.List(ctx)
	return err
}

// Databases returns the databases of a group, or all for an empty one, in the
// platform's order.
func (s *Server) Databases(ctx context.Context, group string) ([]protocol.TursoDatabase, error) {
	var answer struct {
		Databases []found `json:"databases"`
	}
	query := url.Values{}
	if group != "" {
		query.Set("group", group)
	}
	err := s.plane.Do(ctx, control.Call{
		Doing: fmt.Sprintf("list the databases of group %q", group), Method: http.MethodGet, Query: query,
		Path: []string{"v1", "organizations", s.config.Organization, "databases"}, Out: &answer, Most: maxList,
	})
	var list []protocol.TursoDatabase
	for _, f := range answer.Databases {
		if group == "" || f.Group == group {
			list = append(list, f.protocol())
		}
	}
	return list, err
}

// URL is where the statements of a database go.
func (s *Server) URL(d protocol.TursoDatabase) string { return s.config.URL(d) }

// Usage implements provision.Server.
func (s *Server) Usage(ctx context.Context, name string) (control.Usage, error) {
	type used struct {
		RowsRead    int64 `json:"rows_read"`
		RowsWritten int64 `json:"rows_written"`
		Bytes       int64 `json:"storage_bytes"`
	}
	var answer struct {
		Database struct {
			Total *used `json:"total"`
			Usage *used `json:"usage"` // as older documents have it
		} `json:"database"`
	}
	err := s.database(ctx, name, control.Call{Doing: "read the usage of database", Method: http.MethodGet, Out: &answer}, "usage")
	for _, u := range []*used{answer.Database.Total, answer.Database.Usage} {
		if u != nil {
			return control.Usage{RowsRead: u.RowsRead, RowsWritten: u.RowsWritten, Bytes: u.Bytes, Since: control.UsedThisMonth}, err
		}
	}
	return control.Usage{Since: control.UsedThisMonth}, err
}
