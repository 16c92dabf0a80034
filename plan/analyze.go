package plan

import (
	"context"
	"fmt"

	"ariga.io/atlas/sql/migrate"
	atlas "ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlcheck"
	"ariga.io/atlas/sql/sqlclient"
	"ariga.io/atlas/sql/sqlite"
	_ "ariga.io/atlas/sql/sqlite/sqlitecheck" // registers the analyzers of SQLite

	"github.com/tenantops/reconciler/schema"
)

// analyze says what Atlas's analyzers find in the changes of a plan, under
// their codes (atlasgo.io/lint/analyzers). They judge the definitions, not what
// the plan does about them: a column that is retired is one that is dropped to
// them, and a pre-check asks about rows that they can only warn of.
func analyze(in Input) ([]Warning, error) {
	from, to := schema.Atlas(in.Diff.Managed), schema.Atlas(in.Diff.Target)
	changes, err := sqlite.DefaultDiff.SchemaDiff(from, to)
	if err != nil {
		return nil, fmt.Errorf("analyze plan: %w", err)
	}
	file := &sqlcheck.File{File: migrate.NewLocalFile("plan.sql", nil), From: atlas.NewRealm(from), To: atlas.NewRealm(to), Sum: changes}
	for i, c := range changes {
		file.Changes = append(file.Changes, &sqlcheck.Change{Changes: atlas.Changes{c}, Stmt: &migrate.Stmt{Pos: i}})
	}
	analyzers, err := sqlcheck.AnalyzerFor(sqlite.DriverName, nil)
	if err != nil {
		return nil, fmt.Errorf("analyze plan: %w", err)
	}
	var found findings
	pass := &sqlcheck.Pass{File: file, Dev: &sqlclient.Client{Name: sqlite.DriverName}, Reporter: &found}
	for _, a := range analyzers {
		// One that finds something destructive says so with an error as well,
		// and must not keep the others from looking.
		_ = a.Analyze(context.Background(), pass)
	}
	return found.warnings(in), nil
}

// findings collects what analyzers report.
type findings []sqlcheck.Diagnostic

// WriteReport implements sqlcheck.ReportWriter.
func (f *findings) WriteReport(r sqlcheck.Report) { *f = append(*f, r.Diagnostics...) }

// Codes of the analyzers that warn of rows that go.
const (
	droppedTable  = "DS102"
	droppedColumn = "DS103"
)

func (f findings) warnings(in Input) []Warning {
	var warnings []Warning
	for _, d := range f {
		message := d.Text
		if in.Retire && (d.Code == droppedTable || d.Code == droppedColumn) {
			message += "; it is retired, and keeps its rows for the retention"
		}
		warnings = append(warnings, Warning{Code: d.Code, Message: message})
	}
	return warnings
}
