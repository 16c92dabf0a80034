// Package forgetest is a forge for tests: it speaks the REST and webhook
// formats of GitHub, GitLab and Gitea, as their documentation has them, over a
// pull request, its comments and its statuses in memory. What it is asked is
// checked: the token, the project, the body.
package forgetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Token is what requests have to show.
const Token = "forge-token-of-the-tests"

// Project is the repository that there is.
const Project = "company/fleet"

// ForkID is the project that merge requests from a fork come from, and ProjectID
// the one that they lead to, on GitLab.
const (
	ProjectID = 14
	ForkID    = 41
)

// Bot is who the token is of.
var Bot = User{ID: 1, Login: "reconciler-bot", Name: "Reconciler"}

// User is somebody of the forge.
type User struct {
	ID                 int64
	Login, Name, Email string
	Program            bool
	// Access is read, write or admin; empty for none.
	Access string
}

// Pull is a pull request.
type Pull struct {
	Number           int
	Author           User
	Base, Head       string
	Open             bool
	Merged           string // commit
	Created, Updated time.Time
	Fork             bool // GitLab: the head is in the project ForkID
	Comments         []*Comment
	Reviews          []*Review
}

// Comment is a comment, of a person or of the forge itself.
type Comment struct {
	ID               int64
	Author           User
	Text             string
	System           bool
	Created, Updated time.Time
}

// Review is an approving review.
type Review struct {
	ID     int64
	Author User
	Commit string
	At     time.Time
}

// Status is a commit status as it was set.
type Status struct{ Commit, Context, State, Description string }

// Forge is the double. Its methods may be called at the same time.
type Forge struct {
	*httptest.Server
	Kind string
	tb   testing.TB

	mu       sync.Mutex
	now      time.Time // a second later at each change
	last     int64     // id given out
	pulls    map[int]*Pull
	users    map[string]User
	statuses []Status
	asked    []string // method and path of each request
	fault    func(http.ResponseWriter, *http.Request) bool
	hook     func(event string, body any)
}

// New starts a forge of a kind.
func New(tb testing.TB, kind string) *Forge {
	tb.Helper()
	f := &Forge{
		Kind: kind, tb: tb, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), last: 100,
		pulls: map[int]*Pull{}, users: map[string]User{Bot.Login: Bot},
	}
	mux := http.NewServeMux()
	switch kind {
	case "github":
		f.gitHub(mux)
	case "gitlab":
		f.gitLab(mux)
	case "gitea":
		f.gitea(mux)
	default:
		tb.Fatalf("no forge is of kind %q", kind)
	}
	f.Server = httptest.NewServer(f.guarded(mux))
	tb.Cleanup(f.Close)
	return f
}

// guarded counts requests, has faults, and asks for the token.
func (f *Forge) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.Path)
		fault := f.fault
		f.mu.Unlock()
		if fault != nil && fault(w, r) {
			return
		}
		shown := map[string]string{"github": "Bearer " + Token, "gitea": "token " + Token}[f.Kind]
		got := r.Header.Get("Authorization")
		if f.Kind == "gitlab" {
			shown, got = Token, r.Header.Get("PRIVATE-TOKEN")
		}
		if got != shown {
			answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// Fault has requests answered by a function that returns true when it did;
// nil ends that.
func (f *Forge) Fault(do func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = do
}

// Users makes people known.
func (f *Forge) Users(users ...User) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range users {
		f.users[u.Login] = u
	}
}

// Open opens a pull request into main, or reopens it.
func (f *Forge) Open(number int, author User, head string) {
	f.change("opened", number, func(p *Pull) {
		if p.Created.IsZero() {
			p.Author, p.Base, p.Created = author, "main", f.now
		}
		p.Head, p.Open = head, true
	})
}

// FromFork says that the head of a pull request is in a fork.
func (f *Forge) FromFork(number int) {
	f.change("synchronize", number, func(p *Pull) { p.Fork = true })
}

// Push moves the head of a pull request.
func (f *Forge) Push(number int, head string) {
	f.change("synchronize", number, func(p *Pull) { p.Head = head })
}

// Merge says that a pull request was merged as a commit.
func (f *Forge) Merge(number int, commit string) {
	f.change("closed", number, func(p *Pull) { p.Open, p.Merged = false, commit })
}

// CloseWithout closes a pull request that is not merged.
func (f *Forge) CloseWithout(number int) {
	f.change("closed", number, func(p *Pull) { p.Open = false })
}

// Say comments on a pull request and returns the comment's id.
func (f *Forge) Say(number int, author User, text string) (id int64) {
	f.change("comment", number, func(p *Pull) { id = f.comment(p, author, text).ID })
	return id
}

// Correct changes the text of a comment a minute after it was written.
func (f *Forge) Correct(number int, id int64, text string) {
	f.change("comment", number, func(p *Pull) {
		for _, c := range p.Comments {
			if c.ID == id {
				f.now = f.now.Add(time.Minute)
				c.Text, c.Updated, p.Updated = text, f.now, f.now
			}
		}
	})
}

// Approve reviews a pull request as it is.
func (f *Forge) Approve(number int, author User) {
	f.change("review", number, func(p *Pull) {
		f.last++
		p.Reviews = append(p.Reviews, &Review{ID: f.last, Author: author, Commit: p.Head, At: f.now})
		if f.Kind == "gitlab" {
			f.comment(p, author, "approved this merge request").System = true
		}
	})
}

// Remove deletes the comments of somebody.
func (f *Forge) Remove(number int, author User) {
	f.change("comment", number, func(p *Pull) {
		p.Comments = slices.DeleteFunc(p.Comments, func(c *Comment) bool { return c.Author.ID == author.ID })
	})
}

func (f *Forge) change(event string, number int, do func(*Pull)) {
	f.mu.Lock()
	p := f.pulls[number]
	if p == nil {
		p = &Pull{Number: number}
		f.pulls[number] = p
	}
	f.now = f.now.Add(time.Second)
	p.Updated = f.now
	do(p)
	name, body := f.event(event, p)
	hook := f.hook
	f.mu.Unlock()
	if hook != nil {
		hook(name, body)
	}
}

func (f *Forge) comment(p *Pull, author User, text string) *Comment {
	f.last++
	f.now = f.now.Add(time.Second)
	c := &Comment{ID: f.last, Author: author, Text: text, Created: f.now, Updated: f.now}
	p.Comments, p.Updated = append(p.Comments, c), f.now
	return c
}

// Written are the texts of the bot's comments on a pull request.
func (f *Forge) Written(number int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var texts []string
	if p := f.pulls[number]; p != nil {
		for _, c := range p.Comments {
			if c.Author.ID == Bot.ID {
				texts = append(texts, c.Text)
			}
		}
	}
	return texts
}

// Statuses are all that a commit was given, in order.
func (f *Forge) Statuses(commit string) []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Status
	for _, s := range f.statuses {
		if s.Commit == commit {
			all = append(all, s)
		}
	}
	return all
}

// State is the state and the description of the last status of a commit.
func (f *Forge) State(commit string) (state, description string) {
	if all := f.Statuses(commit); len(all) > 0 {
		return all[len(all)-1].State, all[len(all)-1].Description
	}
	return "", ""
}

// Asked are the requests so far.
func (f *Forge) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// open are the open pull requests, those that changed last first.
func (f *Forge) open() []*Pull {
	var all []*Pull
	for _, p := range f.pulls {
		if p.Open {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *Pull) int { return cmp.Or(b.Updated.Compare(a.Updated), a.Number-b.Number) })
	return all
}

// pull finds what a path names, or answers that it is not there.
func (f *Forge) pull(w http.ResponseWriter, r *http.Request) *Pull {
	p := f.pulls[number(r.PathValue("number"), 0)]
	if p == nil {
		missing(w)
	}
	return p
}

// edit changes a comment that a path names, of the bot.
func (f *Forge) edit(w http.ResponseWriter, r *http.Request, text string) *Comment {
	for _, p := range f.pulls {
		for _, c := range p.Comments {
			if fmt.Sprint(c.ID) == r.PathValue("id") && c.Author.ID == Bot.ID {
				f.now = f.now.Add(time.Second)
				c.Text, c.Updated = text, f.now
				return c
			}
		}
	}
	missing(w)
	return nil
}

// status keeps a status, with a state that the forge has.
func (f *Forge) status(w http.ResponseWriter, s Status, states ...string) bool {
	if !slices.Contains(states, s.State) || s.Context == "" || len([]rune(s.Description)) > 140 {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
		return false
	}
	f.statuses = append(f.statuses, s)
	return true
}

func missing(w http.ResponseWriter) {
	answer(w, http.StatusNotFound, map[string]string{"message": "404 Not found"})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) //nolint:errcheck // the client has gone away
}

// read decodes the body of a request.
func read[T any](w http.ResponseWriter, r *http.Request) (body T, ok bool) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		answer(w, http.StatusUnsupportedMediaType, map[string]string{"message": "send JSON"})
		return body, false
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"message": "Problems parsing JSON"})
		return body, false
	}
	return body, true
}

// page is the part of a list that a request asks for, and whether more follows.
func page[T any](r *http.Request, most int, list []T) (part []T, at int, more bool) {
	size := min(number(cmp.Or(r.FormValue("per_page"), r.FormValue("limit")), most), most)
	at = number(r.FormValue("page"), 1)
	from := min((at-1)*size, len(list))
	to := min(from+size, len(list))
	return list[from:to], at, to < len(list)
}

// number is a positive number of a request, or another one where it has none.
func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}
