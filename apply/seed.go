package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
)

// SeedSkip is the seed mode that leaves out the records that cannot be
// loaded. In every other mode one of them fails the deployment.
const SeedSkip = "skip"

// seed loads the plan's records. A constraint undoes the statement that broke
// it and nothing else, so that one deployment finds every record that cannot
// be loaded.
func (r *runner) seed(ctx context.Context) error {
	strict := r.plan.SeedMode != SeedSkip
	issues := slices.Clone(r.plan.SeedIssues)
	if strict && plan.Refusals(issues) != nil {
		return &SeedError{Issues: plan.Refusals(issues)}
	}
	if len(r.plan.Seeds) > 0 {
		if _, err := r.conn.Exec(ctx, seedTable); err != nil {
			return fmt.Errorf("create the record of seed data: %w", err)
		}
	}
	loaded, refused := map[string]bool{}, map[string]bool{}
	for _, s := range r.plan.Seeds {
		record := fmt.Sprintf("%s %d", s.Set, s.Record)
		if refused[record] {
			continue // what waited until the end of a record that is not there
		}
		did, err := load(ctx, r.conn, s)
		if err != nil {
			return fmt.Errorf("seed %s record %d: %w", s.Set, s.Record+1, err)
		}
		issues = append(issues, did.issues...)
		if did.written {
			loaded[record] = true
		}
		if did.image != nil {
			r.images = append(r.images, *did.image)
		}
		if plan.Refusals(did.issues) != nil {
			refused[record] = true
			if err := r.inTransaction(ctx); err != nil {
				return fmt.Errorf("seed %s record %d: %w", s.Set, s.Record+1, err)
			}
		}
	}
	if strict && plan.Refusals(issues) != nil {
		return &SeedError{Issues: plan.Refusals(issues)}
	}
	r.outcome.Seeded, r.outcome.SeedIssues = len(loaded), issues
	return nil
}

// inTransaction makes sure that a failed statement has not ended the
// transaction: a trigger of somebody else's may RAISE(ROLLBACK), and whatever
// came after would be committed statement by statement.
func (r *runner) inTransaction(ctx context.Context) error {
	results, err := r.conn.Batch(ctx, []database.Step{{
		Statement: database.Statement{SQL: "SELECT 1"}, When: &database.Condition{IsAutocommit: true},
	}})
	if err != nil {
		return err
	}
	if !results[0].Skipped {
		return errors.New("the failed statement has ended the transaction")
	}
	return nil
}

// loading is what one statement of a record did.
type loading struct {
	written bool
	image   *image // of the row that was written
	issues  []plan.SeedIssue
}

// load runs one statement of a seed set. Its error is not the record's fault.
func load(ctx context.Context, conn database.Conn, s plan.Seed) (loading, error) {
	found, err := conn.Query(ctx, s.Find)
	if err != nil || len(found.Values) == 0 {
		return loading{}, err
	}
	var did loading
	if did.issues, err = unresolved(ctx, conn, s); err != nil || plan.Refusals(did.issues) != nil {
		return did, err
	}
	changed, err := conn.Exec(ctx, s.SQL)
	var broken *database.ConstraintError
	switch {
	case errors.As(err, &broken):
		did.issues = append(did.issues, constraintIssue(s, broken))
		return did, nil
	case err != nil:
		return did, err
	case changed == 0:
		return did, nil
	}
	did.written = true
	before, noted := found.Values[0], database.Rows{}
	if before[0] != nil {
		if noted, err = conn.Query(ctx, noteQuery, s.Object, s.Key); err != nil {
			return did, err
		}
	}
	if _, err = conn.Exec(ctx, s.Note); err != nil {
		return did, err
	}
	did.image, err = imageOf(ctx, conn, s, before, noted)
	return did, err
}

// unresolved asks for the rows that a record refers to.
func unresolved(ctx context.Context, conn database.Conn, s plan.Seed) ([]plan.SeedIssue, error) {
	var issues []plan.SeedIssue
	for _, reference := range s.References {
		rows, err := conn.Query(ctx, reference.SQL)
		if err != nil {
			return nil, err
		}
		if rows.Values[0][0] == nil {
			issue := issueOf(s, reference.Field, reference.Missing)
			issue.Warning = !reference.Required
			issues = append(issues, issue)
		}
	}
	return issues, nil
}

func constraintIssue(s plan.Seed, broken *database.ConstraintError) plan.SeedIssue {
	fields := make([]string, len(broken.Columns))
	for i, column := range broken.Columns {
		if fields[i] = s.Fields[column]; fields[i] == "" {
			fields[i] = column
		}
	}
	message := broken.Error()
	switch broken.Kind {
	case "unique", "primarykey":
		message = "another row has the same value, which must be unique"
	case "notnull":
		message = "the field is required and would have no value"
	}
	return issueOf(s, strings.Join(fields, ", "), message)
}

func issueOf(s plan.Seed, field, message string) plan.SeedIssue {
	return plan.SeedIssue{Set: s.Set, Object: s.Object, Record: s.Record, Key: s.Key, Field: field, Message: message}
}
