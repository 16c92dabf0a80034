package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/schema"
)

// Limits of a field have no constraint in the table: it is the runtime that
// refuses to save a record which is over one. A record that was saved before
// the limit became narrower cannot be saved again, whatever is changed in it,
// so such rows are asked for, and the policy about narrowing decides.
//
// Rows with an option that has gone are counted and stand in no way: options
// come and go in every history that we know, and old records keep theirs.

// checkLimits adds a pre-check for each limit that is narrower than it was.
func (b *builder) checkLimits() {
	if b.in.AnyLimit {
		return
	}
	for _, t := range b.in.Desired {
		before, after, ok := b.objects(t)
		if !ok {
			continue
		}
		live := b.liveStructure(b.liveTable(t.Name))
		for _, column := range t.Columns {
			field, there := after[strings.ToLower(column.Name)]
			old := b.liveColumn(t.Name, column.Name)
			was, known := before[strings.ToLower(old)]
			if _, stored := live.Column(old); stored && there && known {
				l := limit{builder: b, table: t.Name, name: column.Name, column: schema.Quote(old), before: was, after: field}
				l.length()
				l.number()
				l.options()
			}
		}
	}
}

// objects returns the fields of a table's object, by column in lower case, as
// they were registered and as they will be; false for an object that is new,
// has not changed, or whose definition somebody else has.
func (b *builder) objects(t schema.Table) (before, after map[string]protocol.Field, ok bool) {
	var old, wanted *diff.Definition
	for _, c := range b.in.Diff.Registry {
		if c.After != nil && c.After.Type == protocol.EntityObject && c.After.Name == t.Object {
			old, wanted = c.Before, c.After
		}
	}
	if wanted == nil {
		return nil, nil, false
	}
	for _, c := range b.in.Diff.Registry {
		if old == nil && c.After == nil && c.Before.Type == protocol.EntityObject && c.Before.Name == t.RenamedFrom {
			old = c.Before
		}
	}
	if old == nil || old.Body == "" {
		return nil, nil, false
	}
	return fieldsOf(old.Body), fieldsOf(wanted.Body), true
}

// fieldsOf reads the fields of a definition that was valid when it was
// registered; what is no object has none.
func fieldsOf(body string) map[string]protocol.Field {
	var definition map[string]any
	numbersKept := json.NewDecoder(bytes.NewReader([]byte(body)))
	numbersKept.UseNumber()
	if err := numbersKept.Decode(&definition); err != nil {
		return nil
	}
	object, report := shape.Parse[protocol.Object](definition, shape.Strip)
	if report.Err() != nil {
		return nil
	}
	fields := map[string]protocol.Field{}
	for key, f := range object.Fields {
		fields[strings.ToLower(schema.ColumnName(key, f))] = f
	}
	return fields
}

// limit compares the limits of one field.
type limit struct {
	*builder
	table, name   string // as they will be
	column        string // as it is, quoted
	before, after protocol.Field
}

const removedOption = "removed_option"

// over adds a pre-check for rows that a condition names.
func (l limit) over(code, where, message, next string) {
	l.check(PreCheck{
		Code: code, Table: l.table, Column: l.name, Advisory: code == removedOption,
		SQL:     fmt.Sprintf("SELECT id FROM %s WHERE %s", schema.Quote(l.liveTable(l.table)), where),
		Message: message, Next: next,
	})
}

// bound is one limit of a field, before and after. Words have a place for
// its value and one for the column.
type bound struct {
	before, after *float64
	narrower      func(before, after float64) bool
	test          string // after the column
	words, next   string // words come after "rows of a table have"
}

func lower(before, after float64) bool  { return after < before }
func higher(before, after float64) bool { return after > before }

// bounds asks for rows over each limit that is there and was not, or was further
// away. value is what is compared.
func (l limit) bounds(value string, bounds ...bound) {
	for _, b := range bounds {
		if b.after == nil || b.before != nil && !b.narrower(*b.before, *b.after) {
			continue
		}
		at := decimal(*b.after)
		l.over(overLimit, value+" "+b.test+" "+at, fmt.Sprintf("rows of %q have "+b.words, l.table, at, l.name), b.next)
	}
}

// length asks for texts that are too long or too short. A list is stored as
// JSON, whose length means nothing.
func (l limit) length() {
	if l.after.Multiple || l.before.Multiple {
		return
	}
	l.bounds("length("+l.column+")",
		bound{
			l.before.MaxLength, l.after.MaxLength, lower, ">",
			"more than %s characters in %s, its new maxLength", "shorten the values, or take maxLength back",
		},
		bound{
			l.before.MinLength, l.after.MinLength, higher, "<",
			"fewer than %s characters in %s, its new minLength", "complete the values, or take minLength back",
		})
}

// number asks for numbers that are too large or too small.
func (l limit) number() {
	l.bounds("CAST("+l.column+" AS REAL)",
		bound{l.before.Max, l.after.Max, lower, ">", "more than %s in %s, its new max", "lower the values, or take max back"},
		bound{l.before.Min, l.after.Min, higher, "<", "less than %s in %s, its new min", "raise the values, or take min back"})
}

// options asks for values that are no choice any more.
func (l limit) options() {
	if len(l.after.Options) == 0 {
		return
	}
	test, values := "%s IN (%s)", missing(l.before.Options, l.after.Options)
	if len(l.before.Options) == 0 {
		test, values = "%[1]s <> '' AND %[1]s NOT IN (%[2]s)", missing(l.after.Options, nil)
	}
	if len(values) == 0 {
		return
	}
	where := fmt.Sprintf(test, l.column, strings.Join(values, ", "))
	if many(l.before) || many(l.after) {
		where = fmt.Sprintf("EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(%[1]s) THEN %[1]s ELSE '[]' END) WHERE %[2]s)",
			l.column, fmt.Sprintf(test, "value", strings.Join(values, ", ")))
	}
	l.over(removedOption, where,
		fmt.Sprintf("rows of %q have a value in %s that is no option any more", l.table, l.name),
		"give the rows another option, or keep the option")
}

// many tells that a field holds a list of choices.
func many(f protocol.Field) bool {
	return f.Multiple || f.Type == protocol.FieldMultiselect || f.Type == protocol.FieldCheckboxes
}

// missing are the values of options that others do not have, quoted.
func missing(options, others []protocol.SelectOption) []string {
	var values []string
	for _, o := range options {
		if !slices.ContainsFunc(others, func(other protocol.SelectOption) bool { return other.Value == o.Value }) {
			values = append(values, schema.QuoteText(o.Value))
		}
	}
	return values
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }
