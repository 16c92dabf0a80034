package bundle

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Cache remembers what loads have parsed and composed, by the hash of what it
// was read from. What the last load did not use is forgotten. It may be shared.
type Cache struct {
	ids  atomic.Uint64
	mu   sync.Mutex
	last memory
}

// memory is what one load took or made.
type memory struct {
	tenants *directory
	made    made
	parsed  map[string]any
}

// NewCache returns an empty Cache.
func NewCache() *Cache { return &Cache{} }

// next is an id that no part has yet.
func (c *Cache) next() uint64 { return c.ids.Add(1) }

// session is one load's use of a Cache. Goroutines of the load may share it.
type session struct {
	cache  *Cache
	before memory
	mu     sync.Mutex // guards used.parsed
	used   memory
}

func (c *Cache) open() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &session{cache: c, before: c.last, used: memory{parsed: map[string]any{}}}
}

// close leaves in the cache what this load used.
func (s *session) close() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.cache.last = s.used
}

// remember returns what is held under a key, or makes it. An empty hash means
// that the content has no name, and what is made is kept for this load alone.
func remember[T any](s *session, kind, path, hash string, build func() T) T {
	key := strings.Join([]string{kind, path, hash}, "\x00")
	s.mu.Lock()
	found, ok := s.used.parsed[key]
	s.mu.Unlock()
	if ok {
		return found.(T)
	}
	if found, ok = s.before.parsed[key]; !ok || hash == "" {
		found = build()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used.parsed[key] = found
	return found.(T)
}
