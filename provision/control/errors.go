package control

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
)

// Errors that a caller can match.
var (
	// ErrExists says that there is something of that name already.
	ErrExists = errors.New("the name is taken")
	// ErrNotFound says that the control plane does not know the database, or the
	// group: unlike the data plane's, its word counts.
	ErrNotFound = errors.New("it does not exist")
	// ErrCutOff says that all tokens of a database are invalid, and that there is
	// no new one.
	ErrCutOff = errors.New("its tokens are invalid already, and there is no new one")
	// ErrNoList says that the server cannot list its databases.
	ErrNoList = errors.New("the server cannot list its databases")
)

const statusAway = -1 // instead of a status: no answer came

// Error is a call that a control plane did not carry out. It matches
// database.ErrAway where asking again later may help, ErrExists and ErrNotFound.
type Error struct {
	Provider string
	Doing    string
	Status   int    // of HTTP; below 200 when there was no answer
	Message  string // the server's, shortened; empty for none
	Err      error  // what happened instead of an answer
}

func (p *Plane) failed(c Call, status int, message string, err error) *Error {
	return &Error{Provider: p.Provider, Doing: c.Doing, Status: status, Message: message, Err: err}
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.Provider, e.Doing)
	if e.Status >= 200 {
		text += fmt.Sprintf(": the server answers %d", e.Status)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Is implements errors.Is.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrExists:
		return e.Status == http.StatusConflict
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case database.ErrAway:
		return e.Status == statusAway || e.Status == http.StatusTooManyRequests || e.Status >= 500
	}
	return false
}

// Undone tells that the server has refused the call as it was, so that nothing
// of it was done. Of one that was not answered, or that failed on the server,
// this is not known.
func (e *Error) Undone() bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout && e.Status != http.StatusConflict
}

// refusal is what a status means: its reason in one word, and the next step.
type refusal struct{ reason, next string }

var refusals = map[int]refusal{
	http.StatusUnauthorized:    {reason: reason.ProviderUnauthorized, next: "give the reconciler a token or key that the server knows; it is tried again"},
	http.StatusPaymentRequired: {reason: reason.ProviderPayment, next: "see the plan and the invoices of the organization; it is tried again"},
	http.StatusForbidden:       {reason: reason.ProviderForbidden, next: "let the token do this, or see whether the organization is blocked; it is tried again"},
	http.StatusNotFound:        {reason: reason.ProviderNotFound, next: "see whether organization and group on Turso bear the names in the configuration, or whether adminUrl is that of the admin API of the sqld; it is tried again"},
	http.StatusConflict:        {reason: reason.ProviderConflict, next: "see what has the name; it is tried again"},
	http.StatusTooManyRequests: {reason: reason.ProviderLimited, next: "nothing: it is tried again, more slowly"},
}

func (e *Error) refusal() refusal {
	var cause reason.Error // such as a token that cannot be read: the server was not asked
	if errors.As(e.Err, &cause) {
		return refusal{reason: cause.Reason(), next: cause.Next()}
	}
	if r, ok := refusals[e.Status]; ok {
		return r
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(e.Err, &certificate) {
		return refusal{reason: reason.ProviderAway, next: "see to the server's certificate: it has to be valid, for the host of its URL, and from who stands in " +
			"caFile of that host in connections.hosts of reconciler.yaml; it is tried again"}
	}
	if e.Status >= 300 && e.Status < 400 {
		return refusal{reason: reason.ProviderRefused, next: "give the URL that the server itself is at: redirects are not followed; it is tried again"}
	}
	if e.Status == statusAway || e.Status >= 500 {
		return refusal{reason: reason.ProviderAway, next: "nothing, if the server comes back by itself: it is tried again"}
	}
	return refusal{reason: reason.ProviderRefused, next: "see the server's message; it is tried again"}
}

// Reason is the word for programs.
func (e *Error) Reason() string { return e.refusal().reason }

// Next is the next step, for people.
func (e *Error) Next() string { return e.refusal().next }

// Again tells that the same may work later, without a change in git.
func (e *Error) Again() bool { return true }
