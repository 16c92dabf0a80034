package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const keyFileLook = time.Second // between two looks at whether the file has changed

// keyFile are the keys of a file, read again when it changes. One that cannot
// be read any more leaves those that were read last.
type keyFile struct {
	path  string
	every time.Duration // between two looks

	mu     sync.Mutex
	keys   jwt.Keyfunc
	looked time.Time
	was    fs.FileInfo
}

func newKeyFile(path string) (*keyFile, error) {
	k := &keyFile{path: path, every: keyFileLook}
	if err := k.read(); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *keyFile) find(context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		key, err := k.current()(t)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoKey, err)
		}
		set, isSet := key.(jwt.VerificationKeySet)
		if !isSet {
			set.Keys = []jwt.VerificationKey{key}
		}
		fitting := jwt.VerificationKeySet{}
		for _, key := range set.Keys {
			if fits(t.Method.Alg(), key) {
				fitting.Keys = append(fitting.Keys, key)
			}
		}
		if len(fitting.Keys) == 0 {
			return nil, errNoKey
		}
		return fitting, nil
	}
}

func (k *keyFile) close() {}

// current returns the keys, having looked at the file if that is due.
func (k *keyFile) current() jwt.Keyfunc {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) >= k.every {
		_ = k.read()
	}
	return k.keys
}

func (k *keyFile) read() error {
	k.looked = time.Now()
	info, err := os.Stat(k.path)
	if err != nil {
		return fmt.Errorf("read the key file: %w", err)
	}
	if k.was != nil && os.SameFile(info, k.was) && info.ModTime().Equal(k.was.ModTime()) && info.Size() == k.was.Size() {
		return nil
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return fmt.Errorf("read the key file: %w", err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return fmt.Errorf("read the key file %s: %w", k.path, err)
	}
	k.keys, k.was = keys, info
	return nil
}

// parseKeys reads PEM blocks or a JWKS. What a PEM key is called is not known,
// so that each that fits a token's algorithm is tried.
func parseKeys(text []byte) (jwt.Keyfunc, error) {
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		set, err := keyfunc.NewJWKSetJSON(json.RawMessage(text))
		if err != nil {
			return nil, err
		}
		return set.Keyfunc, nil
	}
	var set jwt.VerificationKeySet
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		if !fits("RS256", key) && !fits("ES256", key) && !fits("EdDSA", key) {
			return nil, errors.New("a key is none of RSA with 2048 bits, P-256 and Ed25519")
		}
		set.Keys = append(set.Keys, key)
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("it has neither a PEM block nor a JWKS")
	}
	return func(*jwt.Token) (any, error) { return set, nil }, nil
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return nil, fmt.Errorf("a %s is no public key", block.Type)
}
