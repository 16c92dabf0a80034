package state

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
)

// Plan is a plan as it is stored: opaque here, known by its digest, and shared
// by every class of tenants that needs the same statements.
type Plan struct {
	Digest string
	Class  string // empty when it was read by digest
	Body   []byte // JSON
}

// SavePlan stores a plan under its digest, once: a body that is there already
// stays. Its class, if it has one, leads to it from now on.
func (s *Store) SavePlan(ctx context.Context, p Plan) error {
	statements := []database.Statement{{
		SQL:  "INSERT INTO plans (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
		Args: []any{p.Digest, p.Body},
	}}
	if p.Class != "" {
		statements = append(statements, database.Statement{
			SQL: "INSERT INTO plan_classes (class, digest) VALUES (?, ?)" +
				" ON CONFLICT (class) DO UPDATE SET digest = excluded.digest",
			Args: []any{p.Class, p.Digest},
		})
	}
	return s.write(ctx, fmt.Sprintf("save plan %q", p.Digest), statements...)
}

// Plan returns the plan with a digest, or an error matching ErrNotFound.
func (s *Store) Plan(ctx context.Context, digest string) (Plan, error) {
	return s.plan(ctx, fmt.Sprintf("read plan %q", digest),
		"SELECT digest, '', body FROM plans WHERE digest = ?", digest)
}

// PlanByClass returns the plan that a class of tenants needs, or an error
// matching ErrNotFound.
func (s *Store) PlanByClass(ctx context.Context, class string) (Plan, error) {
	return s.plan(ctx, fmt.Sprintf("read plan of class %q", class),
		"SELECT digest, class, body FROM plan_classes JOIN plans USING (digest) WHERE class = ?", class)
}

func (s *Store) plan(ctx context.Context, doing, sql, key string) (p Plan, err error) {
	rows, err := s.query(ctx, doing, sql, key)
	switch {
	case err != nil:
		return Plan{}, err
	case len(rows.Values) == 0:
		return Plan{}, explain(s.path, doing, ErrNotFound)
	}
	p.Digest, _ = rows.Values[0][0].(string)
	p.Class, _ = rows.Values[0][1].(string)
	p.Body, _ = rows.Values[0][2].([]byte)
	return p, nil
}

// SaveBundle stores a bundle under its digest, once: a body that is there
// already stays.
func (s *Store) SaveBundle(ctx context.Context, digest string, body []byte) error {
	doing := fmt.Sprintf("save bundle %q", digest)
	rows, err := s.query(ctx, doing, "SELECT 1 FROM bundles WHERE digest = ?", digest)
	if err != nil || len(rows.Values) > 0 {
		return err
	}
	packed, err := s.packer.compress(body) // 20 ms for a large one: not while others wait
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, database.Statement{
		SQL:  "INSERT INTO bundles (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
		Args: []any{digest, packed},
	})
}

// Bundle returns the bundle with a digest, or an error matching ErrNotFound.
func (s *Store) Bundle(ctx context.Context, digest string) ([]byte, error) {
	doing := fmt.Sprintf("read bundle %q", digest)
	rows, err := s.query(ctx, doing, "SELECT body FROM bundles WHERE digest = ?", digest)
	switch {
	case err != nil:
		return nil, err
	case len(rows.Values) == 0:
		return nil, explain(s.path, doing, ErrNotFound)
	}
	packed, _ := rows.Values[0][0].([]byte)
	body, err := decompress(packed)
	if err != nil {
		return nil, explain(s.path, doing, fmt.Errorf("%w: %w", database.ErrCorrupt, err))
	}
	return body, nil
}

// packer compresses with one writer for all: to make one takes longer than to
// compress most bodies. The zero packer is ready.
type packer struct {
	mu     sync.Mutex
	writer *gzip.Writer
}

func (p *packer) compress(body []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out bytes.Buffer
	if p.writer == nil {
		p.writer = gzip.NewWriter(nil)
	}
	p.writer.Reset(&out)
	if _, err := p.writer.Write(body); err != nil {
		return nil, err
	}
	if err := p.writer.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decompress(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
