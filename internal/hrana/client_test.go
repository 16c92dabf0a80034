package hrana_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
)

// front hands requests on to a server as they are.
func front(t *testing.T, to string) *httputil.ReverseProxy {
	t.Helper()
	server, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = server.Scheme, server.Host
	}}
}

// encrypted is a server behind TLS, with a certificate of its own authority.
func encrypted(t *testing.T, s *sqldtest.Server) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	server := httptest.NewUnstartedServer(front(t, s.URL))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are meant to
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return server, pool
}

// A certificate has to come from the authority that the operator names, and
// from no other.
func TestCertificates(t *testing.T) {
	s, o := place(t)
	server, pool := encrypted(t, s)
	o.URL = server.URL
	o.HTTP = hrana.NewClient(hrana.ClientOptions{CA: pool})
	if _, err := open(t, o).Query(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("with its authority: %v", err)
	}
	for name, ca := range map[string]*x509.CertPool{"the system's": nil, "none": x509.NewCertPool()} {
		o.HTTP = hrana.NewClient(hrana.ClientOptions{CA: ca})
		var unknown x509.UnknownAuthorityError
		if _, err := open(t, o).Query(t.Context(), "SELECT 1"); !errors.Is(err, database.ErrAway) || !errors.As(err, &unknown) {
			t.Errorf("with %s authorities: %v", name, err)
		}
	}
	o.HTTP = hrana.NewClient(hrana.ClientOptions{CA: pool})
	o.URL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // which the certificate does not name
	if _, err := open(t, o).Query(t.Context(), "SELECT 1"); !errors.Is(err, database.ErrAway) {
		t.Errorf("a certificate of another host: %v", err)
	}
}

// Requests go through the proxy, whose work it is to find the host: plain ones
// as they are, and encrypted ones through a tunnel.
func TestProxies(t *testing.T) {
	s, o := place(t)
	server, pool := encrypted(t, s)
	var plain, tunnels atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			tunnels.Add(1)
			tunnel(t, w, server.Listener.Addr().String())
			return
		}
		plain.Add(1)
		front(t, s.URL).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	o.HTTP = hrana.NewClient(hrana.ClientOptions{CA: pool, Proxy: http.ProxyURL(at)})
	t.Cleanup(o.HTTP.CloseIdleConnections)
	o.URL = "http://" + o.Host // resolves nowhere
	if _, err := open(t, o).Query(t.Context(), "SELECT 1"); err != nil || plain.Load() != 1 {
		t.Errorf("plain: %v after %d requests to the proxy", err, plain.Load())
	}
	o.URL = "https://example.com" // which the certificate names, and nobody asks
	if _, err := open(t, o).Query(t.Context(), "SELECT 1"); err != nil || tunnels.Load() != 1 {
		t.Errorf("encrypted: %v through %d tunnels", err, tunnels.Load())
	}
}

// tunnel carries bytes between who asks and an address.
func tunnel(t *testing.T, w http.ResponseWriter, to string) {
	out, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer out.Close()
	in, read, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer in.Close()
	if _, err := io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(out, read); _ = out.Close() })
	both.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
	both.Wait()
}

// No more requests are under way than the operator allows, and one that waits
// for its turn ends with its context.
func TestConcurrency(t *testing.T) {
	s, o := place(t)
	const most = 3
	var now, highest atomic.Int32
	full, open3 := make(chan struct{}), make(chan struct{})
	proxy := s.Proxy(t, func(n int, _ *http.Request, _ string) sqldtest.Fault {
		highest.Store(max(highest.Load(), now.Add(1)))
		defer now.Add(-1)
		if n == most-1 {
			close(full)
		}
		<-open3
		return sqldtest.None
	})
	o.URL, o.HTTP = proxy.URL, hrana.NewClient(hrana.ClientOptions{Concurrency: most})
	var group sync.WaitGroup
	for range 4 * most {
		group.Go(func() {
			if _, err := open(t, o).Query(t.Context(), "SELECT 1"); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, o).Query(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a turn: %v", err)
	}
	close(open3)
	group.Wait()
	if highest.Load() > most || proxy.Requests() != 4*most {
		t.Errorf("%d requests at a time, %d in all", highest.Load(), proxy.Requests())
	}
}

// Requests over the rate wait; those of one second go at once.
func TestRate(t *testing.T) {
	_, o := place(t)
	o.HTTP = hrana.NewClient(hrana.ClientOptions{Rate: 10})
	c := open(t, o)
	start := time.Now()
	for range 13 {
		if _, err := c.Query(t.Context(), "SELECT 1"); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 290*time.Millisecond { // three of them waited a tenth of a second each
		t.Errorf("13 requests at 10 a second took %v", took)
	}
}

// A redirect is an error, and nothing is sent where it leads, the token least
// of all.
func TestRedirects(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/v3/pipeline", status))
		t.Cleanup(server.Close)
		_, err := open(t, hrana.Options{URL: server.URL, Token: "secret"}).Query(t.Context(), "SELECT 1")
		if !errors.Is(err, database.ErrAway) || !strings.Contains(err.Error(), "redirects are not followed") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests went elsewhere", asked.Load())
	}
}

// A token that is refused has a type and a next step, and is in no error.
func TestRefusedTokens(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"Unauthorized"}`, status)
		}))
		t.Cleanup(server.Close)
		_, err := open(t, hrana.Options{URL: server.URL, Token: "secret"}).Query(t.Context(), "SELECT 1")
		var denied *hrana.DeniedError
		if !errors.As(err, &denied) || denied.Status != status || !errors.Is(err, database.ErrPermission) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", status, err)
		} else if !strings.Contains(denied.Next(), "authToken") {
			t.Errorf("%d: the next step is %q", status, denied.Next())
		}
	}
}

// A server that repeats the token in what it says of a statement, or of a step,
// does not get it into errors.
func TestRepeatedTokens(t *testing.T) {
	for _, answer := range []string{
		`[{"type":"error","error":{"message":"no access with secret","code":"X"}},{"type":"ok","response":{"type":"close"}}]`,
		`[{"type":"ok","response":{"type":"batch","result":{"step_results":[null],"step_errors":[{"message":"no access with secret","code":"X"}]}}},{"type":"ok","response":{"type":"close"}}]`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"baton":null,"base_url":null,"results":%s}`, answer)
		}))
		t.Cleanup(server.Close)
		c := open(t, hrana.Options{URL: server.URL, Token: "secret"})
		results, err := c.Batch(t.Context(), []database.Step{{Statement: database.Statement{SQL: "SELECT 1"}}})
		if err == nil {
			err = results[0].Err
		}
		if err == nil || err.Error() != "no access with ***" {
			t.Errorf("got %v", err)
		}
	}
}

// An endless answer is given up at the limit.
func TestEndlessAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	_, err := open(t, hrana.Options{URL: server.URL, MaxResponse: 1 << 20}).Query(t.Context(), "SELECT 1")
	var large *hrana.LargeError
	if !errors.As(err, &large) || errors.Is(err, database.ErrAway) || large.Reason() != "AnswerTooLarge" {
		t.Errorf("got %v", err)
	}
}

// endless is the body of an answer that does not end, and what of all such is
// being read at a time.
type endless struct {
	reading *reading
	got     int
}

type reading struct {
	mu         sync.Mutex
	large, top int // bodies of which more was read than any that is not large has
}

const clearlyLarge = 8 << 20

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	was := e.got
	e.got += len(p)
	if was < clearlyLarge && e.got >= clearlyLarge {
		e.reading.add(1)
	}
	return len(p), nil
}

func (e *endless) Close() error {
	if e.got >= clearlyLarge {
		e.reading.add(-1)
	}
	return nil
}

func (r *reading) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.large += n
	r.top = max(r.top, r.large)
}

type transport func(*http.Request) *http.Response

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r), nil }

// Large answers are read few at a time, and into one buffer each.
func TestMemoryOfLargeAnswers(t *testing.T) {
	var all reading
	client := &http.Client{Transport: transport(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusOK, Body: &endless{reading: &all}, ContentLength: -1}
	})}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var asking sync.WaitGroup
	for range 16 {
		asking.Go(func() {
			var large *hrana.LargeError
			if _, err := open(t, hrana.Options{URL: "http://db.example", HTTP: client}).Query(t.Context(), "SELECT 1"); !errors.As(err, &large) {
				t.Errorf("got %v, want a LargeError", err)
			}
		})
	}
	asking.Wait()
	runtime.ReadMemStats(&after)
	if all.top > 2 {
		t.Errorf("got %d large answers at a time, want two at most", all.top)
	}
	if each := (after.TotalAlloc - before.TotalAlloc) / 16; each > 96<<20 {
		t.Errorf("got %d bytes allocated for each answer of 64 MiB", each)
	}
}

// Whose answer it is that cannot be read is said.
func TestHostOfAnAnswerThatCannotBeRead(t *testing.T) {
	for _, answer := range []string{
		`<html>`, `{"results":[]}`, `{"results":[{"type":"error"},{"type":"ok"}]}`, `{"results":[{"type":"ok"},{"type":"ok"}]}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
		t.Cleanup(server.Close)
		c := open(t, hrana.Options{URL: server.URL, Host: "acme.example"})
		_, one := c.Query(t.Context(), "SELECT 1")
		_, batch := c.Batch(t.Context(), []database.Step{{Statement: database.Statement{SQL: "SELECT 1"}}})
		for _, err := range []error{one, batch} {
			if err == nil || !strings.Contains(err.Error(), "acme.example: the answer cannot be read") {
				t.Errorf("%s: got %v", answer, err)
			}
		}
	}
}

// What to do about a server that is away depends on how it is.
func TestNextStepOfAServerThatIsAway(t *testing.T) {
	answering := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	unsigned := httptest.NewTLSServer(http.NotFoundHandler())
	unsigned.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the handshake
	t.Cleanup(unsigned.Close)
	nameless := &http.Client{Transport: &http.Transport{ // without asking the name servers of this machine
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, &net.DNSError{IsNotFound: true} },
	}}
	_, err := open(t, hrana.Options{URL: "https://nowhere.invalid", HTTP: nameless}).Query(t.Context(), "SELECT 1")
	var away *hrana.AwayError
	if !errors.As(err, &away) || !strings.Contains(away.Next(), "correct the host") {
		t.Errorf("no such host: %v", err)
	}
	for reason, err := range map[string]error{
		"a certificate for the host": x509.HostnameError{Certificate: unsigned.Certificate(), Host: "elsewhere.example"},
		"renew the certificate":      x509.CertificateInvalidError{Reason: x509.Expired},
	} {
		away := hrana.AwayError{Err: &tls.CertificateVerificationError{Err: err}}
		if !strings.Contains(away.Next(), reason) {
			t.Errorf("%v: the next step is %q", err, away.Next())
		}
	}
	for name, c := range map[string]struct{ url, want string }{
		"http for https":          {"https" + strings.TrimPrefix(answering(http.StatusOK), "http"), "http: in its URL"},
		"an unpaid proxy":         {answering(http.StatusProxyAuthRequired), "proxy"},
		"a certificate of nobody": {unsigned.URL, "caFile"},
		"nobody listens":          {"http://127.0.0.1:1", "whether the server runs"},
		"a redirect":              {answering(http.StatusFound), "redirects"},
		"no such database":        {answering(http.StatusNotFound), "has the database, and whether the token"},
		"too many requests":       {answering(http.StatusTooManyRequests), "rate"},
		"trouble":                 {answering(http.StatusBadGateway), "whether the server runs"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, hrana.Options{URL: c.url}).Query(t.Context(), "SELECT 1")
			var away *hrana.AwayError
			if !errors.As(err, &away) || !strings.Contains(away.Next(), c.want) {
				t.Errorf("got %v, want a next step with %q", err, c.want)
				if away != nil {
					t.Log(away.Next())
				}
			}
		})
	}
}

// A request's time begins with its turn: who waits for others of the same
// program is not told that the server is away. It ends what is slow in every way.
func TestTimeBeginsWithTheTurn(t *testing.T) {
	const each = time.Second
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(each / 3) // five of them take longer than one may
		fmt.Fprint(w, `{"baton":null,"base_url":null,"results":[{"type":"ok","response":{"type":"execute","result":{"cols":[],"rows":[],"affected_row_count":0}}},{"type":"ok","response":{"type":"close"}}]}`)
	}))
	t.Cleanup(server.Close)
	client := hrana.NewClient(hrana.ClientOptions{Concurrency: 1, Timeout: each})
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if _, err := open(t, hrana.Options{URL: server.URL, HTTP: client}).Query(t.Context(), "SELECT 1"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for name, answer := range map[string]func(http.ResponseWriter){
		"no answer":         func(http.ResponseWriter) {},
		"half of an answer": func(w http.ResponseWriter) { fmt.Fprint(w, "{"); w.(http.Flusher).Flush() },
	} {
		slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client leave
			answer(w)
			<-r.Context().Done()
		}))
		t.Cleanup(slow.Close)
		client := hrana.NewClient(hrana.ClientOptions{Concurrency: 1, Timeout: each / 20})
		for range 2 { // the turn of the first has ended
			_, err := open(t, hrana.Options{URL: slow.URL, HTTP: client}).Query(t.Context(), "SELECT 1")
			if !errors.Is(err, database.ErrAway) || !strings.Contains(err.Error(), "no whole answer within 50ms") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
