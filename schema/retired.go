package schema

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// retiredPrefix begins the name of everything that is kept after its
// definition has gone. It is reserved, so nobody else has such a name.
const retiredPrefix = "_retired_"

// maxRetiredName is the longest name that a retired column or table gets, in
// bytes. A longer one is cut and made unique again by a hash.
const maxRetiredName = 63

// RetiredColumn is a column that no definition has any more. It keeps its
// values under another name until its retention is over.
type RetiredColumn struct {
	Name    string   `json:"name"`              // _retired_<n>_<column>
	Column  string   `json:"column"`            // the name it had
	Form    Form     `json:"form"`              // as it was declared
	Indexes []string `json:"indexes,omitempty"` // text of its indexes, which are gone
	Found   bool     `json:"found,omitempty"`   // it was there before us
}

// RetiredTable is a table that no definition has any more. Its record is the
// one that it had; only its name is another.
type RetiredTable struct {
	OwnedTable
	Was     string   `json:"was"`               // the name it had
	Dropped []string `json:"dropped,omitempty"` // text of its indexes, which are gone
}

// Retirement gives the columns and tables of one database that are retired
// together their names.
type Retirement struct{ taken map[int]bool }

var retiredName = regexp.MustCompile(`(?i)^` + retiredPrefix + `([0-9]+)_`)

// NewRetirement returns a Retirement for a database with the tables given.
func NewRetirement(tables []Table) *Retirement {
	r := &Retirement{taken: map[int]bool{}}
	for _, t := range tables {
		r.take(t.Name)
		for _, c := range t.Columns {
			r.take(c.Name)
		}
	}
	return r
}

func (r *Retirement) take(name string) {
	if match := retiredName.FindStringSubmatch(name); match != nil {
		if n, err := strconv.Atoi(match[1]); err == nil {
			r.taken[n] = true
		}
	}
}

// Name returns the name that a column or table has once it is retired: with
// the lowest number that nothing else in the database has.
func (r *Retirement) Name(name string) string {
	n := 1
	for r.taken[n] {
		n++
	}
	r.taken[n] = true
	retired := fmt.Sprintf("%s%d_%s", retiredPrefix, n, name)
	if len(retired) <= maxRetiredName {
		return retired
	}
	sum := sha1.Sum([]byte(retired))
	hash := "_" + hex.EncodeToString(sum[:4])
	return strings.ToValidUTF8(retired[:maxRetiredName-len(hash)], "") + hash
}

// RetiredColumn returns the record of the column that is kept under a retired
// name in this table.
func (t OwnedTable) RetiredColumn(name string) (RetiredColumn, bool) {
	at := slices.IndexFunc(t.Retired, func(c RetiredColumn) bool { return strings.EqualFold(c.Name, name) })
	if at < 0 {
		return RetiredColumn{}, false
	}
	return t.Retired[at], true
}

// Former returns the retired column that had a name and holds values of the
// same affinity as a declared type; of several the one retired last.
func (t OwnedTable) Former(column, declared string) (RetiredColumn, bool) {
	for _, c := range slices.Backward(t.Retired) {
		if strings.EqualFold(c.Column, column) && Affinity(c.Form.Type) == Affinity(declared) {
			return c, true
		}
	}
	return RetiredColumn{}, false
}

// RetiredTable returns the record of the table that is kept under a retired
// name.
func (o Owned) RetiredTable(name string) (RetiredTable, bool) {
	at := slices.IndexFunc(o.Retired, func(t RetiredTable) bool { return strings.EqualFold(t.Name, name) })
	if at < 0 {
		return RetiredTable{}, false
	}
	return o.Retired[at], true
}

// RetiredNames lists the names under which something is kept, in byte order.
// What is retired in a table of an app that was uninstalled is left out: nobody
// changes such a table.
func (o Owned) RetiredNames() []string {
	var names []string
	columns := func(t OwnedTable) {
		for _, c := range t.Retired {
			names = append(names, c.Name)
		}
	}
	for _, t := range o.Tables {
		columns(t)
	}
	for _, t := range o.Retired {
		names = append(names, t.Name)
		columns(t.OwnedTable)
	}
	slices.Sort(names)
	return names
}

// HasRetired tells whether anything is retired by the text of a record, which
// is most of the time not worth reading for that.
func HasRetired(record string) bool { return strings.Contains(record, retiredPrefix) }

// RetiredDefinition is the definition that a column has once it is retired: the
// one it had without its NOT NULL, so that inserts which do not know the column
// work. Its default stays, and rows inserted meanwhile have it when the column
// comes back. It is empty when there is nothing to change.
//
// What the reconciler cannot lift is an error: a constraint that somebody else
// gave the column, and a NOT NULL in a definition with a comma, where libSQL's
// ALTER COLUMN would leave half of it behind (measured on 3.45.1).
func RetiredDefinition(table Table, column string) (string, error) {
	text, err := ColumnText(table.SQL, column)
	if err != nil {
		return "", err
	}
	tokens, err := meaningful(text)
	if err != nil {
		return "", err
	}
	parts := columnParts(tokens)
	for _, word := range []string{"UNIQUE", "CHECK", "PRIMARY", "REFERENCES", "GENERATED", "AS"} {
		if slices.ContainsFunc(tokens, func(t database.Token) bool { return t.Is(word) }) {
			return "", fmt.Errorf("its definition has %s, which is not ours to take away: %s", word, text)
		}
	}
	comma := strings.Contains(text, ",")
	switch {
	case parts.null == "", strings.EqualFold(parts.null, "NULL"), comma && parts.def != "":
		return "", nil // an insert that does not know the column gets NULL, or the default
	case comma:
		return "", fmt.Errorf("its NOT NULL cannot be lifted in place, because its definition has a comma: %s", text)
	}
	kept := slices.DeleteFunc([]string{parts.typ, parts.def, parts.rest}, func(s string) bool { return s == "" })
	return strings.Join(kept, " "), nil
}
