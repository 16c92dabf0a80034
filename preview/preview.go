// Package preview says what merging a pull request would do to every tenant,
// before it is merged: the plans, grouped by identical plan, with their risk,
// what stands in their way, how long they take, and, where asked, what they did
// to copies of real databases.
//
// A preview reads. It writes to no tenant, and policy and connection settings
// are those of the base revision: a pull request can neither loosen the rules
// it is judged by nor lead a connection somewhere else.
package preview

import (
	"context"
	"errors"

	"github.com/tenantops/reconciler/reconcile"
)

// Request asks for a preview.
type Request struct {
	// Base and Head are revisions; the full commits are best, since a branch
	// moves. Merge is the revision of the forge's own merge of the two
	// (refs/pull/7/merge), used when its parents are the two; may be empty.
	Base, Head, Merge string
	// Reconcile is the way to the repository and to the live fleet. Without a
	// Store and a Router's data directory the plans are made against the schema
	// of base. It should be ReadOnly beside a running daemon; one that is not
	// adds the plans to the store, which an approval of them needs.
	Reconcile reconcile.Config
}

// ErrNotYet says that this part is not there yet.
var ErrNotYet = errors.New("not there yet")

// Run makes a preview. What is wrong with the pull request is in the report; an
// error is one of the machinery: no repository, no such revision, no store.
func Run(_ context.Context, _ Request) (*Report, error) { return nil, ErrNotYet }
