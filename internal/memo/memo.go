// Package memo remembers what was made, by key and within a bound.
package memo

import (
	"sync"

	"golang.org/x/sync/singleflight"
)

// Map remembers values by key. When it has as many as it may have, it begins
// anew: what is asked for often is soon there again. The zero Map is empty. It
// may be used by many goroutines.
type Map[V any] struct {
	flight singleflight.Group
	mu     sync.Mutex
	known  map[string]V
}

// Recall returns what is remembered under a key.
func (m *Map[V]) Recall(key string) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok = m.known[key]
	return value, ok
}

// Remember keeps a value, as one of most.
func (m *Map[V]) Remember(key string, value V, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= most {
		m.known = map[string]V{}
	}
	m.known[key] = value
}

// Of returns what is remembered under a key, or makes it: of many who ask for
// one key at once, one does. It is kept, as one of most, where that says so.
func (m *Map[V]) Of(key string, most int, produce func() (value V, keep bool)) V {
	if value, ok := m.Recall(key); ok {
		return value
	}
	made, _, _ := m.flight.Do(key, func() (any, error) {
		if value, ok := m.Recall(key); ok {
			return value, nil
		}
		value, keep := produce()
		if keep {
			m.Remember(key, value, most)
		}
		return value, nil
	})
	return made.(V)
}
