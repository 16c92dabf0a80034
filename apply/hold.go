package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// Hold is what a tenant's database knows of somebody who keeps it as it is, so
// that a lost state can tell of it again. What counts until then is the one in
// state.
type Hold struct {
	Owner  string    `json:"owner"`
	Via    string    `json:"via"`
	Reason string    `json:"reason"`
	SetAt  time.Time `json:"setAt"`
	Until  time.Time `json:"until,omitzero"` // zero for until it is released
}

// SaveHold records a hold in the database of a tenant, in place of the one that
// is there; nil records that there is none. A database without a journal gives
// ErrUnknownDatabase, and another tenant's ErrOwnedElsewhere.
func SaveHold(ctx context.Context, conn database.Conn, tenant string, h *Hold) error {
	seen, err := Read(ctx, conn)
	switch {
	case err != nil:
		return err
	case seen.Record.Last == nil:
		return ErrUnknownDatabase
	case seen.Record.Owner.Tenant != tenant:
		return fmt.Errorf("%w: it is tenant %q", ErrOwnedElsewhere, seen.Record.Owner.Tenant)
	}
	text := ""
	if h != nil {
		written, err := json.Marshal(h)
		if err != nil {
			return fmt.Errorf("record the hold: %w", err)
		}
		text = string(written)
	}
	return writeHold(ctx, conn, text)
}

func writeHold(ctx context.Context, conn database.Conn, text string) error {
	sql, args := "DELETE FROM _reconciler_meta WHERE key = 'hold'", []any{}
	if text != "" {
		sql, args = "REPLACE INTO _reconciler_meta (key, value) VALUES ('hold', ?)", []any{text}
	}
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("record the hold: %w", err)
	}
	return nil
}

// Hold reads what SaveHold wrote, nil for none.
func (r Record) Hold() (*Hold, error) {
	if r.hold == "" {
		return nil, nil
	}
	h := &Hold{}
	if err := json.Unmarshal([]byte(r.hold), h); err != nil {
		return nil, fmt.Errorf("read the hold in the database: %w", err)
	}
	return h, nil
}
