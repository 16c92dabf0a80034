package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"ariga.io/atlas/sql/migrate"
)

// ErrExport says that a directory does not take another migration.
var ErrExport = errors.New("migration directory cannot be used")

// endOfStatement parts statements of which one has a semicolon inside, as the
// body of a trigger has.
const endOfStatement = "\n-- end of statement\n"

// Export adds the plan's migration to the Atlas migration directory dir, which
// exists, as VERSION_NAME.sql, and brings its atlas.sum up to date. Versions
// are UTC times, 20060102150405, and unique in a directory. The file holds the
// schema alone, without registered metadata and seeds, and like apply.Run it
// expects foreign keys to be off. It returns the file's name.
//
// A directory whose files are not those of its atlas.sum, or that has the
// version already, gives an error matching ErrExport; nothing is written then.
func (p *Plan) Export(dir, version, name string) (file string, err error) {
	local, err := migrate.NewLocalDir(dir)
	if err == nil {
		err = takes(local, version)
	}
	planned := p.atlas(version, name)
	if err == nil {
		err = migrate.NewPlanner(nil, local).WritePlan(planned)
	}
	if err == nil {
		file, err = readBack(local, planned)
	}
	if err != nil {
		return "", fmt.Errorf("export migration to %s: %w", dir, err)
	}
	return file, nil
}

// takes tells whether a directory is whole and lacks a version.
func takes(dir *migrate.LocalDir, version string) error {
	if err := migrate.CheckVersion(version); err != nil {
		return err
	}
	if err := migrate.Validate(dir); err != nil {
		return fmt.Errorf("%w: its files are not what atlas.sum says: %w", ErrExport, err)
	}
	files, err := dir.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Version() == version {
			return fmt.Errorf("%w: it has version %s already, in %s", ErrExport, version, f.Name())
		}
	}
	return nil
}

func (p *Plan) atlas(version, name string) *migrate.Plan {
	planned := &migrate.Plan{Version: version, Name: name}
	for i, s := range p.Migration.Statements {
		change := &migrate.Change{Cmd: s.SQL}
		if i < len(p.Steps) {
			change.Comment = p.Steps[i].Change
		}
		if strings.Contains(s.SQL, ";") {
			planned.Delimiter = endOfStatement
		}
		planned.Changes = append(planned.Changes, change)
	}
	return planned
}

// readBack makes sure that Atlas finds the statements that were meant, and
// returns the file in which it does.
func readBack(dir *migrate.LocalDir, planned *migrate.Plan) (string, error) {
	if err := migrate.Validate(dir); err != nil {
		return "", err
	}
	files, err := dir.Files()
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(files, func(f migrate.File) bool { return f.Version() == planned.Version })
	if at < 0 {
		return "", fmt.Errorf("version %s: %w", planned.Version, fs.ErrNotExist)
	}
	found, err := files[at].Stmts()
	if err != nil {
		return "", fmt.Errorf("read %s: %w", files[at].Name(), err)
	}
	same := func(text string, c *migrate.Change) bool {
		return strings.TrimSuffix(strings.TrimSpace(text), ";") == strings.TrimSuffix(strings.TrimSpace(c.Cmd), ";")
	}
	if !slices.EqualFunc(found, planned.Changes, same) {
		return "", fmt.Errorf("atlas does not read back from %s what was written", files[at].Name())
	}
	return files[at].Name(), nil
}
