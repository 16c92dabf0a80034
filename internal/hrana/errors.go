package hrana

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/internal/retryafter"
)

// serverError is what a server says of one statement.
type serverError struct {
	Message string `json:"message"`
	Code    string `json:"code"`
}

// sentinels maps the server's codes to what a caller can match. They are
// SQLite's own with their prefix, and those of sqld's hrana/stmt.rs.
var sentinels = map[string]error{
	"SQLITE_BUSY":         database.ErrBusy,
	"SQLITE_LOCKED":       database.ErrBusy,
	"TRANSACTION_BUSY":    database.ErrBusy,
	"TRANSACTION_TIMEOUT": database.ErrBusy, // another writer took the lock; all is rolled back
	"SQLITE_READONLY":     database.ErrReadOnly,
	"SQLITE_FULL":         database.ErrFull,
	"SQLITE_CORRUPT":      database.ErrCorrupt,
	"SQLITE_NOTADB":       database.ErrNotADB,
	"SQLITE_IOERR":        database.ErrAway, // the server's trouble, not the statement's
	"SQLITE_CANTOPEN":     database.ErrAway,
	"SQLITE_PERM":         database.ErrPermission,
	"SQLITE_AUTH":         database.ErrPermission,
}

// LargeError is an answer that is larger than Options.MaxResponse, or than the
// server sends.
type LargeError struct{ Said string }

func (e *LargeError) Error() string { return "answer of the server is too large: " + e.Said }

// Reason is the word for programs.
func (e *LargeError) Reason() string { return reason.AnswerTooLarge }

// Next is the next step, for people.
func (e *LargeError) Next() string {
	return "make the values of single rows smaller, or raise the server's own limit where it is that (SQLD_MAX_RESPONSE_SIZE of an sqld); it is tried again"
}

// Again tells that another try may do.
func (e *LargeError) Again() bool { return true }

// maxMessage bounds what is repeated of a server's text, in bytes.
const maxMessage = 2000

// typed makes an error that a caller can match. The text of a statement's own
// failure is the engine's, as for a file.
func (e *serverError) typed() error {
	text := e.Message
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + " ..."
	}
	for _, prefix := range []string{"SQLite error: ", "SQL input error: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if e.Code == "SQLITE_CONSTRAINT" || strings.HasPrefix(e.Code, "SQLITE_CONSTRAINT_") {
		return constraint(text)
	}
	switch e.Code {
	case "BLOCKED": // block_writes, or block_reads
		return &BlockedError{Said: text}
	case "RESPONSE_TOO_LARGE":
		return &LargeError{Said: text}
	}
	if sentinel := sentinels[e.Code]; sentinel != nil {
		return fmt.Errorf("%w: %s (%s)", sentinel, text, e.Code)
	}
	return errors.New(text)
}

// constraint reads the kind off the text: the server does not send SQLite's
// extended code, and calls a broken primary key UNIQUE, as SQLite's text does.
func constraint(text string) error {
	broken := &database.ConstraintError{Kind: "other", Err: errors.New(text)}
	for prefix, kind := range map[string]string{
		"UNIQUE constraint failed":      "unique",
		"NOT NULL constraint failed":    "notnull",
		"CHECK constraint failed":       "check",
		"FOREIGN KEY constraint failed": "foreignkey",
	} {
		if strings.HasPrefix(text, prefix) {
			broken.Kind = kind
		}
	}
	if broken.Kind == "unique" || broken.Kind == "notnull" {
		broken.Table, broken.Columns = database.ConstraintColumns(text)
	}
	return broken
}

// AwayError says that a server was not reached, or did not answer as one. It
// matches database.ErrAway, and what caused it.
type AwayError struct {
	Host       string
	Status     int           // of HTTP; 0 where there was no answer
	RetryAfter time.Duration // that the server asks for; 0 when it does not
	Err        error
}

func (e *AwayError) Error() string {
	return fmt.Sprintf("%v: %s: %v", database.ErrAway, e.Host, e.Err)
}

// Is makes every AwayError match database.ErrAway.
func (e *AwayError) Is(target error) bool { return target == database.ErrAway }

func (e *AwayError) Unwrap() error { return e.Err }

// Reason is the word for programs.
func (e *AwayError) Reason() string { return reason.ServerAway }

// Next is the next step, for people.
func (e *AwayError) Next() string {
	var certificate *tls.CertificateVerificationError
	var named x509.HostnameError
	var invalid x509.CertificateInvalidError
	var name *net.DNSError
	switch {
	case errors.As(e.Err, &named):
		return "give the server a certificate for the host that requests go to, or write a host that it has in its URL, or in address of connections.hosts; it is tried again"
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the certificate, or set the clock of this machine; it is tried again"
	case errors.Is(e.Err, http.ErrSchemeMismatch):
		return "write http: in its URL, or in address of connections.hosts, or let the server serve https; it is tried again"
	case errors.As(e.Err, &certificate):
		return "give the host a caFile in connections.hosts of reconciler.yaml, whose certificate signed the server's, or correct its URL; it is tried again"
	case errors.As(e.Err, &name) && name.IsNotFound:
		return "correct the host of its URL, or the name servers of this machine; it is tried again"
	case e.Status == http.StatusProxyAuthRequired:
		return "give the proxy in connections.hosts of reconciler.yaml, or in the environment, its user and password; it is tried again"
	case e.Status >= 300 && e.Status < 400:
		return "give its URL the host that the server itself is at, without what redirects; it is tried again"
	case e.Status == http.StatusNotFound:
		return "it is tried again; see whether the server has the database, and whether the token is that of this one"
	case e.Status == http.StatusTooManyRequests:
		return "it is tried again when the server lets it; the host's rate and concurrency are in connections.hosts of reconciler.yaml"
	}
	return "it is tried again; see whether the server runs, can be reached and has the database"
}

// Again tells that another try may do.
func (e *AwayError) Again() bool { return true }

// DeniedError says that a server does not accept the token, or not for this.
// It matches database.ErrPermission.
type DeniedError struct {
	Host   string
	Status int // 401 or 403
	Said   string
	next   string
}

func (e *DeniedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%v: %s does not accept the token: HTTP %d %s", database.ErrPermission, e.Host, e.Status, e.Said))
}

// Is makes every DeniedError match database.ErrPermission.
func (e *DeniedError) Is(target error) bool { return target == database.ErrPermission }

// Reason is the word for programs.
func (e *DeniedError) Reason() string { return reason.TokenRejected }

// Next is the next step, for people.
func (e *DeniedError) Next() string {
	return cmp.Or(e.next, "put a token that is valid and may write where connectionConfig.authToken refers to; it is tried again")
}

// Again tells that another try may do: secrets are read at each.
func (e *DeniedError) Again() bool { return true }

// BlockedError says that somebody has blocked writes, or all, on the server.
// It matches database.ErrReadOnly.
type BlockedError struct{ Said string }

func (e *BlockedError) Error() string { return fmt.Sprintf("%v: %s", database.ErrReadOnly, e.Said) }

// Is makes every BlockedError match database.ErrReadOnly.
func (e *BlockedError) Is(target error) bool { return target == database.ErrReadOnly }

// Reason is the word for programs.
func (e *BlockedError) Reason() string { return reason.ServerBlocked }

// Next is the next step, for people.
func (e *BlockedError) Next() string {
	return "let reads and writes in again on the server (block_reads, block_writes); it is tried again"
}

// Again tells that another try may do.
func (e *BlockedError) Again() bool { return true }

// ErrExpired says that the server has ended a stream, and rolled back what
// was open in it. It comes with database.ErrAway.
var ErrExpired = errors.New("the server has ended the stream, and rolled its transaction back")

func (c *Conn) away(err error) error { return &AwayError{Host: c.host, Err: err} }

// malformed makes the error of an answer that is not one of the protocol. Whose
// it is is known to the connection, which adds it with named.
func malformed(format string, args ...any) error {
	return &AwayError{Err: fmt.Errorf("the answer cannot be read: "+format, args...)}
}

// named adds the host to an error of malformed.
func (c *Conn) named(err error) error {
	var away *AwayError
	if errors.As(err, &away) && away.Host == "" {
		away.Host = c.host
	}
	return err
}

// refusal makes the error of an answer that is not one to a pipeline. 404 is
// never read as "deleted": a server whose namespaces are many says it of some
// that are there, and to a token of another one.
func (c *Conn) refusal(r *http.Response, body []byte) error {
	said := c.shown(string(body))
	e := &AwayError{Host: c.host, Status: r.StatusCode, Err: errors.New(strings.TrimSpace(fmt.Sprintf("HTTP %d %s", r.StatusCode, said)))}
	e.RetryAfter = retryafter.Of(r.Header, time.Now(), time.Hour)
	switch {
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return &DeniedError{Host: c.host, Status: r.StatusCode, Said: said, next: c.options.Denied}
	case r.StatusCode == http.StatusNotFound:
		e.Err = fmt.Errorf("%w; the database is not there, or not ready, or the token is another's", e.Err)
	case r.StatusCode >= 300 && r.StatusCode < 400:
		e.Err = fmt.Errorf("%w: redirects are not followed", e.Err)
	case r.StatusCode == http.StatusBadRequest && (strings.Contains(said, "STREAM_EXPIRED") || strings.Contains(said, "baton")):
		e.Err = fmt.Errorf("%w (%s)", ErrExpired, said)
	}
	return e
}

// shown is the beginning of what a server says, for errors.
func (c *Conn) shown(text string) string {
	const most = 200 // bytes
	text = c.hidden(text)
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), most)], ""))
}

// hidden is a text without the token: some servers repeat what they were shown.
func (c *Conn) hidden(text string) string {
	if c.options.Token == "" {
		return text
	}
	return strings.ReplaceAll(text, c.options.Token, "***")
}

// faults are the errors in an answer, of its requests and of the steps of a batch.
func (a answers) faults() (all []*serverError) {
	for _, r := range a.Results {
		if r.Error != nil {
			all = append(all, r.Error)
		}
		if r.Response == nil {
			continue
		}
		for _, e := range r.Response.Result.Errors {
			if e != nil {
				all = append(all, e)
			}
		}
	}
	return all
}
