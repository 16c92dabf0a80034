package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// Restoration is what the journal of a copy says once the copy takes the place
// of a tenant's database.
type Restoration struct {
	ID       string // of the journal row
	At       time.Time
	Author   string // who wants it
	Snapshot string // id of the copy
	Replaced Reading
}

// restored begins the BackTo of a journal row that says that a snapshot was
// restored; the snapshot's id follows.
const restored = "snapshot:"

// Restored returns the snapshot whose restore the row tells of, if it does.
func (e Entry) Restored() (snapshot string, ok bool) { return strings.CutPrefix(e.BackTo, restored) }

// Restore adds to the journal of a copy, in one transaction, the row that says
// that it was put back, and returns it. The row names the bundle, revision and
// fingerprint of the deployment that the copy was made after: a pass then finds
// the database settled, or drifted, as it was. What is retired in it begins its
// retention anew, so that the next pass does not drop what was restored. Who holds
// the tenant now holds it still, and one that is suspended stays so.
//
// A copy without a journal gives ErrUnknownDatabase.
func Restore(ctx context.Context, conn database.Conn, r Restoration) (Entry, error) {
	now, err := Read(ctx, conn)
	if err != nil {
		return Entry{}, err
	}
	if now.Record.Last == nil {
		return Entry{}, ErrUnknownDatabase
	}
	owned, err := schema.ParseOwned(now.Record.Owned)
	if err != nil {
		return Entry{}, err
	}
	e := *now.Record.Last
	e.Deployment, e.At, e.Author, e.BackTo = r.ID, r.At, r.Author, restored+r.Snapshot
	e.PreviousBundle, e.Plan, e.From = "", "", r.Replaced.Master.Fingerprint()
	if r.Replaced.Record.Last != nil {
		e.PreviousBundle = r.Replaced.Record.Last.Bundle
	}
	if _, err := conn.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return Entry{}, fmt.Errorf("begin: %w", err)
	}
	err = writeEntry(ctx, conn, e, plan.Text{Statements: "[]", WayBack: "[]", Undo: "[]"}, owned.RetiredNames())
	if err == nil {
		err = writeHold(ctx, conn, r.Replaced.Record.hold)
	}
	if err == nil {
		err = writeSuspended(ctx, conn, r.Replaced.Record.Suspended)
	}
	if err != nil {
		_, rollback := conn.Exec(context.WithoutCancel(ctx), "ROLLBACK")
		return Entry{}, errors.Join(err, rollback)
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		return Entry{}, fmt.Errorf("commit: %w", err)
	}
	return e, nil
}
