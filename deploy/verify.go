package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Bounds of a verification. Whoever writes to a repository writes the queries:
// they may be slow, or find everything.
const (
	maxFound     = 100              // rows that are counted of one query
	queryTime    = 5 * time.Second  // of one query
	verifiedTime = 30 * time.Second // of all queries of a tenant
)

// VerifyError says that queries which must give no row did, or could not be
// asked, after a deployment that was committed.
type VerifyError struct {
	Tenant     protocol.TenantID
	Deployment string // empty where they were asked apart from one
	Queries    []FailedQuery
	Back       string // the deployment that took it back, if one did
	Why        error  // why it was not taken back, where it should have been
}

// FailedQuery is one query that a deployment was not verified by.
type FailedQuery struct {
	bundle.Verification
	Rows int   // that it gave, at most maxFound
	Err  error // why it was not asked to its end
}

func (q FailedQuery) String() string {
	switch {
	case errors.Is(q.Err, context.DeadlineExceeded):
		return fmt.Sprintf("%s did not end within %v", q.Verification, queryTime)
	case q.Err != nil:
		return fmt.Sprintf("%s could not be asked: %v", q.Verification, q.Err)
	case q.Rows == 1:
		return fmt.Sprintf("%s gave 1 row", q.Verification)
	case q.Rows >= maxFound:
		return fmt.Sprintf("%s gave %d rows or more", q.Verification, maxFound)
	}
	return fmt.Sprintf("%s gave %d rows", q.Verification, q.Rows)
}

// found tells that a query gave rows, which is what a deployment is taken back
// for. One that is slow, or a database that is busy, is no fault of it.
func (e *VerifyError) found() bool {
	for _, q := range e.Queries {
		if q.Rows > 0 {
			return true
		}
	}
	return false
}

func (e *VerifyError) what() string {
	texts := make([]string, len(e.Queries))
	for i, q := range e.Queries {
		texts[i] = q.String()
	}
	return strings.Join(texts, "; ")
}

func (e *VerifyError) Error() string {
	text := e.what()
	if e.Deployment != "" {
		text = fmt.Sprintf("after deployment %s %s", e.Deployment, text)
	}
	switch {
	case e.Back != "":
		text += "; it was rolled back by " + e.Back
	case e.Why != nil:
		text += "; it was not rolled back: " + e.Why.Error()
	}
	return text
}

// Reason is the word for programs.
func (e *VerifyError) Reason() string { return reason.VerifyFailed }

// Next says what to do about it.
func (e *VerifyError) Next() string {
	switch {
	case e.Back != "":
		return fmt.Sprintf("commit a correction, or correct the rows or the query and run \"reconciler release %s\"", e.Tenant)
	case !e.found():
		return "it is asked again; correct the query if it always fails"
	}
	return "correct the rows that the query gives, or commit a correction; it is asked again"
}

// Again tells that the same may work later, without a change in git.
func (e *VerifyError) Again() bool { return true }

// Verify asks every query and returns those that do not leave the database
// verified; nil when all gave no row.
func Verify(ctx context.Context, conn database.Conn, queries []bundle.Verification) []FailedQuery {
	ctx, cancel := context.WithTimeout(ctx, verifiedTime)
	defer cancel()
	var failed []FailedQuery
	for _, q := range queries {
		one, end := context.WithTimeout(ctx, queryTime)
		rows, err := conn.Examine(one, q.SQL, maxFound)
		end()
		if rows > 0 || err != nil {
			failed = append(failed, FailedQuery{Verification: q, Rows: rows, Err: err})
		}
	}
	return failed
}

// unverified tells that the database has the desired bundle, and that nobody
// knows what the queries say to that: the process died after the commit, they
// gave rows, or they are others now.
func (r Request) unverified(record apply.Record) bool {
	return r.back == nil && len(r.Desired.Verify) > 0 && record.Last != nil && record.Last.Bundle == r.Desired.Digest &&
		record.Verified != apply.Verified{Deployment: record.Last.Deployment, Queries: r.Desired.VerifyDigest}
}

// verify asks the queries about a deployment that is committed.
func (d *Deployer) verify(ctx context.Context, conn database.Conn, r Request, deployment string) error {
	failed := Verify(ctx, conn, r.Desired.Verify)
	found := &VerifyError{Tenant: protocol.TenantID(r.Owner.Tenant), Deployment: deployment, Queries: failed}
	switch {
	case ctx.Err() != nil && !found.found():
		return ctx.Err() // they were not asked to their end
	case len(failed) > 0:
		return found
	}
	return apply.SaveVerified(ctx, conn, apply.Verified{Deployment: deployment, Queries: r.Desired.VerifyDigest})
}

// verifyNew asks them about the deployment that has just been committed.
func (d *Deployer) verifyNew(ctx context.Context, conn database.Conn, r Request, result Result) Result {
	if !result.Changed || result.Err != nil || r.back != nil || len(r.Desired.Verify) == 0 {
		return result
	}
	if err := d.verify(ctx, conn, r, result.DeploymentID); err != nil {
		result.Assessment = result.failed(err)
	}
	return result
}

// verifyAgain asks them about the newest deployment of a tenant that has
// nothing to do. History follows: what failed and has become good is ready.
func (d *Deployer) verifyAgain(ctx context.Context, conn database.Conn, r Request, result Result) Result {
	record := result.seen.Record
	if result.Drift || !r.unverified(record) {
		return result
	}
	failure := d.verify(ctx, conn, r, record.Last.Deployment)
	known, err := d.store.Deployment(ctx, record.Last.Deployment)
	if err != nil {
		result.Assessment = result.failed(err)
		return result
	}
	was := known.Status
	a := attempt{Deployment: known, now: d.now}
	if failure != nil {
		result.Assessment = result.failed(failure)
		a.Status, a.Reason, a.Error, a.Next = protocol.DeployFailed, result.Reason, result.Message, result.Next
	} else {
		a.Status, a.Reason, a.Error, a.Next = protocol.DeployReady, "", "", ""
	}
	if a.Status == was {
		return d.takeBack(ctx, conn, r, result)
	}
	a.transition(a.Status)
	event := d.by.event(a.Deployment, result.Assessment, false)
	if event.At = d.now(); failure == nil {
		event.Kind = state.EventVerified
	}
	if err := d.store.SaveDeployment(context.WithoutCancel(ctx), a.Deployment, event); err != nil {
		result.Assessment = result.failed(err)
		return result
	}
	return d.takeBack(ctx, conn, r, result)
}
