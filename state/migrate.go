package state

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/tenantops/reconciler/internal/database"
)

// migrations are numbered from 1 without a gap; a released one never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to the newest migration, each in a transaction
// of its own together with PRAGMA user_version, which counts them.
func migrate(ctx context.Context, conn database.Conn, readOnly bool) error {
	files, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return err
	}
	version, err := userVersion(ctx, conn)
	switch {
	case err != nil:
		return err
	case version > len(files):
		return fmt.Errorf("%w: the file has version %d, this binary knows up to %d: "+
			"use the reconciler that wrote it, or a newer one", ErrVersion, version, len(files))
	case readOnly && version < len(files):
		return fmt.Errorf("%w: the file has version %d, this binary needs %d: "+
			"run \"reconciler sync\" or \"reconciler run\" of this binary, which migrates it",
			ErrVersion, version, len(files))
	}
	for version < len(files) {
		if err := step(ctx, conn, files[version], version); err != nil {
			return fmt.Errorf("migrate with %s: %w", files[version], err)
		}
		version++
	}
	return nil
}

// step runs one migration, unless another process was faster.
func step(ctx context.Context, conn database.Conn, file string, from int) error {
	text, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	statements, err := database.Split(string(text))
	if err != nil {
		return err
	}
	statements = append(statements, fmt.Sprintf("PRAGMA user_version = %d", from+1))
	return transact(ctx, conn, func() error {
		if version, err := userVersion(ctx, conn); err != nil || version > from {
			return err
		}
		for _, sql := range statements {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

func userVersion(ctx context.Context, conn database.Conn) (int, error) {
	version, err := number(ctx, conn, "PRAGMA user_version")
	return int(version), err
}

// number asks for one integer.
func number(ctx context.Context, conn database.Conn, sql string) (int64, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return 0, err
	}
	n, _ := rows.Values[0][0].(int64)
	return n, nil
}
