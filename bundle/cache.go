package bundle

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Cache remembers what loads have parsed and composed, by the hash of what it
// was read from. What the last load did not use is forgotten. One load at a
// time may use it.
type Cache struct {
	ids  atomic.Uint64
	mu   sync.Mutex
	held map[string]any
}

// NewCache returns an empty Cache.
func NewCache() *Cache { return &Cache{} }

// next is an id that no part has yet.
func (c *Cache) next() uint64 { return c.ids.Add(1) }

// session is one load's use of a Cache: what it takes or makes is what the
// cache holds afterwards.
type session struct {
	cache *Cache
	used  map[string]any
}

func (c *Cache) open() *session { return &session{cache: c, used: map[string]any{}} }

// close leaves in the cache what this load used.
func (s *session) close() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.cache.held = s.used
}

// remember returns what is held under a key, or makes it. An empty hash means
// that the content has no name, and what is made is kept for this load alone.
func remember[T any](s *session, kind, path, hash string, build func() T) T {
	key := strings.Join([]string{kind, path, hash}, "\x00")
	if found, ok := s.used[key]; ok {
		return found.(T)
	}
	s.cache.mu.Lock()
	found, ok := s.cache.held[key]
	s.cache.mu.Unlock()
	if !ok || hash == "" {
		found = build()
	}
	s.used[key] = found
	return found.(T)
}
