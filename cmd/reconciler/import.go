package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/adoption"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/tenantrouter"
)

// importing is what a call of import asks for.
type importing struct{ database, from, group, out, app, tenant string }

func importCommand(c *cli) *cobra.Command {
	var q importing
	command := &cobra.Command{
		Use:   "import",
		Short: "write definitions that databases already fulfil",
		Long: `Read the schemas of databases that were there before, and write a repository that
adopts them: its plan for each of them changes nothing that is there, and adds at
most. With --database of one; with --from of a fleet, whose list has the lines
id,url[,name[,plan[,authToken]]]: databases are grouped by structure, the app gets
what the largest group has, and what a tenant has beside it becomes the tenant's own.
A URL may lead to a server that connections.hosts of reconciler.yaml lists; its
authToken is a reference to a secret, which the tenant.yaml gets too. With
--turso-group the fleet is the databases of a group on Turso, each a tenant of its
name: databases.turso of reconciler.yaml has the organization and the token of the
API. Each tenant.yaml gets a new token, encrypted for age.identityFile.

Databases are opened read-only, and no row is read. What definitions cannot
express stays as it is and is listed with the reason. A URL is a path or a file:
URL; a relative URL is below --data, as in a tenant.yaml, and a relative path below
the working directory. DIR must be new or empty.
Exit code 3: some databases could not be read, and are left out.`,
		Example: `  reconciler import --database ./acme.db --out ./company --app crm --tenant acme
  reconciler import --from urls.csv --out ./company --app crm -o json
  reconciler import --turso-group prod --out ./company --app crm
  reconciler validate ./company`,
		Args: cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error { return c.importInto(ctx, q) }),
	}
	flags := command.Flags()
	flags.StringVar(&q.database, "database", "", "path or file: `URL` of one database")
	flags.StringVar(&q.from, "from", "", "`file` of lines id,url[,name[,plan[,authToken]]]; - is stdin")
	flags.StringVar(&q.group, "turso-group", "", "`group` of databases on Turso")
	flags.StringVar(&q.out, "out", "", "`directory` to write")
	flags.StringVar(&q.app, "app", "app", "`name` of the app")
	flags.StringVar(&q.tenant, "tenant", "", "`id` of the tenant whose database it is; without it only the app is written")
	setting(command, "data", "secrets-dir")
	return command
}

func (q importing) check() error {
	switch {
	case len(slices.DeleteFunc([]string{q.database, q.from, q.group}, func(s string) bool { return s == "" })) != 1:
		return usagef("give one of --database, --from and --turso-group")
	case q.out == "":
		return usagef("--out is missing: give the directory to write")
	case q.database == "" && q.tenant != "":
		return usagef("--tenant is for --database: the list has the ids of tenants")
	case !schema.ValidName(q.app) || schema.IsReserved(q.app):
		return usagef("--app %q is no name: use a-z, 0-9 and _, and no digit first", q.app)
	}
	if q.tenant != "" {
		if err := adoption.CheckID(q.tenant); err != nil {
			return usageError{fmt.Errorf("--tenant: %w", err)}
		}
	}
	return nil
}

func (c *cli) importInto(ctx context.Context, q importing) error {
	if err := q.check(); err != nil {
		return err
	}
	rows, s, err := c.toSurvey(ctx, q)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("there is no database to read")
	}
	found, failed, err := s.all(ctx, rows)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return noneRead(failed)
	}
	fleet := adoption.Divide(found)
	files, err := fleet.Files(q.app)
	if err != nil {
		return err
	}
	if err := writeTree(q.out, files); err != nil {
		return err
	}
	answer := importAnswerOf(q, fleet, failed)
	if err := c.print(answer, answer.people); err != nil {
		return err
	}
	if len(failed) > 0 {
		return outcome(exitPartial)
	}
	return nil
}

// rows are the databases that are asked for.
func (q importing) rows() ([]adoption.Row, error) {
	if q.database != "" {
		return []adoption.Row{{ID: q.tenant, Name: q.tenant, URL: q.database}}, nil
	}
	if q.from == "-" {
		return adoption.ReadList(os.Stdin)
	}
	file, err := os.Open(q.from)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return adoption.ReadList(io.LimitReader(file, 1<<28)) // a million lines of 256 bytes
}

// toSurvey finds the databases that are asked for, and how they are read.
func (c *cli) toSurvey(ctx context.Context, q importing) ([]adoption.Row, *survey, error) {
	s := &survey{data: c.settings.Data, reader: adoption.NewReader()}
	s.read, s.once = s.readRow, s.onceARow
	if q.group != "" {
		return c.tursoGroup(ctx, q.group, s)
	}
	rows, err := q.rows()
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", q.from, err)
	}
	s.router, err = c.router(ctx, nil)
	return rows, s, err
}

// all reads the schemas of databases, those of one text once. What cannot be
// read is told and left out, and so is a file that an earlier row leads to.
func (s *survey) all(ctx context.Context, rows []adoption.Row) ([]adoption.Tenant, []importFailure, error) {
	results := make([]adoption.Tenant, len(rows))
	errs := make([]error, len(rows))
	var group errgroup.Group
	group.SetLimit(8)
	for i, row := range rows {
		group.Go(func() error {
			results[i], errs[i] = s.read(ctx, row)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	var found []adoption.Tenant
	var failed []importFailure
	for i, row := range rows {
		if errs[i] == nil {
			errs[i] = s.once(row)
		}
		if errs[i] != nil {
			failed = append(failed, importFailure{Tenant: optional(row.ID), URL: withoutQuery(row.URL), Error: whyLeftOut(errs[i])})
			continue
		}
		found = append(found, results[i])
	}
	return found, failed, nil
}

// survey reads databases that rows lead to.
type survey struct {
	data   string
	reader *adoption.Reader
	router *tenantrouter.Router // leads to servers
	taken  sync.Map             // by file, or database on a server: the row that leads to it

	read func(context.Context, adoption.Row) (adoption.Tenant, error)
	once func(adoption.Row) error // refuses a database that an earlier row leads to
}

func (s *survey) readRow(ctx context.Context, row adoption.Row) (adoption.Tenant, error) {
	if isServer(row.URL) {
		return s.readServer(ctx, row)
	}
	return s.readFile(ctx, row)
}

func (s *survey) onceARow(row adoption.Row) error {
	if isServer(row.URL) {
		return s.onceOnServer(row)
	}
	return s.onceAFile(row)
}

func (s *survey) readFile(ctx context.Context, row adoption.Row) (adoption.Tenant, error) {
	t := adoption.Tenant{ID: row.ID, Name: row.Name, Plan: row.Plan}
	path, url, err := locate(s.data, row.URL)
	if err != nil {
		return t, err
	}
	t.URL = url
	conn, err := libsql.Open(ctx, path, libsql.Options{ReadOnly: true})
	if err != nil {
		return t, err
	}
	t.Schema, err = s.reader.Read(ctx, conn)
	return t, errors.Join(err, conn.Close())
}

// onceAFile refuses a file that an earlier row leads to: two tenants cannot share it.
func (s *survey) onceAFile(row adoption.Row) error {
	path, _, err := locate(s.data, row.URL)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	key := fileKey(info)
	if other, taken := s.taken.LoadOrStore(key, row.ID); taken {
		return fmt.Errorf("it is the database of tenant %q as well", other)
	}
	return nil
}

// writeTree writes files below a directory that is new or empty: all of them,
// or none.
func writeTree(dir string, files map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("write %s: it is not empty: give a new directory", dir)
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	draft, err := os.MkdirTemp(parent, ".import-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	defer func() { _ = os.RemoveAll(draft) }() // of a draft that took its place nothing is left
	for name, text := range files {
		path := filepath.Join(draft, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)); err != nil {
			return fmt.Errorf("write %s: %w", dir, err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := errors.Join(os.Chmod(draft, 0o755), os.Rename(draft, dir)); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return nil
}
