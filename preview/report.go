package preview

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Milliseconds is a duration that JSON has in milliseconds.
type Milliseconds time.Duration

// MarshalJSON implements json.Marshaler.
func (m Milliseconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(m).Microseconds())/1000, 'f', -1, 64), nil
}

func (m Milliseconds) String() string { return time.Duration(m).String() }

// Words writes a time that people have set, in days where it is some: "30 days".
func (m Milliseconds) Words() string {
	d := time.Duration(m)
	if d%(24*time.Hour) == 0 && d > 0 {
		return plural(int(d/(24*time.Hour)), "day")
	}
	return d.String()
}

// Optional is a text that JSON has null for where there is none.
type Optional string

// MarshalJSON implements json.Marshaler.
func (o Optional) MarshalJSON() ([]byte, error) {
	if o == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(o))
}

// UnmarshalJSON implements json.Unmarshaler; null is none.
func (o *Optional) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, (*string)(o)) }

// Verdict is what a preview comes to, in one word.
type Verdict string

// The verdicts, mildest first.
const (
	// Success: the merge does what the report says, and nothing stands in its way.
	Success Verdict = "success"
	// Blocked: the merge can be made, and some tenants would not follow it: their
	// rows, a policy, a quota or the deletion guard stand in the way, or a plan
	// waits for an approval.
	Blocked Verdict = "blocked"
	// Failed: the two sides conflict, the files are wrong, a rehearsal failed,
	// or there is no preview to be had.
	Failed Verdict = "failed"
)

// Report says what merging head into base would do to every tenant. It holds no
// row of a tenant and no id of one, and no secret: counts alone.
type Report struct {
	Base    string   `json:"base"`  // full commits
	Head    string   `json:"head"`  //
	Merge   Optional `json:"merge"` // object id of the tree that was previewed; empty without one
	Verdict Verdict  `json:"verdict"`
	// Bound tells that the plans were made for the live databases: their digests
	// are those of what the merge applies while nothing else changes. Unbound
	// says why not.
	Bound   bool     `json:"bound"`
	Unbound Optional `json:"unbound"`

	Problem   Optional       `json:"problem"`         // why there is no preview at all
	Conflicts []string       `json:"conflicts"`       // paths that both sides changed
	Faults    []bundle.Fault `json:"faults"`          // that the merge result has and base has not, at most maxFaults
	More      int            `json:"moreFaults"`      // beyond that
	Inherited int            `json:"inheritedErrors"` // errors that base has already
	Policy    []string       `json:"policy"`          // what changes about policy and connections, in words; it holds after the merge

	Tenants Tenants  `json:"tenants"`
	Plans   []Group  `json:"plans"`   // those of most tenants first
	Stopped []Stop   `json:"stopped"` // tenants without a plan, by reason
	Waves   []Wave   `json:"waves"`   // in their order; only where there is more than one
	Guard   *Notice  `json:"guard"`   // removals that would wait for somebody
	Apps    []AppUse `json:"apps"`    // installed, upgraded and uninstalled

	Took     time.Duration    `json:"-"`
	Approval *config.Approval `json:"-"` // whose approvals count, by the base; nil when its files could not be read
}

// Tenants counts the tenants of the merge result by what becomes of them. The
// lists are by id.
type Tenants struct {
	Total     int                 `json:"total"`
	Affected  int                 `json:"affected"` // whose files or apps differ from base, those that go included
	Created   []protocol.TenantID `json:"created"`
	Suspended []protocol.TenantID `json:"suspended"`
	Resumed   []protocol.TenantID `json:"resumed"`
	Removed   []protocol.TenantID `json:"removed"`
	Held      []protocol.TenantID `json:"held"` // somebody keeps them as they are
	Unchanged int                 `json:"unchanged"`
}

// Group is one plan and the tenants that need it.
type Group struct {
	// Digest is the plan's, empty where the plan is not bound; Unbound says why
	// it is not.
	Digest     Optional                      `json:"digest"`
	Unbound    Optional                      `json:"unbound"`
	Class      diff.Class                    `json:"class"`
	Action     deploy.Action                 `json:"action"` // create, update or blocked
	Reversible bool                          `json:"reversible"`
	Tenants    []protocol.TenantID           `json:"tenants"` // by id
	Diff       protocol.DeployDiff           `json:"diff"`
	Statements []protocol.MigrationStatement `json:"statements"`
	Metadata   int                           `json:"metadata"` // rows of the registry
	Seeds      int                           `json:"seeds"`    // records
	PreChecks  []PreCheck                    `json:"preChecks"`
	Warnings   []plan.Warning                `json:"warnings"`
	Quotas     []Quota                       `json:"quotas"`
	Retired    []Retired                     `json:"retired"`
	// NeedsApproval tells that tenants wait until somebody approves the digest;
	// Next says how, and Blocked which of the tenants do not get the plan.
	NeedsApproval bool   `json:"needsApproval"`
	Blocked       []Stop `json:"blocked"`
	// Beyond is what would stand in tenants' way once the plan is approved.
	Beyond []Stop `json:"afterApproval"`
	// Staged are the tenants whose tables are too large for one transaction: they
	// are filled in batches first, as Fills says, and Longest is of what follows.
	Staged     []protocol.TenantID `json:"staged"`
	Fills      []string            `json:"fills"`     // tables that are filled in batches then; empty where none can be
	Longest    Milliseconds        `json:"longestMs"` // estimate for the slowest tenant
	Total      Milliseconds        `json:"totalMs"`   // of all tenants, one after the other
	Rows       int64               `json:"rows"`      // that are read or written, of all tenants
	Rehearsals []Rehearsal         `json:"rehearsals"`

	made  *plan.Plan
	heavy []weight // the tenants that it takes longest in, longest first
}

// PreCheck says in how many tenants rows stand in a plan's way.
type PreCheck struct {
	Message  string     `json:"message"`
	Next     string     `json:"next"`
	Advisory bool       `json:"advisory"` // the rows stand in nobody's way
	Asked    int        `json:"asked"`    // tenants that it was asked of
	Found    []RowCount `json:"found"`    // tenants that have such rows, by id
}

// RowCount is how many rows were found in one tenant.
type RowCount struct {
	Tenant protocol.TenantID `json:"tenant"`
	Rows   int64             `json:"rows"`
}

// Quota is a limit that a plan adds to, of the tenant that comes closest to it.
type Quota struct {
	tenantrouter.Check
	Tenant  protocol.TenantID `json:"tenant"`
	Tenants int               `json:"tenants"` // that the limit is set for
}

// Retired is a column or table that a plan takes away and keeps.
type Retired struct {
	Name string       `json:"name"` // "column account.fax", or "table account"
	For  Milliseconds `json:"forMs"`
}

// Stop is why tenants would not follow the merge.
type Stop struct {
	Reason  string              `json:"reason"`
	Message string              `json:"message"` // of the first tenant
	Next    string              `json:"next"`
	Tenants []protocol.TenantID `json:"tenants"`
}

// Wave is a step of the rollout.
type Wave struct {
	Name    string              `json:"name"`
	Tenants []protocol.TenantID `json:"tenants"`
	Rule    string              `json:"rule"` // what is waited for before and after it, in words
}

// Notice is something that waits for somebody.
type Notice struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Next    string `json:"next"`
}

// AppUse is a change of the apps that tenants use.
type AppUse struct {
	App     string   `json:"app"`
	From    Optional `json:"from"` // version; empty where it was not there
	To      Optional `json:"to"`   // version; empty where it goes
	Tenants int      `json:"tenants"`
}

// Rehearsal is what a plan did to a copy of a real database.
type Rehearsal struct {
	Tenant   protocol.TenantID `json:"tenant"`
	Bytes    int64             `json:"bytes"` // of the copy
	Copied   Milliseconds      `json:"copiedMs"`
	Applied  Milliseconds      `json:"appliedMs"`
	Verified Milliseconds      `json:"verifiedMs"`
	Queries  int               `json:"queries"` // verification queries asked
	Back     Milliseconds      `json:"backMs"`  // how long going back took
	Rows     int64             `json:"rows"`    // in the tables that the plan touches
	Failure  Optional          `json:"failure"` // empty for none
	Skipped  Optional          `json:"skipped"` // why it was not rehearsed; empty when it was
}
