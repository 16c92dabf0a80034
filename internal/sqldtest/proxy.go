package sqldtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Fault is what happens to one request.
type Fault int

// The faults of a proxy.
const (
	None        Fault = iota
	Drop              // the server has done it, and the answer is lost
	Refuse            // the connection ends before the server has seen anything
	Unavailable       // 503, and the server has seen nothing
	Expired           // 400 STREAM_EXPIRED
	Missing           // 404, though the namespace is there
	Broken            // half of the answer
	Lost              // as Drop, with 502 for an answer
	Redirect          // 307 to another host
	ReadOnly          // of a batch: the database takes no writes, and the server has seen nothing
	Hold              // the server has done it; Held is called, and then the answer is lost
)

// Proxy stands in front of a server.
type Proxy struct {
	URL string
	// Held is called while an answer is held back. It is set before that is asked for.
	Held  func()
	count atomic.Int64
}

// Requests is how many have come in.
func (p *Proxy) Requests() int { return int(p.count.Load()) }

// Proxy starts a proxy. choose is asked at each request, with its number from
// 0 and its body; it may wait, for an answer that is slow. It may be called
// by several at a time.
func (s *Server) Proxy(t testing.TB, choose func(n int, r *http.Request, body string) Fault) *Proxy {
	t.Helper()
	p := &Proxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.pass(w, r, body, s.URL, choose(int(p.count.Add(1))-1, r, string(body)))
	}))
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, body []byte, to string, fault Fault) {
	switch fault {
	case Refuse:
		panic(http.ErrAbortHandler)
	case Unavailable:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return
	case Expired:
		http.Error(w, `{"message":"The stream has expired due to inactivity","code":"STREAM_EXPIRED"}`, http.StatusBadRequest)
		return
	case Missing:
		http.Error(w, "{\"error\":\"Namespace `x` doesn't exist\"}", http.StatusNotFound)
		return
	case ReadOnly:
		steps := bytes.Count(body, []byte(`"stmt":`))
		nothing := strings.Repeat(",null", steps-1)
		fmt.Fprintf(w, `{"results":[{"type":"ok","response":{"type":"batch","result":{"step_results":[null%s],"step_errors":[%s%s]}}},{"type":"ok","response":{"type":"close"}}]}`,
			nothing, `{"message":"attempt to write a readonly database","code":"SQLITE_READONLY"}`, nothing)
		return
	case Redirect:
		http.Redirect(w, r, "http://192.0.2.1/v3/pipeline", http.StatusTemporaryRedirect)
		return
	}
	status, answer, err := forward(r, body, to)
	if fault == Hold {
		p.Held()
		fault = Drop
	}
	switch {
	case err != nil, fault == Drop:
		panic(http.ErrAbortHandler)
	case fault == Lost:
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case fault == Broken:
		w.Header().Set("Content-Length", "1000000")
		w.WriteHeader(status)
		_, _ = w.Write(answer[:len(answer)/2])
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	}
}

// forward hands a request on and reads the whole answer.
func forward(r *http.Request, body []byte, to string) (int, []byte, error) {
	on, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	on.Host, on.Header = r.Host, r.Header.Clone()
	on.Header.Del("Accept-Encoding") // the transport asks for it, and undoes it
	answer, err := http.DefaultTransport.RoundTrip(on)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}
