// Package plan turns a difference into the statements that remove it. A plan
// depends on structure alone, never on rows, tenants or the clock, so tenants
// in the same state share one plan and the same inputs give the same bytes.
package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Plan is everything that a deployment does to one database. It is complete
// once Seal has set its digest; from then on it is only read.
type Plan struct {
	Digest     string                 `json:"digest"`
	Migration  protocol.MigrationPlan `json:"migration"`
	Diff       protocol.DeployDiff    `json:"diff"`
	Steps      []Step                 `json:"steps,omitempty"` // what each migration statement is for
	PreChecks  []PreCheck             `json:"preChecks,omitempty"`
	Guards     []Guard                `json:"guards,omitempty"`
	Registry   []string               `json:"registry,omitempty"` // statements on sys_metadata
	Seeds      []Seed                 `json:"seeds,omitempty"`
	SeedIssues []SeedIssue            `json:"seedIssues,omitempty"` // records that cannot be loaded anywhere
	SeedMode   string                 `json:"seedMode,omitempty"`   // strict or skip
	Warnings   []Warning              `json:"warnings,omitempty"`
	Foreign    []diff.Foreign         `json:"foreign,omitempty"`
	WayBack    []string               `json:"wayBack,omitempty"` // undoes Migration, proved with it
	Retired    []string               `json:"retired,omitempty"` // names that it gives to what goes
	Undo       []Undo                 `json:"undo,omitempty"`    // the definitions that it changes, as they were
	Staged     *Staged                `json:"staged,omitempty"`  // the way for large tables; nil where there is none
	Fills      []Fill                 `json:"-"`                 // of a Swap: what must be complete

	From        string            `json:"from"`       // fingerprint that the plan starts from
	To          string            `json:"to"`         // fingerprint that the proof ended with
	FromSchema  string            `json:"fromSchema"` // schema digests
	ToSchema    string            `json:"toSchema"`
	Bundle      string            `json:"bundle"`      // bundle digest
	Owned       string            `json:"owned"`       // schema.Owned as JSON, after the plan
	Registered  string            `json:"registered"`  // see Registered, after the plan
	Policy      string            `json:"policy"`      // plan policy, as the planner writes it
	FromApplied string            `json:"fromApplied"` // applied digests
	Applied     string            `json:"applied"`
	SeedDigests map[string]string `json:"seedDigests,omitempty"` // by set, after the plan

	text Text // set by Seal
}

// Text is what a journal keeps of a plan, each part a JSON list. It is made
// once for all tenants that share the plan.
type Text struct{ Statements, WayBack, Undo string }

// Text returns the journal's text of a sealed plan.
func (p *Plan) Text() Text { return p.text }

// Step says what one statement of the migration is for.
type Step struct {
	Change string     `json:"change"` // "add column account.fax"
	Class  diff.Class `json:"class"`
	Table  string     `json:"table"`
	Copies bool       `json:"copies,omitempty"` // reads or writes every row of Table
}

// PreCheck is a query that must return no row before the plan may run. It
// returns the ids of the rows that stand in the way.
type PreCheck struct {
	Code    string `json:"code"`
	Table   string `json:"table"`
	Column  string `json:"column,omitempty"`
	SQL     string `json:"sql"`
	Message string `json:"message"`
	Next    string `json:"next"`
	// Advisory says that the rows are counted for whoever reads the plan, and
	// stand in nobody's way.
	Advisory bool `json:"advisory"`
}

// Codes of the pre-checks that can be waived.
const (
	columnNotEmpty = "column_not_empty" // of what would be lost, see Input.KeepValues
	tableNotEmpty  = "table_not_empty"  // likewise
	overLimit      = "over_limit"
)

// Waivable tells that the rows would not keep the plan from running, and the
// class of change that they are a matter of: whose policy allows that, or
// somebody who agrees to it.
func (c PreCheck) Waivable() (diff.Class, bool) {
	switch c.Code {
	case columnNotEmpty, tableNotEmpty:
		return diff.Destructive, true
	case overLimit:
		return diff.Narrowing, true
	}
	return diff.Additive, false
}

// Undo is a definition of the registry as it was before a plan. One that was
// not there has no checksum; one whose row somebody had changed has no body.
type Undo struct {
	Type     protocol.EntityType `json:"type"`
	Name     string              `json:"name"`
	Package  string              `json:"package,omitempty"`
	Checksum string              `json:"checksum,omitempty"`
	Body     string              `json:"body,omitempty"`
}

// Guard is a table whose number of rows must be the same after the plan.
type Guard struct {
	Before string `json:"before"` // its name when the plan starts
	After  string `json:"after"`
}

// Warning is something to know about a plan that does not stop it.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Empty tells that the plan changes neither structure, metadata nor seeds, and
// has nothing to refuse.
func (p *Plan) Empty() bool {
	return len(p.Migration.Statements) == 0 && len(p.Registry) == 0 && len(p.Seeds)+len(p.SeedIssues) == 0
}

// Retires tells whether the plan gives something a retired name: a name may be
// free again and be taken anew.
func (p *Plan) Retires(name string) bool { return slices.Contains(p.Retired, name) }

// Class is the most dangerous class among the plan's steps.
func (p *Plan) Class() diff.Class {
	class := diff.Additive
	for _, s := range p.Steps {
		class = max(class, s.Class)
	}
	return class
}

// Seal sets the digest: sha256 in hex over the plan's canonical JSON. Plans
// with equal digests run the same statements from and to the same states.
func (p *Plan) Seal() error {
	p.Digest = ""
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("digest plan: %w", err)
	}
	sum := sha256.Sum256(body)
	p.Digest = hex.EncodeToString(sum[:])
	p.text = journalText(p)
	return nil
}

func journalText(p *Plan) Text {
	statements := make([]string, len(p.Migration.Statements))
	for i, s := range p.Migration.Statements {
		statements[i] = s.SQL
	}
	return Text{Statements: list(statements), WayBack: list(p.WayBack), Undo: list(p.Undo)}
}

// list writes a list as JSON; nil is the empty list.
func list[T string | Undo](values []T) string {
	if values == nil {
		values = []T{}
	}
	text, err := json.Marshal(values)
	if err != nil {
		panic("statements cannot be marshalled: " + err.Error()) // plain text
	}
	return string(text)
}

// Encode returns the plan as JSON, as it is stored.
func (p *Plan) Encode() ([]byte, error) { return json.Marshal(p) }

// Decode reads what Encode wrote and refuses a plan whose digest is not its
// own.
func Decode(body []byte) (*Plan, error) {
	var p Plan
	numbersKept := json.NewDecoder(bytes.NewReader(body))
	numbersKept.UseNumber() // so that a value of the diff is written as it was
	if err := numbersKept.Decode(&p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	digest := p.Digest
	if err := p.Seal(); err != nil {
		return nil, err
	}
	if p.Digest != digest {
		return nil, fmt.Errorf("read plan: it is not the plan %.12s that it claims to be", digest)
	}
	return &p, nil
}

// Input is what a plan is made from.
type Input struct {
	Diff    diff.Result
	Master  schema.Master
	Live    []schema.Table // every ordinary table of the database
	Desired []schema.Table // as the bundle wants them
	Bundle  string         // bundle digest
	// KeepValues adds pre-checks so that a column or table that is dropped
	// holds nothing but what the schema alone would put there.
	KeepValues bool
	Retire     bool // what goes is kept under a retired name
	// AnyLimit lets rows be over the limits of their fields: a way back is not
	// held up by what was saved since.
	AnyLimit    bool
	Seeds       SeedPlan
	SeedMode    string
	Registered  string // see Registered
	Policy      string // plan policy, as the planner writes it
	FromApplied string // applied digest before
}

// Build returns the plan for a difference: renames first; then indexes that
// go; rebuilt tables; new tables; new and altered columns; columns and tables
// that go; new indexes last. Within each group the order is that of the
// difference, which is by table and name.
//
// A difference with conflicts gives a ConflictError. The plan is not sealed:
// its To fingerprint and way back come from the proof.
func Build(in Input) (*Plan, error) {
	p, err := build(in)
	if err != nil {
		return nil, err
	}
	if p.Staged, err = stage(in); err != nil {
		return nil, err
	}
	p.Warnings, err = analyze(in)
	p.Warnings = append(p.Warnings, keptTables(in.Diff)...)
	return p, err
}

// build is Build without warnings, for a plan that nobody sees as such.
func build(in Input) (*Plan, error) {
	if len(in.Diff.Conflicts) > 0 {
		return nil, &ConflictError{Conflicts: in.Diff.Conflicts}
	}
	b := newBuilder(in)
	if err := b.build(); err != nil {
		return nil, err
	}
	registry, err := registryStatements(in.Diff)
	if err != nil {
		return nil, err
	}
	b.plan.Registry = registry
	return b.plan, nil
}
