package forge

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-github/v89/github"
)

// gitHub is docs.github.com/rest, in version 2022-11-28. GitHub Enterprise
// Server has it below /api/v3.
type gitHub struct {
	client      *github.Client
	owner, name string
	self        func(context.Context) (User, error)
}

func openGitHub(c Config) (Forge, error) {
	g := &gitHub{}
	g.owner, g.name = c.owned()
	authorize := show("Authorization", "Bearer ", c.Token)
	g.self = g.user
	if c.App != nil {
		app, err := openApp(c)
		if err != nil {
			return nil, err
		}
		authorize, g.self = app.authorize, app.user
	}
	var err error
	g.client, err = c.gitHub(authorize)
	return g, err
}

// gitHub is the library's client, which leaves waiting for limits to the
// transport.
func (c Config) gitHub(authorize func(context.Context, *http.Request) error) (*github.Client, error) {
	client, err := c.client(authorize)
	if err != nil {
		return nil, err
	}
	options := []github.ClientOptionsFunc{
		github.WithHTTPClient(client), github.WithUserAgent(userAgent), github.WithDisableRateLimitCheck(),
	}
	if c.URL != "https://github.com" {
		base := c.URL + "/api/v3/"
		options = append(options, github.WithURLs(&base, &base))
	}
	return github.NewClient(options...)
}

const userAgent = "reconciler"

func (g *gitHub) user(ctx context.Context) (User, error) {
	u, _, err := g.client.Users.Get(ctx, "")
	return gitHubUser(u), doing(err, "ask who the token is of")
}

// Self implements Forge.
func (g *gitHub) Self(ctx context.Context) (User, error) { return g.self(ctx) }

// Pulls implements Forge.
func (g *gitHub) Pulls(ctx context.Context) ([]Pull, error) {
	options := &github.PullRequestListOptions{
		State: "open", Sort: "updated", Direction: "desc", ListOptions: github.ListOptions{PerPage: pageSize},
	}
	var all []Pull
	for len(all) < maxPulls {
		page, response, err := g.client.PullRequests.List(ctx, g.owner, g.name, options)
		if err != nil {
			return nil, doing(err, "list pull requests")
		}
		for _, p := range page {
			all = append(all, gitHubPull(p))
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	return all, nil
}

// Pull implements Forge.
func (g *gitHub) Pull(ctx context.Context, number int) (Pull, error) {
	p, _, err := g.client.PullRequests.Get(ctx, g.owner, g.name, number)
	if err != nil {
		return Pull{}, doing(err, "read pull request %d", number)
	}
	return gitHubPull(p), nil
}

// gitHubPull is a pull request of an answer. merge_commit_sha is a commit of a
// trial until it is merged.
func gitHubPull(p *github.PullRequest) Pull {
	pull := Pull{
		Number: p.GetNumber(), Author: gitHubUser(p.User), Base: p.GetBase().GetRef(), Head: p.GetHead().GetSHA(),
		URL: p.GetHTMLURL(), Open: p.GetState() == "open", Updated: p.GetUpdatedAt().Time,
	}
	if !p.GetMergedAt().IsZero() {
		pull.Merged = p.GetMergeCommitSHA()
	}
	return pull
}

func gitHubUser(u *github.User) User {
	return User{
		ID: u.GetID(), Login: u.GetLogin(), Name: u.GetName(), Email: u.GetEmail(),
		Bot: u.GetType() == "Bot" || strings.HasSuffix(u.GetLogin(), "[bot]"),
	}
}

// Comments implements Forge.
func (g *gitHub) Comments(ctx context.Context, number int, since time.Time) ([]Comment, error) {
	options := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: pageSize}}
	if !since.IsZero() {
		options.Since = &since
	}
	var all []Comment
	for len(all) < maxComments {
		page, response, err := g.client.Issues.ListComments(ctx, g.owner, g.name, number, options)
		if err != nil {
			return nil, doing(err, "list comments of pull request %d", number)
		}
		for _, c := range page {
			all = append(all, gitHubComment(c))
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	return all, nil
}

func gitHubComment(c *github.IssueComment) Comment {
	return Comment{
		ID: c.GetID(), Author: gitHubUser(c.User), Text: c.GetBody(), URL: c.GetHTMLURL(),
		Created: c.GetCreatedAt().Time, Updated: c.GetUpdatedAt().Time,
	}
}

// Comment implements Forge.
func (g *gitHub) Comment(ctx context.Context, number int, text string) (Comment, error) {
	c, _, err := g.client.Issues.CreateComment(ctx, g.owner, g.name, number, &github.IssueComment{Body: &text})
	if err != nil {
		return Comment{}, doing(err, "comment on pull request %d", number)
	}
	return gitHubComment(c), nil
}

// Edit implements Forge.
func (g *gitHub) Edit(ctx context.Context, number int, id int64, text string) (Comment, error) {
	c, _, err := g.client.Issues.EditComment(ctx, g.owner, g.name, id, &github.IssueComment{Body: &text})
	if err != nil {
		return Comment{}, doing(err, "change the comment on pull request %d", number)
	}
	return gitHubComment(c), nil
}

// SetStatus implements Forge.
func (g *gitHub) SetStatus(ctx context.Context, commit string, s Status) error {
	status := github.RepoStatus{State: new(string(s.State)), Context: &s.Context, Description: new(s.description())}
	if s.URL != "" {
		status.TargetURL = &s.URL
	}
	_, _, err := g.client.Repositories.CreateStatus(ctx, g.owner, g.name, commit, status)
	return doing(err, "set the status of commit %.12s", commit)
}

// MayWrite implements Forge. The answer has admin or write for those who may,
// the roles maintain and custom ones included.
func (g *gitHub) MayWrite(ctx context.Context, u User) (bool, error) {
	if u.Bot {
		return false, nil
	}
	level, _, err := g.client.Repositories.GetPermissionLevel(ctx, g.owner, g.name, u.Login)
	if Missing(err) {
		return false, nil
	}
	may := level.GetPermission() == "admin" || level.GetPermission() == "write"
	return may && level.GetUser().GetID() == u.ID, doing(err, "ask what %s may do", u.Login)
}

// Reviews implements Forge: the last word of each reviewer counts, and a
// comment is none.
func (g *gitHub) Reviews(ctx context.Context, p Pull) ([]Review, error) {
	options := &github.ListOptions{PerPage: pageSize}
	var l lastWords
	for seen := 0; seen < maxComments; seen += pageSize {
		page, response, err := g.client.PullRequests.ListReviews(ctx, g.owner, g.name, p.Number, options)
		if err != nil {
			return nil, doing(err, "list reviews of pull request %d", p.Number)
		}
		for _, r := range page {
			l.add(r.GetState(), Review{
				ID: r.GetID(), Author: gitHubUser(r.User), Commit: r.GetCommitID(), URL: r.GetHTMLURL(), At: r.GetSubmittedAt().Time,
			})
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	return l.approving(), nil
}

// lastWords are the last reviews of each reviewer that say something, in the
// order in which they began to.
type lastWords struct {
	order []int64
	said  map[int64]Review
	word  map[int64]string
}

func (l *lastWords) add(state string, r Review) {
	switch state {
	case "APPROVED", "CHANGES_REQUESTED", "REQUEST_CHANGES", "DISMISSED":
	default: // COMMENTED, PENDING
		return
	}
	if l.said == nil {
		l.said, l.word = map[int64]Review{}, map[int64]string{}
	}
	if _, known := l.said[r.Author.ID]; !known {
		l.order = append(l.order, r.Author.ID)
	}
	l.said[r.Author.ID], l.word[r.Author.ID] = r, state
}

func (l *lastWords) approving() []Review {
	var all []Review
	for _, id := range l.order {
		if l.word[id] == "APPROVED" {
			all = append(all, l.said[id])
		}
	}
	return all
}
