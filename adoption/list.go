package adoption

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// Row is a line of a list of databases.
type Row struct {
	Line       int
	ID, URL    string
	Name, Plan string
	AuthToken  string // reference to the secret of a database on a server
}

// tenantID is what the name of a tenant's directory may be.
var tenantID = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)

// CheckID tells whether an id can be a tenant's, and the name of a directory.
func CheckID(id string) error {
	if !tenantID.MatchString(id) {
		return fmt.Errorf("%q is not a tenant's id: use a-z, 0-9 and hyphens inside, at most 63", id)
	}
	return nil
}

// maxRows bounds a list; a fleet has at most a tenth of it.
const maxRows = 1_000_000

// ReadList reads lines of id,url[,name[,plan[,authToken]]]. A first line that begins with
// the word id is a header. Its error has every fault, with the line.
func ReadList(r io.Reader) ([]Row, error) {
	lines := csv.NewReader(r)
	lines.FieldsPerRecord, lines.TrimLeadingSpace, lines.ReuseRecord = -1, true, true
	var rows []Row
	var wrong []error
	first := map[string]int{}
	for {
		record, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err // a quote that is not closed: nothing after it can be trusted
		}
		line, _ := lines.FieldPos(0)
		if len(rows) == 0 && len(wrong) == 0 && strings.EqualFold(strings.TrimSpace(record[0]), "id") {
			continue
		}
		row, err := rowOf(line, record)
		if err == nil && first[row.ID] > 0 {
			err = fmt.Errorf("%q is in line %d already", row.ID, first[row.ID])
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", line, err))
			continue
		}
		first[row.ID] = line
		if rows = append(rows, row); len(rows) > maxRows {
			return nil, fmt.Errorf("the list has more than %d lines", maxRows)
		}
	}
	if len(rows) == 0 && len(wrong) == 0 {
		wrong = append(wrong, errors.New("the list is empty: write lines of id,url[,name[,plan[,authToken]]]"))
	}
	return rows, errors.Join(wrong...)
}

func rowOf(line int, record []string) (Row, error) {
	for i := range record {
		record[i] = strings.TrimSpace(record[i])
	}
	if len(record) < 2 || len(record) > 5 {
		return Row{}, fmt.Errorf("it has %d values: write id,url[,name[,plan[,authToken]]]", len(record))
	}
	row := Row{Line: line, ID: record[0], URL: record[1], Name: record[0]}
	if len(record) > 2 && record[2] != "" {
		row.Name = record[2]
	}
	if len(record) > 3 {
		row.Plan = record[3]
	}
	if len(record) > 4 {
		row.AuthToken = record[4]
	}
	if row.AuthToken != "" && !config.Secret(row.AuthToken).Valid() {
		return row, errors.New("its authToken is no reference to a secret: write $env:, $file: or $age: with it") // and is not repeated
	}
	if row.Plan != "" && !slices.Contains(protocol.TenantPlan("").Values(), row.Plan) {
		return row, fmt.Errorf("%q is no plan: write %s", row.Plan, strings.Join(protocol.TenantPlan("").Values(), ", "))
	}
	return row, CheckID(row.ID)
}
