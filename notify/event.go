package notify

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/tenantops/reconciler/protocol"
)

// Kind is what an event is about: a word for programs.
type Kind string

// Every kind. config.NotifyEvents has the same words for the settings.
const (
	RolloutStarted   Kind = "rollout_started"
	RolloutHalted    Kind = "rollout_halted"
	RolloutFinished  Kind = "rollout_finished"
	PassFailed       Kind = "pass_failed" // a pass came to no tenant
	PassRecovered    Kind = "pass_recovered"
	TenantsFailing   Kind = "tenants_failing" // tenants fail that did not before
	TenantsRecovered Kind = "tenants_recovered"
	DriftFound       Kind = "drift_found"
	DeletionWaiting  Kind = "deletion_waiting"
	SourceAway       Kind = "source_away"
	SourceBack       Kind = "source_back"
	Test             Kind = "test" // always told of
)

// Kinds lists what a target can be told of, Test apart.
func Kinds() []Kind {
	return []Kind{
		RolloutStarted, RolloutHalted, RolloutFinished, PassFailed, PassRecovered, TenantsFailing, TenantsRecovered,
		DriftFound, DeletionWaiting, SourceAway, SourceBack,
	}
}

// Event is something that a person may want to know of. Its texts are for
// people; they hold no secret, and nothing of a tenant's rows.
type Event struct {
	ID       string              `json:"id"` // the same at each try to deliver it
	Kind     Kind                `json:"kind"`
	At       time.Time           `json:"at"`
	Message  string              `json:"message"`
	Next     string              `json:"next,omitempty"`
	Revision string              `json:"revision,omitempty"` // full commit
	Rollout  int                 `json:"rollout,omitempty"`
	Tenants  []protocol.TenantID `json:"tenants,omitempty"` // the first ones, by id
	Count    int                 `json:"count,omitempty"`   // of all of them
}

// maxTenants is how many tenants an event names.
const maxTenants = 10

// complete gives an event its id, its time, and texts of a bounded length.
func (e Event) complete(now time.Time) Event {
	e.ID, e.At = rand.Text(), now.UTC().Truncate(time.Millisecond)
	e.Message, e.Next = bounded(e.Message), bounded(e.Next)
	if e.Count == 0 {
		e.Count = len(e.Tenants)
	}
	e.Tenants = e.Tenants[:min(len(e.Tenants), maxTenants)]
	return e
}

// bounded keeps a text short and on one line: it may quote what is in a
// repository or a database.
func bounded(text string) string {
	const most = 1000 // bytes
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
