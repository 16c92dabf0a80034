package hrana

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ParseURL returns the base of a server's HTTP endpoints for the URL of a
// database: libsql:// is https://, and http:// with ?tls=0. What belongs
// elsewhere, a user, a token or a fragment, is an error that does not repeat
// it.
func ParseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("its URL cannot be read") // the text of err holds the URL, which may hold a secret
	}
	query := u.Query()
	tls := query.Get("tls")
	query.Del("tls")
	switch {
	case u.User != nil || query.Has("authToken"):
		return nil, errors.New("its URL holds a secret; move it to authToken")
	case len(query) > 0 || u.Fragment != "" || u.Opaque != "" || tls != "" && tls != "0" && tls != "1":
		return nil, errors.New("its URL has more than a host and a path")
	case u.Hostname() == "":
		return nil, errors.New("its URL names no host")
	}
	base := &url.URL{Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}
	switch u.Scheme {
	case "libsql":
		base.Scheme = "https"
		if tls == "0" {
			base.Scheme = "http"
		}
	case "https", "http":
		base.Scheme = u.Scheme
	default:
		return nil, fmt.Errorf("its URL begins with %.10q; use libsql, https or http", u.Scheme)
	}
	return base, nil
}
