package gitrepo_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/tenantops/reconciler/gitrepo"
)

// newKey makes a private key file of the given mode, encrypted when there is a
// passphrase.
func newKey(t *testing.T, mode os.FileMode, passphrase string) (file string, signer ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), mode); err != nil {
		t.Fatal(err)
	}
	signer, err = ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return file, signer
}

// listen accepts connections until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
	})
	return listener.Addr().String()
}

// serveSSH answers git-upload-pack with the real one, to one user with one key.
func serveSSH(t *testing.T, user string, client ssh.PublicKey, host ssh.Signer) (addr string) {
	t.Helper()
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if meta.User() != user || string(key.Marshal()) != string(client.Marshal()) {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
	}
	config.AddHostKey(host)
	return listen(t, func(conn net.Conn) {
		server, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		defer server.Close()
		go ssh.DiscardRequests(requests)
		for request := range channels {
			channel, requests, err := request.Accept()
			if err != nil {
				return
			}
			uploadPack(channel, requests)
		}
	})
}

// uploadPack runs the one command of a channel. Whatever fails ends the
// channel, which the client reports.
func uploadPack(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	request, ok := <-requests
	if !ok || request.Type != "exec" || request.Reply(true, nil) != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	cmd := exec.Command("sh", "-c", string(request.Payload[4:])) // a length stands before it
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(stdin, channel) }() // ends with the channel, after the command
	status := struct{ Code uint32 }{}
	if cmd.Run() != nil {
		status.Code = 1
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
}

func writeKnownHosts(t *testing.T, addr string, key ssh.PublicKey) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(knownhosts.Line([]string{addr}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFetchOverSSH(t *testing.T) {
	dir := newRepo(t)
	head := commit(t, dir, "first", company)
	keyFile, client := newKey(t, 0o600, "")
	_, host := newKey(t, 0o600, "")
	otherFile, other := newKey(t, 0o600, "")
	addr := serveSSH(t, "git", client.PublicKey(), host)
	known := writeKnownHosts(t, addr, host.PublicKey())
	url := fmt.Sprintf("ssh://%s%s", addr, dir)

	r := open(t, gitrepo.Config{URL: url, Dir: t.TempDir(), Auth: gitrepo.Auth{KeyFile: keyFile, KnownHosts: known}})
	if got := fetch(t, r); got.Hash != head {
		t.Errorf("got %+v, want %s", got, head)
	}
	next := commit(t, dir, "second", files{"tenants/new/tenant.yaml": "id: new\n"})
	if got := fetch(t, r); got.Hash != next {
		t.Errorf("got %+v, want %s", got, next)
	}

	for name, c := range map[string]struct {
		url  string
		auth gitrepo.Auth
		want error
	}{
		"another key":      {url, gitrepo.Auth{KeyFile: otherFile, KnownHosts: known}, gitrepo.ErrAuth},
		"another user":     {url, gitrepo.Auth{Username: "root", KeyFile: keyFile, KnownHosts: known}, gitrepo.ErrAuth},
		"another host key": {url, gitrepo.Auth{KeyFile: keyFile, KnownHosts: writeKnownHosts(t, addr, other.PublicKey())}, gitrepo.ErrAuth},
		"an unknown host":  {url, gitrepo.Auth{KeyFile: keyFile, KnownHosts: writeKnownHosts(t, "example.com", host.PublicKey())}, gitrepo.ErrAuth},
		"no repository":    {url + "/gone", gitrepo.Auth{KeyFile: keyFile, KnownHosts: known}, gitrepo.ErrNoRepository},
		"no server":        {"ssh://git@127.0.0.1:1/x", gitrepo.Auth{KeyFile: keyFile, KnownHosts: known}, gitrepo.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, gitrepo.Config{URL: c.url, Dir: t.TempDir(), Auth: c.auth}).Fetch(t.Context())
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestSSHKeysAreCheckedBeforeUse(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	_, host := newKey(t, 0o600, "")
	known := writeKnownHosts(t, "127.0.0.1:1", host.PublicKey())
	sound, _ := newKey(t, 0o600, "")
	shared, _ := newKey(t, 0o644, "")
	locked, _ := newKey(t, 0o600, "open sesame")

	for name, c := range map[string]struct {
		auth gitrepo.Auth
		text string // of the error
	}{
		"readable by others": {gitrepo.Auth{KeyFile: shared, KnownHosts: known}, "chmod 600"},
		"no such file":       {gitrepo.Auth{KeyFile: sound + ".gone", KnownHosts: known}, "no such file"},
		"a directory":        {gitrepo.Auth{KeyFile: t.TempDir(), KnownHosts: known}, "key"},
		"not a key":          {gitrepo.Auth{KeyFile: known, KnownHosts: known}, "no key found"},
		"wrong passphrase":   {gitrepo.Auth{KeyFile: locked, KeyPassphrase: "hunter2", KnownHosts: known}, "incorrect"},
		"no passphrase":      {gitrepo.Auth{KeyFile: locked, KnownHosts: known}, "empty password"},
		"no known hosts":     {gitrepo.Auth{KeyFile: sound, KnownHosts: known + ".gone"}, "known"},
		"no key, no agent":   {gitrepo.Auth{KnownHosts: known}, "agent"},
	} {
		_, err := open(t, gitrepo.Config{URL: "git@127.0.0.1:1/x.git", Dir: t.TempDir(), Auth: c.auth}).Fetch(t.Context())
		if !errors.Is(err, gitrepo.ErrAuth) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %v with %q", name, err, gitrepo.ErrAuth, c.text)
		}
	}
	auth := gitrepo.Auth{KeyFile: locked, KeyPassphrase: "open sesame", KnownHosts: known}
	_, err := open(t, gitrepo.Config{URL: "ssh://git@127.0.0.1:1/x.git", Dir: t.TempDir(), Auth: auth}).Fetch(t.Context())
	if !errors.Is(err, gitrepo.ErrUnreachable) {
		t.Errorf("the right passphrase: got %v, want %v", err, gitrepo.ErrUnreachable)
	}
}

func TestFetchOverSSHHonoursItsDeadline(t *testing.T) {
	key, _ := newKey(t, 0o600, "")
	_, host := newKey(t, 0o600, "")
	silent := make(chan struct{})
	addr := listen(t, func(net.Conn) { <-silent }) // accepts, and never says a word
	defer close(silent)
	r := open(t, gitrepo.Config{
		URL: "ssh://git@" + addr + "/x.git", Dir: t.TempDir(), Timeout: 300 * time.Millisecond,
		Auth: gitrepo.Auth{KeyFile: key, KnownHosts: writeKnownHosts(t, addr, host.PublicKey())},
	})
	if _, err := r.Fetch(t.Context()); !errors.Is(err, gitrepo.ErrUnreachable) {
		t.Errorf("got %v, want %v", err, gitrepo.ErrUnreachable)
	}
}
