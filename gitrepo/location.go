package gitrepo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// location is a repository's address, taken apart so that what is secret in
// it never reaches go-git, a log or an error.
type location struct {
	local          string // absolute path of a repository opened in place; else empty
	remote         string // URL without password, for go-git; else empty
	scheme         string // http, https or ssh for a remote
	user, password string // as written in the URL
	name           string // for people: without user, password and query
}

var userinfo = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*://)?[^/]*@`)

// redact returns an address, even one that is no URL, without user, password,
// query and fragment.
func redact(address string) string {
	address, _, _ = strings.Cut(address, "?")
	address, _, _ = strings.Cut(address, "#")
	return userinfo.ReplaceAllString(address, "$1")
}

// locate reads an address by git's own rules (git-clone(1), "Git URLs"): a
// URL, or host:path for ssh when no slash stands before the colon, else a path.
func locate(address string) (location, error) {
	if !strings.Contains(address, "://") {
		host, _, scp := strings.Cut(address, ":")
		if scp && !strings.Contains(host, "/") {
			return location{remote: address, scheme: "ssh", name: redact(address)}, nil
		}
		return locateFile(address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return location{}, fmt.Errorf("%s is not a valid URL", redact(address)) // url.Error quotes the password
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return location{}, fmt.Errorf("%s names another host; a file URL starts with file:///", redact(address))
		}
		return locateFile(u.Path)
	case "http", "https", "ssh":
		if u.RawQuery != "" || u.Fragment != "" {
			return location{}, fmt.Errorf("%s: a git URL has no query; set a token apart from it", redact(address))
		}
		at := location{scheme: u.Scheme, user: u.User.Username(), name: redact(address)}
		at.password, _ = u.User.Password()
		u.User = nil
		if u.Scheme == "ssh" && at.user != "" {
			u.User = url.User(at.user)
		}
		at.remote = u.String()
		return at, nil
	}
	return location{}, fmt.Errorf("%s: scheme %q is not served; use a path, file, https or ssh", redact(address), u.Scheme)
}

func locateFile(name string) (location, error) {
	if name == "" {
		return location{}, errors.New("the repository's path is empty")
	}
	abs, err := filepath.Abs(name)
	return location{local: abs, name: abs}, err
}

// folder names the clone of a remote: readable, and different for each URL,
// so that a changed URL never meets the refs of another repository.
func (at location) folder() string {
	trimmed := strings.TrimSuffix(strings.TrimSuffix(at.name, "/"), ".git")
	base := path.Base(strings.ReplaceAll(trimmed, ":", "/"))
	return fmt.Sprintf("%s-%.4x.git", base, sha256.Sum256([]byte(at.name)))
}
