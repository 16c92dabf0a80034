package contracttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
)

func TestTursoPlatform(t *testing.T) {
	contracttest.TursoPlatform(t, func(testing.TB) contracttest.TursoPlatformFixture {
		m := &memoryPlatform{tokens: map[string][]string{}}
		return contracttest.TursoPlatformFixture{
			Service: m, Group: "default",
			Accepts: func(_ testing.TB, database, token string) bool { return slices.Contains(m.tokens[database], token) },
		}
	})
}

// memoryPlatform is databases in the order of creation and their tokens.
type memoryPlatform struct {
	databases []protocol.TursoDatabase
	tokens    map[string][]string
	count     int // of tokens
}

var errNoDatabase = errors.New("there is no such database")

func (m *memoryPlatform) index(name string) int {
	return slices.IndexFunc(m.databases, func(d protocol.TursoDatabase) bool { return d.Name == name })
}

func (m *memoryPlatform) CreateDatabase(_ context.Context, o protocol.TursoDatabaseOptions) (protocol.TursoDatabase, error) {
	if m.index(o.Name) >= 0 {
		return protocol.TursoDatabase{}, errors.New("the name is taken")
	}
	d := protocol.TursoDatabase{Name: o.Name, Group: o.Group, DBID: "id of " + o.Name, Hostname: o.Name + ".memory"}
	m.databases = append(m.databases, d)
	return d, nil
}

func (m *memoryPlatform) DeleteDatabase(_ context.Context, name string) error {
	at := m.index(name)
	if at < 0 {
		return errNoDatabase
	}
	m.databases = slices.Delete(m.databases, at, at+1)
	delete(m.tokens, name)
	return nil
}

func (m *memoryPlatform) ListDatabases(_ context.Context, group string) ([]protocol.TursoDatabase, error) {
	return slices.DeleteFunc(slices.Clone(m.databases), func(d protocol.TursoDatabase) bool {
		return group != "" && d.Group != group
	}), nil
}

func (m *memoryPlatform) Database(_ context.Context, name string) (*protocol.TursoDatabase, error) {
	if at := m.index(name); at >= 0 {
		return &m.databases[at], nil
	}
	return nil, nil
}

func (m *memoryPlatform) CreateToken(_ context.Context, name string, _ protocol.TursoTokenScope, _ string) (protocol.TursoToken, error) {
	if m.index(name) < 0 {
		return protocol.TursoToken{}, errNoDatabase
	}
	m.count++
	token := protocol.TursoToken{JWT: fmt.Sprint("token ", m.count)}
	m.tokens[name] = append(m.tokens[name], token.JWT)
	return token, nil
}

func (m *memoryPlatform) RevokeTokens(_ context.Context, name string) error {
	if m.index(name) < 0 {
		return errNoDatabase
	}
	delete(m.tokens, name)
	return nil
}
