package plan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
)

// migration is a plan of statements, each with what it is for.
func migration(statements ...string) *plan.Plan {
	p := &plan.Plan{}
	for _, sql := range statements {
		p.Migration.Statements = append(p.Migration.Statements, protocol.MigrationStatement{SQL: sql})
		p.Steps = append(p.Steps, plan.Step{Change: "change " + strings.Fields(sql)[2]})
	}
	return p
}

func TestExportIsADirectoryThatAtlasReads(t *testing.T) {
	dir := t.TempDir()
	trigger := "CREATE TRIGGER touch AFTER UPDATE ON account BEGIN\n  UPDATE account SET n = 1;\n  SELECT 'a;b';\nEND"
	for _, m := range []struct {
		version    string
		statements []string
	}{
		{"20250102030405", []string{"CREATE TABLE `account` (`id` text NOT NULL, `note` text DEFAULT 'it''s -- not')", "CREATE INDEX `i` ON `account` (`note`)"}},
		{"20250102030406", []string{"ALTER TABLE account ADD COLUMN n integer", trigger, "DROP INDEX `i`"}},
	} {
		file, err := migration(m.statements...).Export(dir, m.version, "0193-acme")
		if err != nil {
			t.Fatal(err)
		}
		local, err := migrate.NewLocalDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := migrate.Validate(local); err != nil {
			t.Errorf("after %s: %v", m.version, err)
		}
		files, err := local.Files()
		if err != nil {
			t.Fatal(err)
		}
		last := files[len(files)-1]
		if want := m.version + "_0193-acme.sql"; last.Name() != want || file != want {
			t.Errorf("got files %s and %s, want %s", file, last.Name(), want)
		}
		found, err := last.Stmts()
		if err != nil {
			t.Fatal(err)
		}
		for i, sql := range found {
			found[i] = strings.TrimSuffix(sql, ";")
		}
		if diff := cmp.Diff(found, m.statements); diff != "" {
			t.Errorf("%s: statements (-got +want):\n%s", m.version, diff)
		}
		if !strings.Contains(string(last.Bytes()), "-- Change ") {
			t.Errorf("%s does not say what its statements are for:\n%s", last.Name(), last.Bytes())
		}
	}
}

func TestExportRefuses(t *testing.T) {
	dir := t.TempDir()
	p := migration("CREATE TABLE account (id text)")
	if _, err := p.Export(dir, "20250102030405", "first"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Export(dir, "20250102030405", "again"); !errors.Is(err, plan.ErrExport) {
		t.Errorf("a version twice: got %v, want %v", err, plan.ErrExport)
	}
	if _, err := p.Export(dir, "yesterday", "first"); err == nil {
		t.Error("a version that is no time was written")
	}
	if err := os.WriteFile(filepath.Join(dir, "20250102030405_first.sql"), []byte("DROP TABLE account;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Export(dir, "20250102030407", "later"); !errors.Is(err, plan.ErrExport) {
		t.Errorf("an edited file: got %v, want %v", err, plan.ErrExport)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*.sql")); len(names) != 1 {
		t.Errorf("got files %v, want the first alone", names)
	}
}
