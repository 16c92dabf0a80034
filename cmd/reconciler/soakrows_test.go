package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/schema"
)

// soakTenant is a tenant, and what its application knows it has written. One
// at a time, application or trouble, has it.
type soakTenant struct {
	id   string
	path string

	mu       sync.Mutex
	lift     func() error                            // ends the trouble that it is in; nil for none
	rows     map[string]map[string]map[string]string // table, id, column: the value as the engine quotes it
	handmade []string                                // columns that people have added to customer
}

// write has applications insert rows until the function that it returns is
// called. They hold what was acknowledged to be there for good.
func (x *soak) write() (stop func()) {
	ctx, cancel := context.WithCancel(x.Context())
	random := rand.New(rand.NewPCG(x.plan.seed, 1))
	known := slices.Clone(x.tenants) // what begins later is written to by nobody
	var done sync.WaitGroup
	done.Go(func() {
		every := time.NewTicker(x.plan.writes)
		defer every.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			t := pick(random, known)
			table := pick(random, []string{"customer", "invoice", "product", "ticket", "article", "extra"})
			if err := t.insert(ctx, table, fmt.Sprintf("r%d", n)); err != nil && ctx.Err() == nil {
				x.Errorf("%s: %v", t.id, err)
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// insert writes a row with a value in every column that the table has, and
// remembers what the engine made of it. What cannot be written is not remembered.
func (t *soakTenant) insert(ctx context.Context, table, id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lift != nil {
		return nil
	}
	conn, err := libsql.Open(ctx, t.path, libsql.Options{})
	if errors.Is(err, database.ErrMissing) {
		return nil // it has not been provisioned
	} else if err != nil {
		return err
	}
	defer conn.Close()
	columns, err := columnsOf(ctx, conn, table)
	columns = slices.DeleteFunc(columns, func(name string) bool { return soakFields[name] == "" })
	if err != nil || len(columns) == 0 {
		return err
	}
	values := []string{schema.QuoteText(id)}
	var quoted []string
	for _, column := range columns {
		value := map[string]string{"number": "12.5", "currency": "99.5", "boolean": "1", "date": "'2026-01-02'", "tags": "'[\"a\"]'"}[soakFields[column]]
		if value == "" {
			value = schema.QuoteText(column + " of " + id)
		}
		values = append(values, value)
		quoted = append(quoted, "quote("+schema.Quote(column)+")")
	}
	insert := fmt.Sprintf("INSERT INTO %s (id, %s) VALUES (%s) RETURNING %s", schema.Quote(table),
		strings.Join(columns, ", "), strings.Join(values, ", "), strings.Join(quoted, ", "))
	made, err := conn.Query(ctx, insert)
	if err != nil {
		return nil // the schema has moved, or somebody else writes
	}
	row := map[string]string{}
	for i, column := range columns {
		row[column] = fmt.Sprint(made.Values[0][i])
	}
	if t.rows == nil {
		t.rows = map[string]map[string]map[string]string{}
	}
	if t.rows[table] == nil {
		t.rows[table] = map[string]map[string]string{}
	}
	t.rows[table][id] = row
	return nil
}

func columnsOf(ctx context.Context, conn database.Conn, table string) ([]string, error) {
	return names(ctx, conn, "SELECT name FROM pragma_table_info("+schema.QuoteText(table)+")")
}

func names(ctx context.Context, conn database.Conn, sql string) ([]string, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, row := range rows.Values {
		all = append(all, fmt.Sprint(row[0]))
	}
	return all, nil
}

// checkRows looks for every row that was acknowledged, under the names that its
// table and its columns have now or were retired under.
func (x *soak) checkRows() {
	x.Helper()
	count, lost := 0, false
	for _, t := range x.tenants {
		t.mu.Lock()
		n, err := t.compare(x.Context())
		t.mu.Unlock()
		count += n
		if err != nil {
			x.Errorf("tenant %s: %v", t.id, err)
			lost = true
		}
	}
	if lost {
		x.Fatalf("rows were lost\n%s", x.daemon.tail())
	}
	x.logf("%d rows are there", count)
	x.found = count
}

func (t *soakTenant) compare(ctx context.Context) (count int, err error) {
	if len(t.rows) == 0 || t.lift != nil {
		return 0, nil
	}
	conn, err := libsql.Open(ctx, t.path, libsql.Options{})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	// One moment of the database: a deployment may be under way.
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return 0, err
	}
	tables, err := names(ctx, conn, "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		return 0, err
	}
	for table, rows := range t.rows {
		count += len(rows)
		left := maps.Clone(rows)
		for _, name := range tables {
			if isOnce(name, table) {
				if err := t.find(ctx, conn, name, left); err != nil {
					return count, err
				}
			}
		}
		for id := range left {
			return count, fmt.Errorf("%s has lost row %s, and %d in all", table, id, len(left))
		}
	}
	columns, err := columnsOf(ctx, conn, "customer")
	for _, column := range t.handmade {
		if err == nil && !slices.Contains(columns, column) {
			err = fmt.Errorf("customer has lost the column %s, which is none of ours", column)
		}
	}
	return count, err
}

var retiredName = regexp.MustCompile(`^_retired_\d+_`)

// isOnce tells that a name is the one asked for, or that with which it was retired.
func isOnce(name, want string) bool {
	return name == want || retiredName.MatchString(name) && retiredName.ReplaceAllString(name, "") == want
}

// find takes from left the rows that a table has, with all of their values.
func (t *soakTenant) find(ctx context.Context, conn database.Conn, table string, left map[string]map[string]string) error {
	columns, err := columnsOf(ctx, conn, table)
	if err != nil {
		return err
	}
	quoted := []string{"id"}
	for _, column := range columns {
		quoted = append(quoted, "quote("+schema.Quote(column)+")")
	}
	there, err := conn.Query(ctx, "SELECT "+strings.Join(quoted, ", ")+" FROM "+schema.Quote(table))
	if err != nil {
		return err
	}
	for _, values := range there.Values {
		id := fmt.Sprint(values[0])
		for column, want := range left[id] {
			var got []string
			for i, name := range columns {
				if isOnce(name, column) {
					got = append(got, fmt.Sprint(values[i+1]))
				}
			}
			if !slices.Contains(got, want) {
				return fmt.Errorf("%s of row %s in %s: got %v, want %s", column, id, table, got, want)
			}
		}
		delete(left, id)
	}
	return nil
}

// checkSchemas compares each tenant's tables with what git has in the end,
// which is every field there ever was.
func (x *soak) checkSchemas() {
	want := append(slices.Collect(maps.Keys(soakFields)), "id", "created_at", "updated_at")
	slices.Sort(want)
	for _, t := range x.tenants {
		conn, err := libsql.Open(x.Context(), t.path, libsql.Options{})
		x.check(err)
		for _, table := range slices.Concat(soakObjects["shop"], soakObjects["desk"]) {
			got, err := columnsOf(x.Context(), conn, table)
			x.check(err)
			got = slices.DeleteFunc(got, func(name string) bool { return slices.Contains(t.handmade, name) })
			slices.Sort(got)
			if !slices.Equal(got, want) {
				x.Errorf("tenant %s: %s has the columns %v, want %v", t.id, table, got, want)
			}
		}
		found, err := names(x.Context(), conn, "PRAGMA integrity_check")
		x.check(err)
		if !slices.Equal(found, []string{"ok"}) {
			x.Errorf("tenant %s: %v", t.id, found)
		}
		x.check(conn.Close())
	}
}

// checkHistory compares the journals with the history in state: what is in one
// as done is so in the other, once.
func (x *soak) checkHistory() {
	store, err := libsql.Open(x.Context(), filepath.Join(x.data(), "state.db"), libsql.Options{})
	x.check(err)
	defer store.Close()
	total := 0
	for _, t := range x.tenants {
		conn, err := libsql.Open(x.Context(), t.path, libsql.Options{})
		x.check(err)
		journal, err := names(x.Context(), conn, "SELECT deployment FROM _reconciler_journal ORDER BY deployment")
		x.check(errors.Join(err, conn.Close()))
		history, err := names(x.Context(), store, "SELECT id FROM deployments WHERE status = 'ready' AND tenant = "+schema.QuoteText(t.id)+" ORDER BY id")
		x.check(err)
		if !slices.Equal(journal, history) {
			x.Errorf("tenant %s: its journal has %d deployments, history has %d:\n%v\n%v", t.id, len(journal), len(history), journal, history)
		}
		total += len(journal)
	}
	size, err := os.Stat(filepath.Join(x.data(), "state.db"))
	x.check(err)
	x.Logf("%d deployments of %d tenants; state.db has %d KiB", total, len(x.tenants), size.Size()>>10)
}
