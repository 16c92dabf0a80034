package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

// maxPlans bounds the plans that a Pipeline remembers, each with its bundle.
const maxPlans = 256

// memory knows what plans were made for, the newest maxPlans of them.
type memory struct {
	mu    sync.Mutex
	plans map[string]remembered
	order []string // keys, oldest first
}

// remembered is what a plan of the protocol says nothing of.
type remembered struct {
	desired *bundle.Desired
	plan    string // digest of the whole plan
}

func (m *memory) remember(key string, r remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plans == nil {
		m.plans = map[string]remembered{}
	}
	m.order = slices.DeleteFunc(m.order, func(k string) bool { return k == key })
	if len(m.order) == maxPlans {
		delete(m.plans, m.order[0])
		m.order = m.order[1:]
	}
	m.plans[key], m.order = r, append(m.order, key)
}

func (m *memory) recall(key string) (remembered, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.plans[key]
	return r, ok
}

// planKey names a tenant's plan by its content: the protocol gives it no id.
func planKey(tenant protocol.TenantID, m protocol.MigrationPlan) string {
	if m.Statements == nil {
		m.Statements = []protocol.MigrationStatement{}
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("plan cannot be marshalled: %v", err)) // text and numbers
	}
	return digestOf(string(tenant), string(text))
}
