package apply

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// Format is the version of the tables below. A database with a higher one was
// written by a newer reconciler and is left alone.
const Format = 1

// The reconciler's own tables in a tenant's database. The journal is the
// truth about the tenant: whether a deployment committed is whether it has a
// row here.
var ownTables = []string{
	`CREATE TABLE _reconciler_journal (
 seq INTEGER PRIMARY KEY,
 deployment TEXT NOT NULL UNIQUE,
 at TEXT NOT NULL,
 revision TEXT NOT NULL,
 author TEXT NOT NULL,
 bundle TEXT NOT NULL,
 previous_bundle TEXT NOT NULL,
 plan TEXT NOT NULL,
 from_fingerprint TEXT NOT NULL,
 to_fingerprint TEXT NOT NULL,
 schema_digest TEXT NOT NULL,
 retired TEXT NOT NULL,
 back_to TEXT NOT NULL,
 statements TEXT NOT NULL,
 way_back TEXT NOT NULL,
 undo TEXT NOT NULL,
 images TEXT NOT NULL
)`,
	`CREATE TABLE _reconciler_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
}

// seedTable remembers what seed data wrote. It is made for the first of it.
const seedTable = `CREATE TABLE IF NOT EXISTS _reconciler_seed (
 object TEXT NOT NULL,
 key TEXT NOT NULL,
 written TEXT NOT NULL,
 PRIMARY KEY (object, key)
) WITHOUT ROWID`

func createTables(ctx context.Context, conn database.Conn) error {
	for _, sql := range ownTables {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("create the journal: %w", err)
		}
	}
	return nil
}

// Owner is whom a database belongs to.
type Owner struct {
	Fleet       string `json:"fleet"`
	Environment string `json:"environment"`
	Tenant      string `json:"tenant"`
}

func (o Owner) check(claims Owner) error {
	if o == claims {
		return nil
	}
	return fmt.Errorf("%w: it is tenant %q of fleet %q (%s), not tenant %q of fleet %q (%s)",
		ErrOwnedElsewhere, o.Tenant, o.Fleet, o.Environment, claims.Tenant, claims.Fleet, claims.Environment)
}

// Record is what a tenant's database says about itself. The zero Record is
// that of a database without a journal.
type Record struct {
	Owner       Owner
	Owned       string             // schema.Owned as JSON
	Applied     string             // applied digest
	Registered  string             // the definitions that are ours, see plan.Registered
	SeedDigests map[string]string  // by seed set
	Policy      string             // plan policy of the last deployment
	Verified    Verified           // see SaveVerified
	Apps        string             // Apps as JSON; empty where none were recorded yet
	Retired     map[string]Retired // by retired name
	Suspended   string             // since when the database is read-only, see Suspend; empty when it is not
	Last        *Entry             // newest journal row

	hold string // see SaveHold
}

// Retired says when a column or table was retired, and by which deployment.
// What it was is in Record.Owned.
type Retired struct {
	Deployment string    `json:"deployment"`
	At         time.Time `json:"at"`
}

// Due lists the retired names, in byte order, whose retention is over at a
// time.
func (r Record) Due(retention time.Duration, now time.Time) []string {
	var due []string
	for name, retired := range r.Retired {
		if !now.Before(retired.At.Add(retention)) {
			due = append(due, name)
		}
	}
	slices.Sort(due)
	return due
}

// Entry is one journal row: one deployment that committed. Statements, WayBack
// and Undo are left out of Record.Last.
type Entry struct {
	Deployment     string
	At             time.Time
	Revision       string
	Author         string
	Bundle         string
	PreviousBundle string
	Plan           string
	From, To       string // fingerprints
	SchemaDigest   string
	BackTo         string // of a rollback: the deployment that it went back to; see Restored
	Statements     []string
	WayBack        []string
	Undo           []plan.Undo // the definitions that it changed, as they were

	images []image
}

// Reading is what a database was seen to be at one moment.
type Reading struct {
	Master schema.Master
	Record Record

	version int64
}

// What Read asks of a database with a journal.
const (
	metaQuery = "SELECT key, value FROM _reconciler_meta"
	noTexts   = "'[]', '[]', '[]', '[]'"
	newest    = "ORDER BY seq DESC LIMIT 1"
)

// Readings are the queries of Read, for a connection that asks them together.
func Readings() []string {
	return []string{schema.MasterQuery, metaQuery, entriesQuery(noTexts, newest)}
}

func entriesQuery(texts, order string) string {
	return `SELECT deployment, at, revision, author, bundle, previous_bundle, plan,
 from_fingerprint, to_fingerprint, schema_digest, back_to, ` + texts + ` FROM _reconciler_journal ` + order
}

// Read reads the schema of conn and what it says about itself. A journal of a
// higher Format gives ErrNewerJournal.
func Read(ctx context.Context, conn database.Conn) (Reading, error) {
	var r Reading
	var err error
	if !database.Remote(conn) {
		if r.version, err = dataVersion(ctx, conn); err != nil {
			return r, err
		}
	}
	if r.Master, err = schema.ReadMaster(ctx, conn); err != nil {
		return r, err
	}
	r.Record, err = readRecord(ctx, conn, r.Master)
	return r, err
}

// current tells that nobody has committed since: the engine gives conn another
// version as soon as another connection has (sqlite.org/pragma.html,
// data_version), and conn itself has written nothing.
// A server gives no such version.
func (r Reading) current(ctx context.Context, conn database.Conn) (bool, error) {
	if database.Remote(conn) {
		return false, nil
	}
	version, err := dataVersion(ctx, conn)
	return version == r.version, err
}

// Alone tells that the file of conn holds all that was committed, and that
// nobody but conn has committed since r was read: stamp, which is called when
// the log has been written back, has then looked at what conn has left.
func (r Reading) Alone(ctx context.Context, conn database.Conn, stamp func() error) (bool, error) {
	if database.Remote(conn) {
		return false, nil // there is no file
	}
	rows, err := conn.Query(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	if err != nil {
		return false, fmt.Errorf("write the log back: %w", err)
	}
	if row := rows.Values[0]; row[0] != int64(0) || row[1] != row[2] {
		return false, nil // somebody reads what was there before
	}
	if err := stamp(); err != nil {
		return false, err
	}
	return r.current(ctx, conn)
}

func dataVersion(ctx context.Context, conn database.Conn) (int64, error) {
	rows, err := conn.Query(ctx, "PRAGMA data_version")
	if err != nil {
		return 0, fmt.Errorf("read the version of the data: %w", err)
	}
	version, _ := rows.Values[0][0].(int64)
	return version, nil
}

// readRecord reads what conn says about itself. master tells whether there is
// anything to read.
func readRecord(ctx context.Context, conn database.Conn, master schema.Master) (Record, error) {
	if !master.Reconciled {
		return Record{}, nil
	}
	rows, err := conn.Query(ctx, metaQuery)
	if err != nil {
		return Record{}, fmt.Errorf("read the database's record: %w", err)
	}
	meta := map[string]string{}
	for _, row := range rows.Values {
		meta[str(row[0])] = str(row[1])
	}
	if format := meta["format"]; format != fmt.Sprint(Format) {
		return Record{}, fmt.Errorf("%w: its format is %q, ours is %d; upgrade this reconciler", ErrNewerJournal, format, Format)
	}
	record := Record{
		Owner:       Owner{Fleet: meta["fleet"], Environment: meta["environment"], Tenant: meta["tenant"]},
		Owned:       meta["owned"],
		Applied:     meta["applied"],
		Registered:  meta["registered"],
		Policy:      meta["policy"],
		Verified:    parseVerified(meta["verified"]),
		hold:        meta["hold"],
		Apps:        meta["apps"],
		Suspended:   meta[suspendedKey],
		SeedDigests: map[string]string{},
	}
	if err := json.Unmarshal([]byte(meta["seeds"]), &record.SeedDigests); err != nil {
		return Record{}, fmt.Errorf("read the database's record of seeds: %w", err)
	}
	entries, err := readEntries(ctx, conn, noTexts, newest)
	if err != nil {
		return Record{}, err
	}
	if len(entries) == 0 {
		return Record{}, fmt.Errorf("read the database's record: %w", ErrEmptyJournal)
	}
	record.Last = &entries[0]
	record.Retired, err = readRetired(ctx, conn, record.Owned)
	return record, err
}

// readRetired finds the deployment that retired each name: the newest that
// says so, because a name that is free again is given anew.
func readRetired(ctx context.Context, conn database.Conn, owned string) (map[string]Retired, error) {
	if !schema.HasRetired(owned) {
		return nil, nil
	}
	record, err := schema.ParseOwned(owned)
	if err != nil {
		return nil, err
	}
	names := record.RetiredNames()
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := conn.Query(ctx, "SELECT deployment, at, retired FROM _reconciler_journal WHERE retired <> '[]' ORDER BY seq")
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	retired := map[string]Retired{}
	for _, row := range rows.Values {
		at, err := time.Parse(time.RFC3339Nano, str(row[1]))
		var given []string
		if err := errors.Join(err, json.Unmarshal([]byte(str(row[2])), &given)); err != nil {
			return nil, fmt.Errorf("read the journal: deployment %s: %w", str(row[0]), err)
		}
		for _, name := range given {
			if slices.Contains(names, name) {
				retired[name] = Retired{Deployment: str(row[0]), At: at}
			}
		}
	}
	return retired, nil
}

// Journal returns the whole journal, oldest first. A database without one
// gives an empty journal.
func Journal(ctx context.Context, conn database.Conn) ([]Entry, error) {
	master, err := schema.ReadMaster(ctx, conn)
	if err != nil || !master.Reconciled {
		return nil, err
	}
	return readEntries(ctx, conn, "statements, way_back, undo, images", "ORDER BY seq")
}

// readEntries reads journal rows; texts are the columns that may be large.
func readEntries(ctx context.Context, conn database.Conn, texts, order string) ([]Entry, error) {
	rows, err := conn.Query(ctx, entriesQuery(texts, order))
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	entries := make([]Entry, 0, len(rows.Values))
	for _, row := range rows.Values {
		at, err := time.Parse(time.RFC3339Nano, str(row[1]))
		if err != nil {
			return nil, fmt.Errorf("read the journal: deployment %s: %w", str(row[0]), err)
		}
		e := Entry{
			Deployment: str(row[0]), At: at, Revision: str(row[2]), Author: str(row[3]), Bundle: str(row[4]),
			PreviousBundle: str(row[5]), Plan: str(row[6]), From: str(row[7]), To: str(row[8]), SchemaDigest: str(row[9]),
			BackTo: str(row[10]),
		}
		err = errors.Join(json.Unmarshal([]byte(str(row[11])), &e.Statements), json.Unmarshal([]byte(str(row[12])), &e.WayBack),
			json.Unmarshal([]byte(str(row[13])), &e.Undo), json.Unmarshal([]byte(str(row[14])), &e.images))
		if err != nil {
			return nil, fmt.Errorf("read the journal: deployment %s: %w", e.Deployment, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// writeMeta records who owns the database and what is ours in it.
func (r *runner) writeMeta(ctx context.Context) error {
	p, owner := r.plan, r.deployment.Owner
	seeds, err := json.Marshal(p.SeedDigests)
	if err != nil {
		return fmt.Errorf("record seeds: %w", err)
	}
	if p.SeedDigests == nil {
		seeds = []byte("{}")
	}
	if r.first { // later ones start from a check that these are so
		_, err = r.conn.Exec(ctx, "INSERT INTO _reconciler_meta (key, value) VALUES ('format', ?), ('fleet', ?), ('environment', ?), ('tenant', ?)",
			fmt.Sprint(Format), owner.Fleet, owner.Environment, owner.Tenant)
		if err != nil {
			return fmt.Errorf("record whose the database is: %w", err)
		}
	}
	_, err = r.conn.Exec(ctx, `REPLACE INTO _reconciler_meta (key, value) VALUES
 ('owned', ?), ('registered', ?), ('seeds', ?), ('applied', ?), ('policy', ?), ('apps', ?)`,
		p.Owned, p.Registered, string(seeds), p.Applied, p.Policy, cmp.Or(r.deployment.Apps, "[]"))
	if err != nil {
		return fmt.Errorf("record what is ours: %w", err)
	}
	if !r.deployment.Unverified {
		return nil
	}
	return SaveVerified(ctx, r.conn, Verified{Deployment: r.deployment.ID})
}

// journal adds the row that says that this deployment committed.
func (r *runner) journal(ctx context.Context) error {
	d := r.deployment
	return writeEntry(ctx, r.conn, Entry{
		Deployment: d.ID, At: d.At, Revision: d.Revision, Author: d.Author, Bundle: r.plan.Bundle, PreviousBundle: d.PreviousBundle,
		Plan: r.plan.Digest, From: r.plan.From, To: r.plan.To, SchemaDigest: r.plan.ToSchema, BackTo: d.BackTo,
		images: r.images,
	}, r.plan.Text(), r.plan.Retired)
}

// writeEntry adds a row to the journal, with the text of its plan in place of
// the lists of e; retired are the names that it gave, or gave anew.
func writeEntry(ctx context.Context, conn database.Conn, e Entry, text plan.Text, retired []string) error {
	_, err := conn.Exec(ctx, `INSERT INTO _reconciler_journal (deployment, at, revision, author, bundle, previous_bundle, plan,
 from_fingerprint, to_fingerprint, schema_digest, retired, back_to, statements, way_back, undo, images) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Deployment, e.At.UTC().Format("2006-01-02T15:04:05.000Z"), e.Revision, e.Author, e.Bundle, e.PreviousBundle, e.Plan,
		e.From, e.To, e.SchemaDigest, list(retired), e.BackTo, text.Statements, text.WayBack, text.Undo, list(e.images))
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// list writes one of the journal's lists as JSON; nil is the empty list.
func list[T string | image](values []T) string {
	if values == nil {
		values = []T{}
	}
	text, err := json.Marshal(values)
	if err != nil {
		panic("the journal's lists cannot be marshalled: " + err.Error()) // text and the database's own JSON
	}
	return string(text)
}

func str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}
