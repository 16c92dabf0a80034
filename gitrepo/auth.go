package gitrepo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
)

// Auth is how a remote is asked for access. Files are read again at each
// fetch, so that a rotated secret needs no restart. The zero value asks an
// https server anonymously and an ssh server with the keys of the ssh agent.
type Auth struct {
	Username      string // default the URL's user, else "git", which the large forges accept beside a token
	Token         string // password or access token for https
	TokenFile     string // file that holds it; surrounding white space is cut off
	KeyFile       string // private key for ssh, readable by its owner only
	KeyPassphrase string
	KnownHosts    string // default $SSH_KNOWN_HOSTS, else ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts
}

// method builds what go-git sends. Its errors match ErrAuth and name the file.
func (a Auth) method(at location) (transport.AuthMethod, error) {
	if at.scheme == "ssh" {
		return a.key(at)
	}
	return a.basic(at)
}

func (a Auth) basic(at location) (transport.AuthMethod, error) {
	token := firstOf(a.Token, at.password)
	if a.TokenFile != "" {
		text, err := os.ReadFile(a.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("%w: read token: %w", ErrAuth, err)
		}
		token = strings.TrimSpace(string(text))
	}
	if token == "" && at.user == "" {
		return nil, nil
	}
	return &githttp.BasicAuth{Username: firstOf(a.Username, at.user, "git"), Password: token}, nil
}

func (a Auth) key(at location) (transport.AuthMethod, error) {
	endpoint, err := transport.NewEndpoint(at.remote)
	if err != nil {
		return nil, err
	}
	user := firstOf(a.Username, endpoint.User, "git")
	if a.KeyFile == "" {
		agent, err := gitssh.NewSSHAgentAuth(user)
		if err != nil {
			return nil, fmt.Errorf("%w: no key file is set and the ssh agent does not answer: %w", ErrAuth, err)
		}
		return agent, a.trust(&agent.HostKeyCallbackHelper, endpoint)
	}
	if err := private(a.KeyFile); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuth, err)
	}
	keys, err := gitssh.NewPublicKeysFromFile(user, a.KeyFile, a.KeyPassphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: read key %s: %w", ErrAuth, a.KeyFile, err)
	}
	return keys, a.trust(&keys.HostKeyCallbackHelper, endpoint)
}

// trust accepts only hosts that a known_hosts file names, and asks a host for
// the kinds of key that the file has of it.
func (a Auth) trust(hosts *gitssh.HostKeyCallbackHelper, endpoint *transport.Endpoint) error {
	var files []string
	if a.KnownHosts != "" {
		files = append(files, a.KnownHosts)
	}
	db, err := gitssh.NewKnownHostsDb(files...)
	if err != nil {
		return fmt.Errorf("%w: read known hosts: %w", ErrAuth, err)
	}
	port := endpoint.Port
	if port == 0 {
		port = gitssh.DefaultPort
	}
	hosts.HostKeyCallback = db.HostKeyCallback()
	hosts.HostKeyAlgorithms = db.HostKeyAlgorithms(net.JoinHostPort(endpoint.Host, strconv.Itoa(port)))
	return nil
}

// private applies the rule of ssh(1): a key of one's own that others may read
// is not used. A key that belongs to another user, as a mounted secret does,
// is that user's to protect.
func private(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(owner.Uid) == os.Getuid() && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("key %s has mode %04o and can be read by others: chmod 600 it", file, info.Mode().Perm())
	}
	if !info.Mode().IsRegular() {
		return errors.New("key " + file + " is not a file")
	}
	return nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
