package protocol_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// shared is a directory of material that lives beside the project: the value
// of the environment variable, else the default, seen from the folder of
// go.mod. A test that finds none is skipped, and fails on CI.
func shared(t testing.TB, variable, fallback string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		dir = fallback
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", dir)
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", variable, err)
		}
		t.Skipf("%s: %v", variable, err)
	}
	return dir
}

// readJSON decodes a file.
func readJSON[T any](t testing.TB, path string) (value T) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &value)
	}
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return value
}

// plain is a value as JSON decodes it, so that 2 equals 2.0.
func plain(t testing.TB, value any) (decoded any) {
	t.Helper()
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, &decoded)
	}
	if err != nil {
		t.Fatalf("marshal %v: %v", value, err)
	}
	return decoded
}
