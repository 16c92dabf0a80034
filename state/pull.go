package state

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// Pull is what is known of a pull request beside what its forge has: what was
// posted there, and which words in it were heard.
type Pull struct {
	Project  string // of the forge
	Number   int
	Head     string       // commit that was previewed last
	Comment  int          // id of the comment; 0 for none
	Text     string       // digest of the comment's text
	PostedAt time.Time    // the comment, by the forge's clock
	Status   string       // digest of the commit and its status that was set last
	Since    time.Time    // comments that were not changed since then were read
	Answers  []PullAnswer // to commands, the oldest first
	Merged   string       // commit that it was merged as; empty while it is open
}

// PullAnswer is what came of a command in a pull request.
type PullAnswer struct {
	Key string    `json:"key"` // of the comment or the review
	At  time.Time `json:"at"`  // when that was changed last
	By  string    `json:"by"`  // login
	// Text says what came of it.
	Text string `json:"text"`
}

func (p *Pull) columns() []column {
	return []column{
		{"project", &p.Project},
		{"number", &p.Number},
		{"head", &p.Head},
		{"comment", &p.Comment},
		{"text", &p.Text},
		{"posted_at", &p.PostedAt},
		{"status", &p.Status},
		{"since", &p.Since},
		{"answers", &p.Answers},
		{"merged", &p.Merged},
	}
}

// SavePull keeps what is known of a pull request.
func (s *Store) SavePull(ctx context.Context, p Pull) error {
	return s.save(ctx, fmt.Sprintf("save pull request %d", p.Number), "REPLACE INTO pulls", p.columns())
}

// ForgetPull drops what is known of a pull request.
func (s *Store) ForgetPull(ctx context.Context, project string, number int) error {
	return s.write(ctx, fmt.Sprintf("forget pull request %d", number), database.Statement{
		SQL: "DELETE FROM pulls WHERE project = ? AND number = ?", Args: []any{project, int64(number)},
	})
}

// Pulls returns the pull requests of a project, by number.
func (s *Store) Pulls(ctx context.Context, project string) ([]Pull, error) {
	return read(ctx, s, "read pull requests", (*Pull).columns, database.Statement{
		SQL: selection("pulls", new(Pull).columns()) + "WHERE project = ? ORDER BY number", Args: []any{project},
	})
}
