package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/tenantops/reconciler/config"
)

// What to do next.
const (
	nextKey     = "give the reconciler its key there (docs/secrets.md says how to make one); it is tried again"
	nextDamaged = "encrypt the secret again (reconciler secrets encrypt); for a database that the reconciler made run \"reconciler secrets rotate TENANT\", which makes a new token"
)

const maxSecret = 64 << 10 // bytes of a secret; tokens and keys have some hundreds

// Seal encrypts text for the first age identity and returns it as a reference,
// which Resolve decrypts. Without an identity the error matches ErrNoKey.
func (k Keeper) Seal(text string) (config.Secret, error) {
	if len(text) > maxSecret {
		return "", fmt.Errorf("encrypt a secret: it has %d bytes, at most %d fit", len(text), maxSecret)
	}
	identities, err := k.identities()
	if err != nil {
		return "", err
	}
	to, err := recipientOf(identities[0])
	if err != nil {
		return "", err
	}
	var sealed bytes.Buffer
	armored := armor.NewWriter(&sealed)
	writer, err := age.Encrypt(armored, to)
	if err != nil {
		return "", fmt.Errorf("encrypt a secret: %w", err)
	}
	_, err = io.WriteString(writer, text)
	if err := errors.Join(err, writer.Close(), armored.Close()); err != nil {
		return "", fmt.Errorf("encrypt a secret: %w", err)
	}
	return config.Secret("$age:" + strings.TrimSpace(sealed.String())), nil
}

// Check reports why nothing can be encrypted; nil when it can.
func (k Keeper) Check() error {
	identities, err := k.identities()
	if err == nil {
		_, err = recipientOf(identities[0])
	}
	return err
}

// Recipient is the public key that Seal encrypts for, which is no secret.
func (k Keeper) Recipient() (string, error) {
	identities, err := k.identities()
	if err != nil {
		return "", err
	}
	to, err := recipientOf(identities[0])
	if err != nil {
		return "", err
	}
	return fmt.Sprint(to), nil
}

// open decrypts armored text with any of the identities.
func (k Keeper) open(armored string) (string, error) {
	identities, err := k.identities()
	if err != nil {
		return "", fmt.Errorf("%w: an $age: value needs one: %w", ErrUnreadable, err)
	}
	reader, err := age.Decrypt(armor.NewReader(strings.NewReader(strings.TrimSpace(armored))), identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return "", failed("add the key that it is encrypted for, or "+nextDamaged,
			"%w: an $age: value is encrypted for none of the keys in %s", ErrUnreadable, k.IdentityFile)
	}
	if err != nil {
		return "", failed(nextDamaged, "%w: an $age: value is damaged: %w", ErrUnreadable, err)
	}
	text, err := io.ReadAll(io.LimitReader(reader, maxSecret+1))
	if err == nil && len(text) > maxSecret {
		err = fmt.Errorf("it has more than %d bytes", maxSecret)
	}
	if err != nil {
		return "", failed(nextDamaged, "%w: an $age: value is damaged: %w", ErrUnreadable, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// identities reads the file of age identities: at least one, if there is no
// error.
func (k Keeper) identities() ([]age.Identity, error) {
	if k.IdentityFile == "" {
		return nil, failed("set it, and start the reconciler again",
			"%w: give --age-identity-file, or set age.identityFile in reconciler.yaml", ErrNoKey)
	}
	file, err := os.Open(k.IdentityFile)
	if err != nil {
		return nil, failed(nextKey, "%w: %w", ErrNoKey, err)
	}
	defer file.Close()
	identities, err := age.ParseIdentities(io.LimitReader(file, 1<<20))
	if err != nil { // its text may quote the line, which is the key
		return nil, failed(nextKey, "%w: %s has a line that is no age identity (AGE-SECRET-KEY-1...), or none", ErrNoKey, k.IdentityFile)
	}
	return identities, nil
}

func recipientOf(identity age.Identity) (age.Recipient, error) {
	switch i := identity.(type) {
	case *age.X25519Identity:
		return i.Recipient(), nil
	case *age.HybridIdentity:
		return i.Recipient(), nil
	}
	return nil, failed(nextKey, "%w: the first identity is of a kind that cannot be encrypted for", ErrNoKey)
}
