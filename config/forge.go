package config

import (
	"net"
	"net/url"
	"strings"
)

// Forge says where the pull requests of the watched repository are, and how the
// daemon is let in. Without a kind they are not looked at.
type Forge struct {
	Kind        ForgeKind `json:"kind,omitempty" doc:"Kind of the forge; pull requests are not looked at when absent."`
	URL         string    `json:"url,omitempty" doc:"Address of the forge; that of github.com or gitlab.com when absent."`
	Project     string    `json:"project,omitempty" doc:"Repository there: owner/name, and group/subgroup/name for GitLab."`
	Token       Secret    `json:"token,omitempty" doc:"Access token: a reference to a secret."`
	App         ForgeApp  `json:"app" default:"{}" doc:"GitHub App to act as, in place of a token."`
	Environment string    `json:"environment" default:"prod" shape:"minlen=1,maxlen=40,format=identifier" doc:"Name of this fleet in comments and commit statuses: another one for each daemon that looks at the same pull requests."`
	Rehearse    int       `json:"rehearse" default:"0" shape:"min=0,max=20" doc:"On how many copies of tenants' databases each plan of a pull request is tried."`
	Link        string    `json:"link,omitempty" doc:"Address of this daemon's HTTP API for people, to which comments link for the whole report."`
	Poll        Span      `json:"poll" default:"60s" doc:"Time between two looks at the pull requests."`
}

// ForgeApp is a GitHub App that is installed for the repository.
type ForgeApp struct {
	ID           *int   `json:"id,omitempty" shape:"min=1" doc:"Id of the app."`
	Installation *int   `json:"installation,omitempty" shape:"min=1" doc:"Id of its installation."`
	Key          Secret `json:"key,omitempty" doc:"Private key in PEM: a reference to a secret."`
}

// ForgeKind is a kind of forge.
type ForgeKind string

// The kinds. Forgejo speaks as Gitea does.
const (
	GitHub ForgeKind = "github"
	GitLab ForgeKind = "gitlab"
	Gitea  ForgeKind = "gitea"
)

// Values lists them.
func (ForgeKind) Values() []string { return []string{"github", "gitlab", "gitea"} }

// Address is the forge's address without a slash at its end.
func (f Forge) Address() string {
	switch {
	case f.URL != "":
		return strings.TrimRight(f.URL, "/")
	case f.Kind == GitLab:
		return "https://gitlab.com"
	}
	return "https://github.com"
}

// CodeForge is the code of faults about the forge.
const CodeForge = "bad_forge"

// forge checks how the forge is reached.
func (m *merge) forge(f Forge) {
	at := func(keys ...any) []any { return append([]any{"forge"}, keys...) }
	m.interval(at("poll"), f.Poll)
	m.secret(at("token"), f.Token)
	m.secret(at("app", "key"), f.App.Key)
	if f.Kind == "" {
		return
	}
	if f.URL != "" && !secureURL(f.URL) {
		m.fault(at("url"), CodeForge, "this is no https URL", "write https://host, without user and query; a token does not go over plain http")
	}
	if f.URL == "" && f.Kind == Gitea {
		m.fault(at("url"), CodeForge, "Gitea has no address of its own", "write https://host")
	}
	if f.Link != "" && !HTTPURL(f.Link) {
		m.fault(at("link"), CodeForge, "this is no http address", "write https://host, where GET /api/v1/previews/NUMBER is answered")
	}
	if names := strings.Split(f.Project, "/"); len(names) < 2 || len(names) > 2 && f.Kind != GitLab || strings.ContainsAny(f.Project, "%?# ") || hasEmpty(names) {
		m.fault(at("project"), CodeForge, "this names no repository of the forge", "write owner/name")
	}
	app := f.App.ID != nil || f.App.Installation != nil || f.App.Key != ""
	switch {
	case app && f.Kind != GitHub:
		m.fault(at("app"), CodeForge, "only GitHub has apps", "give a token")
	case app && f.Token != "":
		m.fault(at("app"), CodeForge, "there is a token and an app", "give one of them")
	case app && (f.App.ID == nil || f.App.Installation == nil || f.App.Key == ""):
		m.fault(at("app"), CodeForge, "an app has an id, an installation and a key", "give all three")
	case !app && f.Token == "":
		m.fault(at("token"), CodeForge, "the forge asks for a token", "write $env:RECONCILER_SECRET_NAME or $file:NAME")
	}
}

func hasEmpty(names []string) bool {
	for _, name := range names {
		if name == "" || name == "." || name == ".." {
			return true
		}
	}
	return false
}

// secureURL reports whether a secret may be sent to an address: over https, or
// within this machine.
func secureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !HTTPURL(text) || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
