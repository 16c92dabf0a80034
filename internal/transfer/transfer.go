// Package transfer copies a database that only statements reach, as on a server,
// to a SQLite file. It reads by statements and not the server's own dump: a dump
// is one answer of any size, and of a view that ends in a comment it cannot be
// read back.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/schema"
)

// Copy writes what a database holds to a new file: schema, rows with their own
// ids, and the counters of AUTOINCREMENT. It reads in one transaction, so that
// what it writes is of one moment, and counts the rows of each table again at
// the end. After an error there is no file.
//
// Full-text and r-tree tables keep their content. Vector indexes are built anew.
func Copy(ctx context.Context, from database.Conn, path string) (err error) {
	to, err := libsql.Open(ctx, path, libsql.Options{Create: true})
	if err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	c := &copying{from: from, to: to}
	err = errors.Join(c.run(ctx), to.Close())
	if err == nil {
		err = libsql.Sync(path)
	}
	if err != nil {
		return fmt.Errorf("copy database: %w", errors.Join(err, removeAll(path)))
	}
	return nil
}

func removeAll(path string) error {
	var wrong []error
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// copying is one copy under way.
type copying struct {
	from, to database.Conn
	objects  []object
}

// object is a row of sqlite_master.
type object struct{ kind, name, table, sql string }

func (c *copying) run(ctx context.Context) (err error) {
	if _, err := c.from.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	defer func() {
		_, over := c.from.Exec(context.WithoutCancel(ctx), "ROLLBACK")
		if err == nil {
			err = over // what was read was not of one moment
		}
	}()
	if _, err := c.to.Exec(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return err
	}
	if _, err := c.to.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{c.read, c.tables, c.rest, c.compare} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	_, err = c.to.Exec(ctx, "COMMIT")
	return err
}

// read reads the schema, in the order in which it was made.
func (c *copying) read(ctx context.Context) error {
	rows, err := c.from.Query(ctx, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY rowid")
	if err != nil {
		return err
	}
	var all []object
	derived := map[string]bool{"libsql_vector_meta_shadow": true} // of vector indexes, which fill them
	for _, v := range rows.Values {
		o := object{v[0].(string), v[1].(string), v[2].(string), v[3].(string)}
		all = append(all, o)
		if o.kind == "index" && strings.Contains(strings.ToLower(o.sql), "libsql_vector_idx") {
			derived[o.name+"_shadow"] = true
		}
	}
	for _, o := range all {
		if o.sql != "" && !derived[o.table] && !strings.HasPrefix(o.name, "sqlite_") {
			c.objects = append(c.objects, o)
		}
	}
	return nil
}

// tables makes the tables and fills them: virtual ones first, which make the
// tables behind them by themselves.
func (c *copying) tables(ctx context.Context) error {
	for _, virtual := range []bool{true, false} {
		for _, o := range c.objects {
			if o.kind == "table" && o.virtual() == virtual {
				if err := c.table(ctx, o); err != nil {
					return fmt.Errorf("table %q: %w", o.name, err)
				}
			}
		}
	}
	return c.counters(ctx)
}

func (o object) virtual() bool {
	return strings.HasPrefix(strings.ToUpper(strings.TrimSpace(o.sql)), "CREATE VIRTUAL")
}

func (c *copying) table(ctx context.Context, o object) error {
	there, err := c.to.Query(ctx, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", o.name)
	if err != nil {
		return err
	}
	if len(there.Values) > 0 { // behind a virtual one, with what that begins with
		_, err = c.to.Exec(ctx, "DELETE FROM "+schema.Quote(o.name))
	} else {
		_, err = c.to.Exec(ctx, o.sql)
	}
	if err != nil || o.virtual() { // whose rows are in the tables behind it
		return err
	}
	return c.rows(ctx, o.name)
}

// counters copies those of AUTOINCREMENT, where there are any.
func (c *copying) counters(ctx context.Context) error {
	for _, conn := range []database.Conn{c.from, c.to} {
		there, err := conn.Query(ctx, "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
		if err != nil || len(there.Values) == 0 {
			return err
		}
	}
	if _, err := c.to.Exec(ctx, "DELETE FROM sqlite_sequence"); err != nil {
		return err
	}
	return c.rows(ctx, "sqlite_sequence")
}

// rest makes indexes, views and triggers, which fire for none of the rows that
// were copied.
func (c *copying) rest(ctx context.Context) error {
	for _, kind := range []string{"index", "view", "trigger"} {
		for _, o := range c.objects {
			if o.kind != kind {
				continue
			}
			there, err := c.to.Query(ctx, "SELECT 1 FROM sqlite_master WHERE type = ? AND name = ?", kind, o.name)
			if err == nil && len(there.Values) == 0 {
				_, err = c.to.Exec(ctx, o.sql)
			}
			if err != nil {
				return fmt.Errorf("%s %q: %w", kind, o.name, err)
			}
		}
	}
	// A server that blocks writes takes the pragma itself for one.
	rows, err := c.from.Query(ctx, "SELECT user_version FROM pragma_user_version")
	if err != nil {
		return err
	}
	_, err = c.to.Exec(ctx, fmt.Sprintf("PRAGMA user_version = %d", rows.Values[0][0].(int64)))
	return err
}

// compare counts the rows of both sides.
func (c *copying) compare(ctx context.Context) error {
	for _, o := range c.objects {
		if o.kind != "table" {
			continue
		}
		var counts [2]any
		for i, conn := range []database.Conn{c.from, c.to} {
			rows, err := conn.Query(ctx, "SELECT count(*) FROM "+schema.Quote(o.name))
			if err != nil {
				return fmt.Errorf("count table %q: %w", o.name, err)
			}
			counts[i] = rows.Values[0][0]
		}
		if counts[0] != counts[1] {
			return fmt.Errorf("%w: table %q has %v rows, and its copy %v", database.ErrCorrupt, o.name, counts[0], counts[1])
		}
	}
	return nil
}
