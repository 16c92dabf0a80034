package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/tenantrouter"
)

// servers are how databases on servers are reached: the hosts of the settings,
// and those on which databases are made. Settings that cannot be used concern
// the databases of their host alone.
func (c *cli) servers() tenantrouter.Servers {
	look, _ := c.settings.Connections.Look.Parse() // checked with the settings
	s := tenantrouter.Servers{Secret: c.secrets().Token, Look: look}
	for _, h := range append(c.settings.Connections.Hosts, c.ownHosts()...) {
		client, err := clientOf(h, c.secrets())
		if err != nil {
			err = fmt.Errorf("connections.hosts %s: %w", h.Match, err)
		}
		s.Hosts = append(s.Hosts, tenantrouter.Host{Match: h.Match, Address: h.Address, Client: client, Fault: err})
	}
	return s
}

// controlClient carries requests to the control plane at a URL: as the settings
// of its host say, where there are any.
func (c *cli) controlClient(at string) (*http.Client, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, nil //nolint:nilerr // whoever asks it says what is wrong with its URL
	}
	return c.servers().Client(u)
}

// ownHosts are those of databases that the reconciler has made.
func (c *cli) ownHosts() []config.Host {
	switch d := c.settings.Databases; d.Provider {
	case config.ServerTurso:
		return []config.Host{{Match: "*.turso.io"}}
	case config.ServerSQLD:
		u, err := url.Parse(strings.ReplaceAll(d.SQLD.URL, "{name}", "name"))
		if err == nil && u.Host != "" {
			return []config.Host{{Match: strings.Replace(u.Host, "name", "*", 1)}}
		}
	}
	return nil
}

func clientOf(h config.Host, keeper secret.Keeper) (*http.Client, error) {
	o := hrana.ClientOptions{Concurrency: h.Concurrency, Rate: h.Rate}
	if timeout, err := h.Timeout.Parse(); err == nil {
		o.Timeout = max(timeout, time.Second)
	}
	if h.CAFile != "" {
		text, err := os.ReadFile(h.CAFile)
		if err != nil {
			return nil, err
		}
		o.CA = x509.NewCertPool()
		if !o.CA.AppendCertsFromPEM(text) {
			return nil, errors.New("caFile holds no certificate")
		}
	}
	switch {
	case h.Proxy == "":
	case h.Proxy == "none":
		o.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	case strings.HasPrefix(h.Proxy, "$"):
		o.Proxy = func(*http.Request) (*url.URL, error) { return secretProxy(config.Secret(h.Proxy), keeper) }
	default:
		proxy, err := url.Parse(h.Proxy)
		if err != nil {
			return nil, errors.New("proxy is no URL")
		}
		o.Proxy = http.ProxyURL(proxy)
	}
	return hrana.NewClient(o), nil
}

// secretProxy reads the URL of a proxy that has a password in it, which no error
// may repeat.
func secretProxy(reference config.Secret, keeper secret.Keeper) (*url.URL, error) {
	text, err := keeper.Token(reference)
	if err != nil {
		return nil, fmt.Errorf("read the URL of its proxy: %w", err)
	}
	at, err := url.Parse(text)
	if err != nil || !config.ProxyURL(text) {
		return nil, fmt.Errorf("what %s stands for is no URL of a proxy", reference)
	}
	return at, nil
}
