package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// tag is a tag of an app's version and the commit it was at.
type tag struct {
	name, revision string
	recordedAt     time.Time
}

func (t *tag) columns() []column {
	return []column{{"tag", &t.name}, {"revision", &t.revision}, {"recorded_at", &t.recordedAt}}
}

// SaveTags records the commits, by tag, that app versions were deployed from,
// all in one transaction. A tag that is recorded already keeps its commit: what
// it moved to since is never deployed.
func (s *Store) SaveTags(ctx context.Context, commits map[string]string) error {
	if len(commits) == 0 {
		return nil
	}
	doing := fmt.Sprintf("save %d tags", len(commits))
	var statements []database.Statement
	for _, name := range slices.Sorted(maps.Keys(commits)) {
		statement, err := insertion("INSERT INTO tags", (&tag{name, commits[name], s.now()}).columns())
		if err != nil {
			return explain(s.path, doing, err)
		}
		statement.SQL += " ON CONFLICT (tag) DO NOTHING"
		statements = append(statements, statement)
	}
	return s.write(ctx, doing, statements...)
}

// Tags returns the commits that SaveTags recorded, by tag. It is empty, and
// not nil, when there are none.
func (s *Store) Tags(ctx context.Context) (map[string]string, error) {
	list, err := read(ctx, s, "read tags", (*tag).columns, database.Statement{SQL: selection("tags", new(tag).columns())})
	if err != nil {
		return nil, err
	}
	commits := make(map[string]string, len(list))
	for _, t := range list {
		commits[t.name] = t.revision
	}
	return commits, nil
}
