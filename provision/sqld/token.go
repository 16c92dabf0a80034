package sqld

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Token returns a token that opens a namespace for reading and writing; empty
// for a server without tokens. It is Rotate: the namespace has one key, and the
// private part of it is kept by nobody.
func (s *Server) Token(ctx context.Context, name string) (string, error) { return s.Rotate(ctx, name) }

// Rotate gives a namespace a new key, signs a token with it and forgets the
// private part. From then on every other token is refused, at once.
func (s *Server) Rotate(ctx context.Context, name string) (string, error) {
	if s.config.Open {
		return "", nil
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("sqld: make a key for namespace %q: %w", name, err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"id": name, "a": "rw"}).SignedString(private)
	if err != nil {
		return "", fmt.Errorf("sqld: sign a token for namespace %q: %w", name, err)
	}
	return token, s.SetKey(ctx, name, base64.RawURLEncoding.EncodeToString(public))
}

// SetKey makes a namespace accept tokens of one key alone: the 32 bytes of an
// Ed25519 public key in base64url.
func (s *Server) SetKey(ctx context.Context, name, key string) error {
	return s.change(ctx, "give a new key to namespace", name, map[string]any{"jwt_key": key})
}
