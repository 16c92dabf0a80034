package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// Verified is which deployment of a database is verified, and by which queries.
// A deployment with queries is committed with none; theirs are written when
// they have given no row. So what a process has left that died in between is
// verified by the next one.
type Verified struct {
	Deployment string
	Queries    string // digest of them; empty for a deployment that waits for them
}

// SaveVerified records in the database what was verified.
func SaveVerified(ctx context.Context, conn database.Conn, v Verified) error {
	_, err := conn.Exec(ctx, `INSERT INTO _reconciler_meta (key, value) VALUES ('verified', ?)
 ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value`, v.Deployment+" "+v.Queries)
	if err != nil {
		return fmt.Errorf("record the verification: %w", err)
	}
	return nil
}

func parseVerified(text string) Verified {
	deployment, queries, _ := strings.Cut(text, " ")
	return Verified{Deployment: deployment, Queries: queries}
}
