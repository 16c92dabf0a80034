package turso

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/control"
)

// Settings are the configuration of a database, as far as it is used here.
type Settings struct {
	BlockReads       bool `json:"block_reads"`
	BlockWrites      bool `json:"block_writes"`
	DeleteProtection bool `json:"delete_protection"`
}

// Settings returns those of a database.
func (s *Server) Settings(ctx context.Context, name string) (c Settings, err error) {
	return c, s.database(ctx, name, control.Call{Doing: "read the configuration of database", Method: http.MethodGet, Out: &c}, "configuration")
}

// Block refuses the writes of a database, those of the reconciler too, or lets
// them in again. What is not named in the request stays as it is.
func (s *Server) Block(ctx context.Context, name string, writes bool) error {
	return s.database(ctx, name, control.Call{
		Doing: "block database", Method: http.MethodPatch, In: map[string]bool{"block_writes": writes},
	}, "configuration")
}

// Token makes a token that opens a database for reading and writing. Others go
// on being valid.
func (s *Server) Token(ctx context.Context, name string) (string, error) {
	t, err := s.CreateToken(ctx, name, protocol.TokenFullAccess, "")
	return t.JWT, err
}

// CreateToken makes a token of a scope that ends after a time such as 2w1d30m;
// never for an empty one.
func (s *Server) CreateToken(ctx context.Context, name string, scope protocol.TursoTokenScope, expiration string) (protocol.TursoToken, error) {
	query := url.Values{"authorization": {string(scope)}, "expiration": {"never"}}
	if expiration != "" {
		query.Set("expiration", expiration)
	}
	var answer protocol.TursoToken
	err := s.database(ctx, name, control.Call{
		Doing: "make a token for database", Method: http.MethodPost, Query: query, Out: &answer,
	}, "auth", "tokens")
	if err == nil && answer.JWT == "" {
		err = fmt.Errorf("turso: make a token for database %q: the answer has none", name)
	}
	return protocol.TursoToken{JWT: answer.JWT, Expiration: expiration}, err
}

// Rotate makes every token of a database invalid and returns a new one. The
// platform restarts the database for it, which takes a moment. control.ErrCutOff
// says that the first was done and the second was not.
func (s *Server) Rotate(ctx context.Context, name string) (string, error) {
	if err := s.invalidate(ctx, name); err != nil {
		return "", err
	}
	token, err := s.Token(ctx, name)
	if err != nil {
		err = fmt.Errorf("%w: %w", control.ErrCutOff, err)
	}
	return token, err
}

func (s *Server) invalidate(ctx context.Context, name string) error {
	return s.database(ctx, name, control.Call{Doing: "invalidate the tokens of database", Method: http.MethodPost}, "auth", "rotate")
}

// ProtectedError says that a database may not be deleted.
type ProtectedError struct{ Name string }

func (e *ProtectedError) Error() string {
	return fmt.Sprintf("turso: database %q is protected from deletion", e.Name)
}

// Reason is the word for programs.
func (e *ProtectedError) Reason() string { return reason.DeleteProtected }

// Next is the next step, for people.
func (e *ProtectedError) Next() string {
	return "turn delete_protection off where it was turned on, if the database may go"
}

// Again tells that the same may work later.
func (e *ProtectedError) Again() bool { return true }
