package config

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// Settings are the operator's: what belongs to one installation and never into
// the watched repository.
type Settings struct {
	Repo          string    `json:"repo,omitempty" doc:"Path or URL of the watched repository."`
	Ref           string    `json:"ref" default:"main" shape:"minlen=1" doc:"Branch, tag or commit to follow."`
	Data          string    `json:"data,omitempty" doc:"Directory of state and of tenant databases."`
	Poll          Span      `json:"poll" default:"60s" doc:"Time between two looks at the repository."`
	Look          Span      `json:"look" default:"5m" doc:"Time between two looks at the databases of tenants that git wants nothing new of; at least poll."`
	Git           Git       `json:"git" default:"{}" doc:"How the repository is asked for access."`
	SecretsDir    string    `json:"secretsDir,omitempty" doc:"Directory of the files that $file: names."`
	Age           Age       `json:"age" default:"{}" doc:"Keys that $age: values are encrypted for."`
	FileRoot      string    `json:"fileRoot,omitempty" doc:"Directory that file: URLs may lead to, beside the data directory."`
	MaxConcurrent *int      `json:"maxConcurrent,omitempty" shape:"min=1" doc:"Tenants deployed at the same time; fewer than fleet.yaml says."`
	LogFormat     LogFormat `json:"logFormat" default:"auto" doc:"Form of the log."`
	Actor         string    `json:"actor,omitempty" doc:"Who the record of what was done names; the user of the operating system when absent."`
	Server        Server    `json:"server" default:"{}" doc:"The HTTP API of the daemon."`
	Router        Router    `json:"router" default:"{}" doc:"How the HTTP API finds the tenant of a request that is described to it."`

	Connections Connections `json:"connections" default:"{}" doc:"How databases on servers are reached."`

	Databases Servers `json:"databases" default:"{}" doc:"Where databases are made of tenants that name none."`

	ShutdownTimeout Span     `json:"shutdownTimeout" default:"30s" doc:"Time that the daemon has to end after SIGTERM."`
	Forge           Forge    `json:"forge" default:"{}" doc:"Where pull requests are previewed."`
	Notify          []Notify `json:"notify,omitempty" doc:"Where to tell of what happens to the fleet."`
}

// Age says which age keys open secrets.
type Age struct {
	IdentityFile string `json:"identityFile,omitempty" doc:"File of age identities, one a line; new secrets are encrypted for the first. It is read at each use."`
}

// Router says where a request names its tenant. Lists are separated by commas.
// Without strategies only tenants named by id are found.
type Router struct {
	Strategies string `json:"strategies,omitempty" doc:"Strategies in order, of header, subdomain, path and token; each has to name the same tenant."`
	Optional   string `json:"optional,omitempty" doc:"Strategies among them that a request may leave out."`
	Header     string `json:"header,omitempty" doc:"Header that has the id; X-Tenant-ID when absent."`
	Domains    string `json:"domains,omitempty" doc:"Domains whose subdomains are ids."`
	PathPrefix string `json:"pathPrefix,omitempty" doc:"What comes before the id in a path; /t/ when absent."`
	Token      Token  `json:"token" default:"{}" doc:"Which JSON web tokens are believed."`
}

// Token says which JSON web tokens are believed.
type Token struct {
	JWKSURL    string `json:"jwksUrl,omitempty" doc:"URL of the issuer's keys."`
	KeyFile    string `json:"keyFile,omitempty" doc:"File of public keys instead: PEM or a JWKS."`
	Algorithms string `json:"algorithms,omitempty" doc:"Algorithms, of RS256, ES256 and EdDSA; all when absent."`
	Audience   string `json:"audience,omitempty" doc:"What aud has to hold."`
	Issuer     string `json:"issuer,omitempty" doc:"What iss has to be."`
	Claim      string `json:"claim,omitempty" doc:"Claim that has the id; tenantId when absent."`
	Skew       Span   `json:"skew" default:"1m" doc:"How far clocks may be apart; at most 5m."`
}

// Server says where the daemon serves its HTTP API, and to whom.
type Server struct {
	Listen string `json:"listen,omitempty" doc:"Address to serve the HTTP API on, such as 127.0.0.1:8080; none when absent."`
	Token  Secret `json:"token,omitempty" doc:"Bearer token that requests have to show: a reference to a secret."`

	Webhook Webhook `json:"webhook" default:"{}" doc:"How pushes are told of at /webhook."`
	Metrics Metrics `json:"metrics" default:"{}" doc:"What /metrics has, and for whom."`
}

// Git says how a remote repository is asked for access.
type Git struct {
	Username      string `json:"username,omitempty" doc:"User of https or ssh."`
	Token         Secret `json:"token,omitempty" doc:"Password or access token for https: a reference to a secret."`
	KeyFile       string `json:"keyFile,omitempty" doc:"Private key for ssh."`
	KeyPassphrase Secret `json:"keyPassphrase,omitempty" doc:"Passphrase of the key: a reference to a secret."`
	KnownHosts    string `json:"knownHosts,omitempty" doc:"File of known hosts for ssh."`
}

// LogFormat is the form of the log.
type LogFormat string

// The forms of the log. LogAuto is text on a terminal and JSON elsewhere.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Values lists the forms.
func (LogFormat) Values() []string { return []string{"auto", "text", "json"} }

// Sources are where settings come from, the strongest first.
type Sources struct {
	Flags map[string]string // what was given on the command line, by key: maxConcurrent
	Env   []string          // as os.Environ gives it: RECONCILER_MAX_CONCURRENT=4
	File  string            // name of reconciler.yaml, for faults
	Data  []byte            // its text
}

// settingsKeys are the paths of all settings and whether they are numbers.
var settingsKeys = []struct {
	path   []any
	number bool
}{
	{path: []any{"repo"}},
	{path: []any{"ref"}},
	{path: []any{"data"}},
	{path: []any{"poll"}},
	{path: []any{"look"}},
	{path: []any{"git", "username"}},
	{path: []any{"git", "token"}},
	{path: []any{"git", "keyFile"}},
	{path: []any{"git", "keyPassphrase"}},
	{path: []any{"git", "knownHosts"}},
	{path: []any{"secretsDir"}},
	{path: []any{"age", "identityFile"}},
	{path: []any{"fileRoot"}},
	{path: []any{"maxConcurrent"}, number: true},
	{path: []any{"connections", "look"}},
	{path: []any{"databases", "provider"}},
	{path: []any{"databases", "name"}},
	{path: []any{"databases", "sqld", "adminUrl"}},
	{path: []any{"databases", "sqld", "adminKey"}},
	{path: []any{"databases", "sqld", "url"}},
	{path: []any{"databases", "sqld", "tokens"}},
	{path: []any{"databases", "turso", "apiUrl"}},
	{path: []any{"databases", "turso", "apiToken"}},
	{path: []any{"databases", "turso", "organization"}},
	{path: []any{"logFormat"}},
	{path: []any{"actor"}},
	{path: []any{"server", "listen"}},
	{path: []any{"server", "token"}},
	{path: []any{"server", "webhook", "secret"}},
	{path: []any{"server", "webhook", "previousSecret"}},
	{path: []any{"server", "metrics", "access"}},
	{path: []any{"server", "metrics", "tenants"}},
	{path: []any{"shutdownTimeout"}},
	{path: []any{"forge", "kind"}},
	{path: []any{"forge", "url"}},
	{path: []any{"forge", "project"}},
	{path: []any{"forge", "token"}},
	{path: []any{"forge", "app", "id"}, number: true},
	{path: []any{"forge", "app", "installation"}, number: true},
	{path: []any{"forge", "app", "key"}},
	{path: []any{"forge", "environment"}},
	{path: []any{"forge", "rehearse"}, number: true},
	{path: []any{"forge", "link"}},
	{path: []any{"forge", "poll"}},
	{path: []any{"router", "strategies"}},
	{path: []any{"router", "optional"}},
	{path: []any{"router", "header"}},
	{path: []any{"router", "domains"}},
	{path: []any{"router", "pathPrefix"}},
	{path: []any{"router", "token", "jwksUrl"}},
	{path: []any{"router", "token", "keyFile"}},
	{path: []any{"router", "token", "algorithms"}},
	{path: []any{"router", "token", "audience"}},
	{path: []any{"router", "token", "issuer"}},
	{path: []any{"router", "token", "claim"}},
	{path: []any{"router", "token", "skew"}},
}

// Load merges flags over environment over file, applies defaults and reports
// all faults, each where its value came from. The variable of key git.keyFile
// is RECONCILER_GIT_KEY_FILE; one that no key has is warned of. With an error among the faults the Settings mean
// nothing.
func Load(from Sources) (Settings, []Fault) {
	documents, faults := Documents(from.File, from.Data)
	if len(faults) > 0 {
		return Settings{}, faults
	}
	m := merge{Document: Document{File: from.File, Value: map[string]any{}}, origins: map[string]string{}}
	if len(documents) > 0 {
		m.Document = documents[0]
	}
	if file, ok := m.Value.(map[string]any); ok {
		m.overlay(file, from)
	}
	s, report := shape.Parse[Settings](m.Value, shape.Strict)
	for _, issue := range report.Issues {
		m.faults = append(m.faults, m.Issues(protocol.SeverityError, shape.Issues{issue})...)
		m.blame(issue.Path)
	}
	m.faults = append(m.faults, strangers(from.Env)...)
	m.interval([]any{"poll"}, s.Poll)
	m.interval([]any{"look"}, s.Look)
	m.span([]any{"router", "token", "skew"}, s.Router.Token.Skew)
	m.secret([]any{"git", "token"}, s.Git.Token)
	m.secret([]any{"git", "keyPassphrase"}, s.Git.KeyPassphrase)
	m.secret([]any{"server", "token"}, s.Server.Token)
	m.servers(s)
	m.connections(s.Connections)
	m.operations(s)
	m.forge(s.Forge)
	return s, SortFaults(m.faults)
}

// merge is the file's document with environment and flags laid over it.
type merge struct {
	Document
	origins map[string]string // of keys that are not from the file
	faults  []Fault
}

func (m *merge) overlay(file map[string]any, from Sources) {
	merged := maps.Clone(file)
	for _, key := range settingsKeys {
		name := Path(key.path)
		text, origin := lookup(from.Env, Variable(name)), Variable(name)
		if flag, given := from.Flags[name]; given {
			text, origin = flag, "flag "+name
		} else if text == "" {
			continue
		}
		var value any = text
		if _, err := strconv.Atoi(text); key.number && err == nil {
			value = json.Number(text)
		}
		m.origins[name] = origin
		set(merged, key.path, value)
	}
	m.Value = merged
}

// isSetting tells whether a key, with dots, is one of reconciler.yaml or holds some.
func isSetting(name string) bool {
	if name == "notify" { // a list, in the file alone
		return true
	}
	for _, key := range settingsKeys {
		if path := Path(key.path); path == name || strings.HasPrefix(path, name+".") {
			return true
		}
	}
	return false
}

// set stores a value at a path of keys.
func set(values map[string]any, path []any, value any) {
	key := path[0].(string)
	if len(path) == 1 {
		values[key] = value
		return
	}
	group, _ := values[key].(map[string]any)
	group = maps.Clone(group)
	if group == nil {
		group = map[string]any{}
	}
	set(group, path[1:], value)
	values[key] = group
}

func (m *merge) interval(path []any, s Span) {
	m.span(path, s)
	if d, err := s.Parse(); err == nil && d == 0 && s != "" {
		m.fault(path, CodeSpan, "there has to be some time in between", "write it like 90s, 1h30m or 7d")
	}
}

func (m *merge) span(path []any, s Span) {
	if _, err := s.Parse(); err != nil {
		m.fault(path, CodeSpan, err.Error(), "write it like 90s, 1h30m or 7d")
	}
}

func (m *merge) secret(path []any, s Secret) {
	if s == "" || s.Valid() {
		return
	}
	if message, next, ok := s.Malformed(); ok {
		m.fault(path, CodeBadReference, Path(path)+": "+message, next)
		return
	}
	m.fault(path, CodePlainSecret, Path(path)+" is not a reference to a secret", "write $env:RECONCILER_SECRET_NAME, $file:NAME or $age:...")
}

func (m *merge) fault(path []any, code, message, next string) {
	m.faults = append(m.faults, m.Error(path, code, message, next))
	m.blame(path)
}

// blame moves the last fault to where the value at path came from.
func (m *merge) blame(path []any) {
	if origin, ok := m.origins[Path(path)]; ok {
		last := &m.faults[len(m.faults)-1]
		last.File, last.Line, last.Column = origin, 1, 1
	}
}
