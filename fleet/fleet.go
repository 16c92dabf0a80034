// Package fleet decides, and does nothing: which tenants a revision concerns
// and in which order they are deployed, when a failing one is tried again, and
// whether what a revision no longer has may be taken away.
//
// Everything that a decision depends on is an argument, the time as well. What
// it leads to is the caller's: rows of state, deployments, words of a status.
package fleet

// Waiting is why something is not done now, in the words of a status.
type Waiting struct {
	Reason  string // one CamelCase word
	Message string
	Next    string // what to do about it
}
