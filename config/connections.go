package config

import (
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
	Proxy       string  `json:"proxy,omitempty" doc:"URL of a proxy, or none; that of the environment when absent."`
	Concurrency int     `json:"concurrency" default:"32" shape:"min=1" doc:"Requests at a time, of all databases together."`
	Rate        float64 `json:"rate,omitempty" shape:"min=0" doc:"Requests a second, of all databases together; no limit when absent."`
	Timeout     Span    `json:"timeout" default:"60s" doc:"How long one request may take with its answer."`
}

// CodeHost is the code of faults about hosts.
const CodeHost = "bad_host"

var hostPattern = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$`)

// connections checks the hosts.
func (m *merge) connections(c Connections) {
	m.span([]any{"connections", "look"}, c.Look)
	for i, h := range c.Hosts {
		path := func(key string) []any { return []any{"connections", "hosts", i, key} }
		if !hostPattern.MatchString(h.Match) {
			m.fault(path("match"), CodeHost, "this is no host", "write db.example.com, *.turso.io or *.sqld.internal:8080")
		}
		if h.Address != "" && !HTTPURL(h.Address) {
			m.fault(path("address"), CodeHost, "this is no http or https URL", "write it like http://10.0.0.5:8080")
		}
		if h.Proxy != "" && h.Proxy != "none" && !HTTPURL(h.Proxy) && !strings.HasPrefix(h.Proxy, "socks5://") {
			m.fault(path("proxy"), CodeHost, "this is no URL of a proxy", "write http://proxy.example:3128, or none")
		}
		m.span(path("timeout"), h.Timeout)
	}
}
