package config

import (
	"net/url"
	"regexp"
	"strings"
)

// Connections says how databases on servers are reached.
type Connections struct {
	Hosts []Host `json:"hosts,omitempty" doc:"Hosts that databases may be on, in order; no other is connected to."`
	Look  Span   `json:"look" default:"1h" doc:"How often a database on a server is looked at for drift, when nothing else leads to it."`
}

// Host is a server, or a service, that databases may be on.
type Host struct {
	Match       string  `json:"match" shape:"minlen=1" doc:"A host, or *.domain for all below it; with a port where it is not that of the scheme."`
	Address     string  `json:"address,omitempty" doc:"URL of the server to send requests to, such as http://10.0.0.5:8080; the host itself when absent."`
	CAFile      string  `json:"caFile,omitempty" doc:"File of certificates in PEM that the server's has to come from; the system's when absent."`
	Proxy       string  `json:"proxy,omitempty" doc:"URL of a proxy, a reference to a secret that is one, or none; that of the environment when absent."`
	Concurrency int     `json:"concurrency" default:"32" shape:"min=1" doc:"Requests at a time, of all databases together."`
	Rate        float64 `json:"rate,omitempty" shape:"min=0" doc:"Requests a second, of all databases together; no limit when absent."`
	Timeout     Span    `json:"timeout" default:"60s" doc:"How long one request may take with its answer."`
}

// CodeHost is the code of faults about hosts.
const CodeHost = "bad_host"

var hostPattern = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$`)

// connections checks the hosts.
func (m *merge) connections(c Connections) {
	m.interval([]any{"connections", "look"}, c.Look)
	for i, h := range c.Hosts {
		path := func(key string) []any { return []any{"connections", "hosts", i, key} }
		if !hostPattern.MatchString(h.Match) {
			m.fault(path("match"), CodeHost, "this is no host", "write db.example.com, *.turso.io or *.sqld.internal:8080")
		}
		if h.Address != "" && !HTTPURL(h.Address) {
			m.fault(path("address"), CodeHost, "this is no http or https URL", "write it like http://10.0.0.5:8080")
		}
		m.proxy(path("proxy"), h.Proxy)
		m.interval(path("timeout"), h.Timeout)
	}
}

func (m *merge) proxy(path []any, proxy string) {
	switch {
	case proxy == "" || proxy == "none" || ProxyURL(proxy) && !HoldsSecret(proxy):
	case strings.HasPrefix(proxy, "$"):
		m.secret(path, Secret(proxy))
	case HoldsSecret(proxy):
		m.fault(path, CodePlainSecret, Path(path)+" has a user or a password in it", "put the URL into a file, and write $file:NAME")
	default:
		m.fault(path, CodeHost, "this is no URL of a proxy", "write http://proxy.example:3128, none, or $file:NAME for one with a password")
	}
}

// ProxyURL reports whether text is the URL of a proxy.
func ProxyURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "socks5") && u.Host != ""
}
