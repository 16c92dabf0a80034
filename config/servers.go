package config

import (
	"net/url"
	"strings"
)

// Servers says on which server databases are made of tenants that name none.
type Servers struct {
	Provider ServerKind `json:"provider" default:"files" doc:"Where they are made: in files of the data directory, or on a server."`
	Name     string     `json:"name" default:"{tenant_id}" shape:"minlen=1" doc:"What a database is called on the server, with {tenant_id} and, where several fleets share it, {fleet}."`
	SQLD     SQLD       `json:"sqld" default:"{}" doc:"A libSQL server of one's own."`
	Turso    Turso      `json:"turso" default:"{}" doc:"Turso Cloud."`
}

// SQLD is a libSQL server and its admin API.
type SQLD struct {
	AdminURL string     `json:"adminUrl,omitempty" doc:"URL of the admin API."`
	AdminKey Secret     `json:"adminKey,omitempty" doc:"Key of the admin API: a reference to a secret."`
	URL      string     `json:"url,omitempty" doc:"URL of a database, such as http://{name}.sqld.internal:8080; databases.urlTemplate of fleet.yaml when absent."`
	Tokens   TokenScope `json:"tokens" default:"namespace" doc:"Whether each namespace has a key and a token of its own."`
}

// Turso is an account of Turso Cloud.
type Turso struct {
	APIURL       string `json:"apiUrl,omitempty" doc:"URL of the Platform API; that of Turso Cloud when absent."`
	APIToken     Secret `json:"apiToken,omitempty" doc:"Token of the Platform API: a reference to a secret; databases.groupAuthToken of fleet.yaml when absent."`
	Organization string `json:"organization,omitempty" doc:"Organization, whatever fleet.yaml says."`
}

// ServerKind is where databases are made.
type ServerKind string

// The kinds of servers; ServerFiles is none.
const (
	ServerFiles ServerKind = "files"
	ServerSQLD  ServerKind = "sqld"
	ServerTurso ServerKind = "turso"
)

// Values lists the kinds.
func (ServerKind) Values() []string { return []string{"files", "sqld", "turso"} }

// TokenScope is what a token of a libSQL server opens.
type TokenScope string

// A token opens one namespace, or there is none and the network has to keep
// others away.
const (
	TokenOfNamespace TokenScope = "namespace"
	TokenNone        TokenScope = "none"
)

// Values lists the scopes.
func (TokenScope) Values() []string { return []string{"namespace", "none"} }

// CodeServer is the code of faults about servers of databases.
const CodeServer = "bad_server"

// PlainURL reports whether text is an http or https URL without user, query and
// fragment, so that paths can be added to it.
func PlainURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && HTTPURL(text) && u.RawQuery == "" && u.Fragment == ""
}

// servers checks what the kind of server that is chosen needs.
func (m *merge) servers(s Settings) {
	d := s.Databases
	m.secret([]any{"databases", "sqld", "adminKey"}, d.SQLD.AdminKey)
	m.secret([]any{"databases", "turso", "apiToken"}, d.Turso.APIToken)
	if !strings.Contains(d.Name, "{tenant_id}") {
		m.fault([]any{"databases", "name"}, CodeServer, "every tenant's database would have the same name", "put {tenant_id} into it")
	}
	if d.Provider == ServerSQLD && d.SQLD.AdminURL == "" {
		m.fault([]any{"databases", "sqld", "adminUrl"}, CodeServer, "databases.sqld.adminUrl is missing", "write that of the admin API, like http://sqld.internal:8081")
	}
	for key, at := range map[string]string{"databases sqld adminUrl": d.SQLD.AdminURL, "databases turso apiUrl": d.Turso.APIURL} {
		if at != "" && !PlainURL(at) {
			words := strings.Fields(key)
			m.fault([]any{words[0], words[1], words[2]}, CodeServer, "this is no http or https URL, or has a user, a query or a fragment",
				"write one like http://sqld.internal:8081; the key belongs to adminKey, or apiToken")
		}
	}
	if at := d.SQLD.URL; at != "" && (!strings.Contains(at, "//{name}.") || !databaseURL(at, "{name}")) {
		m.fault([]any{"databases", "sqld", "url"}, CodeServer, "this is no URL of a database whose host begins with {name} and a dot",
			"write it like http://{name}.sqld.internal:8080: the first label of the host names the namespace")
	}
	needsKey := d.Provider == ServerTurso || d.Provider == ServerSQLD && d.SQLD.Tokens == TokenOfNamespace
	if needsKey && s.Age.IdentityFile == "" {
		m.fault([]any{"databases", "provider"}, CodeServer, "the tokens of databases are kept encrypted, and there is no age key",
			"set age.identityFile; docs/secrets.md says how to make one")
	}
}
