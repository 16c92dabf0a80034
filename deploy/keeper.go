package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/internal/transfer"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
)

// SnapshotPolicy says when a tenant's database is copied before a deployment,
// and how many copies are kept. The zero value makes none.
type SnapshotPolicy struct {
	Keep     int   // of each tenant; 0 makes none at all
	MaxBytes int64 // of all tenants together
}

// risksRows tells whether a plan puts rows at stake, so that a copy is wanted
// first. What its steps do counts, not the names of their classes: a statement
// that writes every row of a table or drops values, a table that goes, and a
// constraint that rows which are there may break. Renaming and retiring are a
// rewrite or destructive by class, touch no row and take constant time. An
// additive plan fills only columns of its own.
func risksRows(p *plan.Plan) bool {
	for i, s := range p.Steps {
		drops := strings.HasPrefix(p.Migration.Statements[i].SQL, "DROP TABLE ")
		if s.Class >= diff.Rewrite && (s.Copies || drops) || s.Class == diff.Narrowing {
			return true
		}
	}
	return false
}

// SnapshotSizeError says that the copy of a database would be larger than all
// copies together may be. Nothing is deployed without the copy.
type SnapshotSizeError struct{ Size, MaxBytes int64 }

func (e *SnapshotSizeError) Error() string {
	return fmt.Sprintf("the plan puts rows at stake, and the snapshot to be taken first would have %d bytes: all snapshots together may have %d",
		e.Size, e.MaxBytes)
}

// Reason and Next explain the error in a tenant's status.
func (e *SnapshotSizeError) Reason() string { return reason.SnapshotTooLarge }

// Next says what to do about it.
func (e *SnapshotSizeError) Next() string {
	return "raise snapshots.maxBytes in fleet.yaml, or set snapshots.keep: 0 to deploy without snapshots; a rollback has --no-snapshot"
}

// keeper takes and keeps the snapshots of one Deployer.
type keeper struct {
	Snapshots
	log *slog.Logger

	mu   sync.Mutex
	held map[string]bool // by path: of deployments under way, which are not pruned
}

// prepare returns where the snapshot of a deployment belongs, empty when it
// gets none. The caller calls release when the deployment has ended.
func (k *keeper) prepare(ctx context.Context, conn database.Conn, r Request, a Assessment, deployment string) (string, error) {
	if k.Dir == "" || r.Snapshots.Keep == 0 || a.seen.Master.Empty() || !risksRows(a.Plan) {
		return "", nil
	}
	size, err := size(ctx, conn)
	if err != nil {
		return "", err
	}
	if size > r.Snapshots.MaxBytes {
		return "", &SnapshotSizeError{Size: size, MaxBytes: r.Snapshots.MaxBytes}
	}
	tenant := protocol.TenantID(r.Owner.Tenant)
	if err := k.removeParts(tenant); err != nil {
		return "", err
	}
	path := k.path(tenant, deployment)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held == nil {
		k.held = map[string]bool{}
	}
	k.held[path] = true
	return path, nil
}

// size is how many bytes of a database a copy would have: unused pages are left
// out of one.
func size(ctx context.Context, conn database.Conn) (int64, error) {
	rows, err := conn.Query(ctx, `SELECT (page_count - freelist_count) * page_size
 FROM pragma_page_count, pragma_freelist_count, pragma_page_size`)
	if err != nil {
		return 0, fmt.Errorf("measure the database: %w", err)
	}
	n, _ := rows.Values[0][0].(int64)
	return n, nil
}

// take makes the snapshot of a database on a server, by reading it in one
// transaction: no server gives a copy to a statement. Nobody keeps others from
// writing between it and the deployment, so what they write then is not in it.
// It returns what apply is left to make: nothing then, and for a file, which is
// copied at the moment of the lock, all.
func (k *keeper) take(ctx context.Context, conn database.Conn, path string) (string, error) {
	if path == "" || !database.Remote(conn) {
		return path, nil
	}
	part := path + apply.PartSuffix
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = transfer.Copy(ctx, conn, part)
	}
	if err == nil {
		err = errors.Join(os.Chmod(part, 0o600), libsql.Place(part, path))
	}
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil, errors.Is(err, database.ErrAway), errors.Is(err, database.ErrBusy):
		return "", err // which is not about the copy
	}
	return "", fmt.Errorf("%w: %w", apply.ErrSnapshot, err)
}

// discard removes what take has made, after a deployment that gave an error,
// unless that hides whether it has committed. What is kept in doubt goes like
// any other, when it is beyond the policy.
func (k *keeper) discard(ctx context.Context, conn database.Conn, path string, failed error) error {
	doubtful := ctx.Err() != nil || errors.Is(failed, database.ErrAway)
	if path == "" || !database.Remote(conn) || doubtful {
		return nil
	}
	return os.Remove(path)
}

// release ends the hold of a deployment on its snapshot. After one that
// committed what is beyond the policy goes; that it could not be removed is
// told to the log alone, since the deployment is done.
func (k *keeper) release(path string, policy SnapshotPolicy, tenant protocol.TenantID, committed bool) {
	if path == "" {
		return
	}
	if committed {
		if err := k.prune(policy, tenant); err != nil {
			k.log.Warn("snapshots not pruned", logTenant, string(tenant), logErr, err)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.held, path)
}

// Names of what the log has.
const (
	logTenant = "tenant"
	logErr    = "err"
)

// prune removes a tenant's oldest snapshots beyond the number to keep, and then
// the oldest of all tenants beyond the size.
func (k *keeper) prune(policy SnapshotPolicy, tenant protocol.TenantID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, err := k.List("")
	if err != nil {
		return err
	}
	own, total := 0, int64(0)
	for _, s := range all {
		total += s.Size
		if s.Tenant == tenant {
			own++
		}
	}
	slices.SortStableFunc(all, func(a, b Snapshot) int { return strings.Compare(a.ID, b.ID) })
	for _, s := range all {
		surplus := s.Tenant == tenant && own > policy.Keep
		if k.held[s.Path] || !surplus && total <= policy.MaxBytes {
			continue
		}
		if err := s.remove(); err != nil {
			return err
		}
		total -= s.Size
		if s.Tenant == tenant {
			own--
		}
	}
	return nil
}
