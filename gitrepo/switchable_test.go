package gitrepo_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
)

// switchable is a server in front of another one that can be made to fail.
type switchable struct {
	next  http.Handler
	fault atomic.Pointer[http.HandlerFunc]
}

func (s *switchable) wrap(next http.Handler) http.Handler {
	s.next = next
	return s
}

func (s *switchable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := s.fault.Load(); fault != nil {
		(*fault)(w, r)
		return
	}
	s.next.ServeHTTP(w, r)
}

// handle puts h in front; nil lets everything through again.
func (s *switchable) handle(h http.HandlerFunc) {
	if h == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&h)
}

func (s *switchable) answer(status int) {
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>\n"+strings.Repeat("a page ", 200), status)
	})
}

// packs changes the bytes of every answer that holds a pack.
func (s *switchable) packs(change func([]byte) []byte) {
	s.handle(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			s.next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		s.next.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.Write(change(answer.Body.Bytes()))
	})
}

// cut sends only the first part of one in so many.
func (s *switchable) cut(parts int) {
	s.packs(func(answer []byte) []byte { return answer[:len(answer)/parts] })
}

// damage flips a byte in the middle of the pack.
func (s *switchable) damage() {
	s.packs(func(answer []byte) []byte {
		at := bytes.Index(answer, []byte("PACK")) + 150
		answer[at] ^= 0xff
		return answer
	})
}
