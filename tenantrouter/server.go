package tenantrouter

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
)

// ErrHost says that a database is on a host that the operator does not allow.
var ErrHost = errors.New("host is not among connections.hosts")

// ErrSettings says that a database is on a host whose settings cannot be used.
var ErrSettings = errors.New("settings of the host cannot be used")

// Host is a server, or a service, that databases may be on.
type Host struct {
	// Match is a host, or *.domain for all below it, with a port where that is
	// not the scheme's.
	Match string
	// Address is the URL of the server to send requests to, whose Host names
	// the database; empty to send them to the host itself.
	Address string
	Client  *http.Client // its limits are those of all databases here; nil for one of no settings
	// Fault says what is wrong with the settings of the host. Its databases
	// cannot be reached; nil where nothing is.
	Fault error
}

// Servers are how databases on servers are reached.
type Servers struct {
	Hosts []Host // the first that matches counts; others are not connected to
	// Secret reads the token that a connection refers to.
	Secret func(config.Secret) (string, error)
	// Look is how long a database is believed to be as it was left; then a pass
	// looks at it for drift. Default 1 hour.
	Look time.Duration
	Now  func() time.Time // default time.Now
}

const defaultLook = time.Hour // 10,000 tenants are three looks a second

// remote leads to a database on a server.
func (r *Router) remote(tenant protocol.TenantID, connection *protocol.TenantConnectionConfig) (Location, error) {
	base, err := hrana.ParseURL(connection.URL)
	if err != nil {
		return Location{}, &LocationError{
			Tenant: tenant, Err: fmt.Errorf("%w: %w", ErrOutside, err),
			reason: reason.InvalidURL, next: "correct connectionConfig.url",
		}
	}
	host, ok := r.config.Servers.host(base)
	if ok && r.config.Servers.Hosts[host].Fault != nil {
		return Location{}, &LocationError{
			Tenant: tenant, Err: fmt.Errorf("%w: %w", ErrSettings, r.config.Servers.Hosts[host].Fault),
			reason: reason.HostSettings, next: "put right what connections.hosts in reconciler.yaml refers to, and start the reconciler again",
		}
	}
	if !ok {
		return Location{}, &LocationError{
			Tenant: tenant, Err: fmt.Errorf("%w: %s", ErrHost, base.Host),
			reason: reason.HostNotAllowed, next: "add it to connections.hosts in reconciler.yaml, or correct connectionConfig.url",
		}
	}
	return Location{Remote: base.String(), host: host, token: config.Secret(connection.AuthToken)}, nil
}

// Client returns what the entry of a URL's host carries requests with, nil where
// there is no entry or it has no settings.
func (s Servers) Client(at *url.URL) (*http.Client, error) {
	i, ok := s.host(at)
	if !ok {
		return nil, nil
	}
	return s.Hosts[i].Client, s.Hosts[i].Fault
}

// host returns the place of the entry that a URL matches.
func (s Servers) host(base *url.URL) (int, bool) {
	name, port := base.Hostname(), base.Port()
	for i, h := range s.Hosts {
		match, wanted, err := net.SplitHostPort(h.Match)
		if err != nil {
			match, wanted = h.Match, ""
		}
		standard := port == "" || base.Scheme == "https" && port == "443" || base.Scheme == "http" && port == "80"
		if wanted != port && (wanted != "" || !standard) {
			continue
		}
		suffix, below := strings.CutPrefix(strings.ToLower(match), "*")
		if below && strings.HasPrefix(suffix, ".") && strings.HasSuffix(name, suffix) && len(name) > len(suffix) || !below && name == suffix {
			return i, true
		}
	}
	return 0, false
}

// identity is equal for locations that lead to one database: on a server that
// many hosts lead to, the first label is its name.
func (s Servers) identity(at Location) string {
	base, err := url.Parse(at.Remote)
	if err != nil {
		return at.Remote
	}
	if address := s.Hosts[at.host].Address; address != "" {
		label, _, _ := strings.Cut(base.Hostname(), ".")
		return address + " " + label + base.Path
	}
	return base.Hostname() + base.Path
}

// look is a stamp of a database on a server, where nobody can tell from
// outside whether it was touched: it is another one each Look, at a moment
// that differs from database to database.
func (s Servers) look(at Location) string {
	every, now := s.Look, s.Now
	if every == 0 {
		every = defaultLook
	}
	if now == nil {
		now = time.Now
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(at.Remote))
	offset := time.Duration(hash.Sum64() % uint64(every))
	return fmt.Sprint("look ", (now().UnixNano()+int64(offset))/int64(every))
}

// connect returns a connection to a database on a server. Nothing is sent.
func (r *Router) connect(ctx context.Context, at Location, readOnly bool) (database.Conn, error) {
	s := r.config.Servers
	host := s.Hosts[at.host]
	o := hrana.Options{URL: at.Remote, HTTP: host.Client, ReadOnly: readOnly}
	if at.placed != "" {
		o.Gone = func(ctx context.Context) bool { return r.config.Placements.gone(ctx, at.placed) }
		o.Denied = fmt.Sprintf("run \"reconciler secrets rotate %s\", which makes a new token; it is tried again", at.placed)
	}
	if host.Address != "" {
		base, err := url.Parse(at.Remote)
		if err != nil {
			return nil, err
		}
		o.URL, o.Host = strings.TrimRight(host.Address, "/")+base.Path, base.Host
	}
	if at.token != "" {
		if s.Secret == nil || !at.token.Valid() {
			return nil, errors.New("its authToken is no reference to a secret")
		}
		var err error
		if o.Token, err = s.Secret(at.token); err != nil {
			return nil, fmt.Errorf("read its authToken: %w", err)
		}
	}
	return hrana.Open(ctx, o)
}
