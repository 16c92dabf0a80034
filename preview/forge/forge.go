// Package forge speaks to the hosts of pull requests: GitHub, GitLab (whose
// merge requests are pull requests here) and Gitea, through their client
// libraries and behind one interface.
//
// Whatever a forge answers is taken as written by a stranger: its size is
// bounded, and a redirect to another host is not followed. A forge that asks to
// be left alone, or does not answer, is left alone for as long as it says:
// requests fail with an AwayError until then. No error holds a secret.
package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Forge is one repository of a forge. Its methods may be called at the same
// time. Their errors match *AwayError when it makes sense to try again, and
// *RefusedError when it does not.
type Forge interface {
	// Self is who the requests are made as.
	Self(ctx context.Context) (User, error)
	// Pulls are the open pull requests, at most maxPulls of them, those that
	// changed last first.
	Pulls(ctx context.Context) ([]Pull, error)
	// Pull is one pull request in any state.
	Pull(ctx context.Context, number int) (Pull, error)
	// Comments are those of a pull request that were written or changed at a
	// time or after it, the oldest first; at most maxComments of them.
	Comments(ctx context.Context, number int, since time.Time) ([]Comment, error)
	// Comment writes a new comment.
	Comment(ctx context.Context, number int, text string) (Comment, error)
	// Edit changes a comment of Self.
	Edit(ctx context.Context, number int, id int64, text string) (Comment, error)
	// SetStatus gives a commit a status, in place of the one with its context.
	SetStatus(ctx context.Context, commit string, s Status) error
	// MayWrite asks whether a user may push to the repository. A program never
	// may.
	MayWrite(ctx context.Context, u User) (bool, error)
	// Reviews are the approving reviews of a pull request that stand, one for
	// each reviewer.
	Reviews(ctx context.Context, p Pull) ([]Review, error)
}

const (
	maxPulls    = 500
	maxComments = 1000
	pageSize    = 100 // the most that all of them give; Gitea gives 50
)

// User is somebody of a forge. Name and Email may be empty, and are what the
// user says.
type User struct {
	ID                 int64
	Login, Name, Email string
	Bot                bool // a program, as far as the forge tells
}

// Pull is a pull request.
type Pull struct {
	Number  int
	Author  User
	Base    string // branch that it is to be merged into
	Head    string // full commit
	URL     string // for people
	Open    bool
	Merged  string    // commit that it was merged as; empty for none
	Updated time.Time // by anything: a push, a comment, a review
}

// Comment is a comment of a pull request.
type Comment struct {
	ID               int64
	Author           User
	Text, URL        string
	Created, Updated time.Time
}

// Edited tells that somebody has changed it since it was written. Forges keep
// whole seconds, and some store both times one after the other.
func (c Comment) Edited() bool { return c.Updated.Sub(c.Created) >= 2*time.Second }

// Review is an approving review.
type Review struct {
	ID     int64
	Author User
	Commit string // that was looked at; empty where the forge does not tell
	URL    string
	At     time.Time
}

// State is a state of a commit status.
type State string

// The states.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
)

// Status is a commit status.
type Status struct {
	State       State
	Context     string
	Description string // cut to what all forges take
	URL         string // for people; may be empty
}

// maxDescription is what GitHub takes, in characters; the others take more.
const maxDescription = 140

func (s Status) description() string {
	if text := []rune(s.Description); len(text) > maxDescription {
		return string(text[:maxDescription-3]) + "..."
	}
	return s.Description
}

// Config says which repository of which forge is meant, and how to be let in.
type Config struct {
	Kind    string // github, gitlab or gitea
	URL     string // https://host, without a path of the API
	Project string // owner/name; for GitLab group/subgroup/name
	// Token is read for each request, so that one that has changed counts.
	Token func() (string, error)
	App   *App          // in place of Token, for GitHub
	Wait  time.Duration // for an answer; default 30s
	Now   func() time.Time
	// Told is told of each request, whatever came of it; may be nil.
	Told func(outcome Outcome, remaining int)
	// Transport is for tests; default http.DefaultTransport.
	Transport http.RoundTripper
}

// Outcome is what came of a request.
type Outcome string

// The outcomes. Limited is a forge that asks to be left alone.
const (
	Answered Outcome = "answered"
	Refused  Outcome = "refused"
	Limited  Outcome = "limited"
	Away     Outcome = "away"
)

// App is an installed GitHub App.
type App struct {
	ID, Installation int64
	Key              func() (string, error) // PEM; read when a new token is needed
}

// Open returns the client for a repository. It asks the forge nothing.
func Open(c Config) (Forge, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wait == 0 {
		c.Wait = 30 * time.Second
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Told == nil {
		c.Told = func(Outcome, int) {}
	}
	c.URL = strings.TrimRight(c.URL, "/")
	if c.Token == nil && c.App == nil {
		return nil, errors.New("open forge: neither a token nor an app is given")
	}
	switch c.Kind {
	case "github":
		return openGitHub(c)
	case "gitlab":
		return openGitLab(c)
	case "gitea":
		return openGitea(c)
	}
	return nil, fmt.Errorf("open forge: kind %q is none of github, gitlab and gitea", c.Kind)
}

// owned splits owner/name.
func (c Config) owned() (owner, name string) {
	owner, name, _ = strings.Cut(c.Project, "/")
	return owner, name
}

// Refs is the pattern of the refs that have the heads of pull requests in the
// git repository, with * for the number.
func (c Config) Refs() string {
	if c.Kind == "gitlab" {
		return "refs/merge-requests/*/head"
	}
	return "refs/pull/*/head"
}
