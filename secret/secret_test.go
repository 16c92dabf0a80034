package secret_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/secret"
)

func TestResolve(t *testing.T) {
	keeper := secret.Keeper{Dir: t.TempDir()}
	write(t, filepath.Join(keeper.Dir, "token"), "from file\n")
	t.Setenv("RECONCILER_SECRET_X", "from env")
	for reference, want := range map[config.Secret]string{"$file:token": "from file", "$env:RECONCILER_SECRET_X": "from env", "": ""} {
		if got, err := keeper.Resolve(reference); err != nil || got != want {
			t.Errorf("%s: got %q, %v", reference, got, err)
		}
	}
	for _, reference := range []config.Secret{
		"plain", "$env:HOME", "$env:RECONCILER_SECRET_", "$file:../token", "$file:/etc/passwd", "$file:a/../../b", "$file:.hidden",
		"$file:gone", "$env:RECONCILER_SECRET_GONE", "$age:-----BEGIN AGE ENCRYPTED FILE-----\nx", "$env:RECONCILER_SECRET_X\n",
	} {
		got, err := keeper.Resolve(reference)
		if !errors.Is(err, secret.ErrUnreadable) || strings.Contains(err.Error(), "plain") {
			t.Errorf("%s: got %q, %v", reference, got, err)
		}
		var explained *secret.Error
		if !errors.As(err, &explained) || explained.Reason() != "SecretUnreadable" || explained.Next() == "" || !explained.Again() {
			t.Errorf("%s: %v does not say what to do next", reference, err)
		}
	}
}

// What cannot be sent as a token is said to be none, before a server is asked.
func TestToken(t *testing.T) {
	keeper := secret.Keeper{Dir: t.TempDir()}
	write(t, filepath.Join(keeper.Dir, "good"), " planted\n")
	for reference, want := range map[config.Secret]string{"$file:good": "planted", "": ""} {
		if got, err := keeper.Token(reference); err != nil || got != want {
			t.Errorf("%s: got %q, %v", reference, got, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "\n", "lines": "planted\nplanted", "binary": "planted\x00", "letters": "plantedö", "large": strings.Repeat("planted", 1<<12), "gone": "",
	} {
		if name != "gone" {
			write(t, filepath.Join(keeper.Dir, name), text)
		}
		got, err := keeper.Token(config.Secret("$file:" + name))
		var explained *secret.Error
		if !errors.As(err, &explained) || !errors.Is(err, secret.ErrUnreadable) || explained.Next() == "" || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// What is encrypted for one key is read as long as the key is in the file,
// wherever it stands there, and what is new is for the first one.
func TestKeysRotate(t *testing.T) {
	first, second := identity(t), identity(t)
	keeper := secret.Keeper{IdentityFile: filepath.Join(t.TempDir(), "age.key")}
	write(t, keeper.IdentityFile, "# made by age-keygen\n"+first+"\n")
	old, err := keeper.Seal("token-1\n")
	must(t, err)
	if !old.Valid() || strings.Contains(string(old), "token-1") {
		t.Fatalf("got %q, want a reference that does not say it", old)
	}
	wantSecret(t, keeper, old, "token-1")

	write(t, keeper.IdentityFile, second+"\n"+first+"\n")
	wantSecret(t, keeper, old, "token-1")
	fresh, err := keeper.Seal("token-2")
	must(t, err)

	write(t, keeper.IdentityFile, second+"\n")
	wantSecret(t, keeper, fresh, "token-2")
	if got, err := keeper.Resolve(old); !errors.Is(err, secret.ErrUnreadable) || !strings.Contains(err.Error(), "none of the keys") {
		t.Errorf("got %q, %v; want that no key fits", got, err)
	}
}

func TestNoKey(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	write(t, broken, "AGE-SECRET-KEY-1QQQ\n")
	write(t, filepath.Join(dir, "empty"), "# nothing\n")
	for _, file := range []string{"", filepath.Join(dir, "gone"), broken, filepath.Join(dir, "empty")} {
		keeper := secret.Keeper{IdentityFile: file}
		_, err := keeper.Seal("x")
		for _, err := range []error{err, keeper.Check()} {
			if !errors.Is(err, secret.ErrNoKey) || strings.Contains(err.Error(), "QQQ") {
				t.Errorf("%q: got error %v, want ErrNoKey without the key", file, err)
			}
		}
	}
}

func TestDamagedAge(t *testing.T) {
	keeper := secret.Keeper{IdentityFile: filepath.Join(t.TempDir(), "age.key")}
	write(t, keeper.IdentityFile, identity(t)+"\n")
	sealed, err := keeper.Seal("token")
	must(t, err)
	lines := strings.Split(string(sealed), "\n")
	lines[len(lines)-2] = "AAAA"
	for _, reference := range []config.Secret{
		config.Secret(strings.Join(lines, "\n")), sealed[:len(sealed)-40], sealed + "\nmore",
	} {
		if got, err := keeper.Resolve(reference); !errors.Is(err, secret.ErrUnreadable) {
			t.Errorf("got %q, %v; want an error", got, err)
		}
	}
}

func wantSecret(t *testing.T, keeper secret.Keeper, reference config.Secret, want string) {
	t.Helper()
	if got, err := keeper.Resolve(reference); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func identity(t *testing.T) string {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	return id.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
