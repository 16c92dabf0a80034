package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"sync"

	"github.com/tenantops/reconciler/preview"
)

// reports are the newest previews of open pull requests, whole, as the HTTP API
// serves them. A restart makes them anew.
type reports struct {
	mu     sync.Mutex
	packed map[int][]byte // JSON, compressed: one of 10,000 tenants has some megabytes
}

func (r *reports) keep(number int, report *preview.Report) error {
	text, err := indented(report)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(text) // a buffer takes everything
	if err := w.Close(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.packed == nil {
		r.packed = map[int][]byte{}
	}
	r.packed[number] = packed.Bytes()
	return nil
}

func (r *reports) drop(number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.packed, number)
}

// Preview implements server.Previews.
func (r *reports) Preview(number int) []byte {
	r.mu.Lock()
	packed := r.packed[number]
	r.mu.Unlock()
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil // there is none
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil
	}
	return text
}
