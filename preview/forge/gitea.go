package forge

import (
	"context"
	"net/http"
	"time"

	"code.gitea.io/sdk/gitea"
)

// giteaForge is /api/v1 of Gitea and Forgejo (docs.gitea.com, "API").
type giteaForge struct {
	http             *http.Client
	url, owner, name string
}

func openGitea(c Config) (Forge, error) {
	client, err := c.client(show("Authorization", "token ", c.Token))
	g := &giteaForge{http: client, url: c.URL}
	g.owner, g.name = c.owned()
	return g, err
}

// for one call: the library keeps the context in the client. It does not ask
// for the version first, which Forgejo numbers otherwise.
func (g *giteaForge) client(ctx context.Context) *gitea.Client {
	client, err := gitea.NewClient(g.url,
		gitea.SetHTTPClient(g.http), gitea.SetContext(ctx), gitea.SetGiteaVersion(""), gitea.SetUserAgent(userAgent))
	if err != nil { // these options give none
		return gitea.NewClientWithHTTP(g.url, g.http)
	}
	return client
}

// Self implements Forge.
func (g *giteaForge) Self(ctx context.Context) (User, error) {
	u, _, err := g.client(ctx).GetMyUserInfo()
	if err != nil {
		return User{}, doing(err, "ask who the token is of")
	}
	return giteaUser(u), nil
}

// giteaUser is a user of an answer. Those that are programs of Gitea itself
// have ids below zero.
func giteaUser(u *gitea.User) User {
	if u == nil {
		return User{Login: "ghost", Bot: true} // deleted
	}
	return User{ID: u.ID, Login: u.UserName, Name: u.FullName, Email: u.Email, Bot: u.ID <= 0}
}

// Pulls implements Forge.
func (g *giteaForge) Pulls(ctx context.Context) ([]Pull, error) {
	options := gitea.ListPullRequestsOptions{
		State: gitea.StateOpen, Sort: "recentupdate", ListOptions: gitea.ListOptions{Page: 1, PageSize: pageSize},
	}
	var all []Pull
	for ; len(all) < maxPulls; options.Page++ {
		page, _, err := g.client(ctx).ListRepoPullRequests(g.owner, g.name, options)
		if err != nil {
			return nil, doing(err, "list pull requests")
		}
		for _, p := range page {
			all = append(all, giteaPull(p))
		}
		if len(page) == 0 { // a page may have fewer than was asked for
			break
		}
	}
	return all, nil
}

// Pull implements Forge.
func (g *giteaForge) Pull(ctx context.Context, number int) (Pull, error) {
	p, _, err := g.client(ctx).GetPullRequest(g.owner, g.name, int64(number))
	if err != nil {
		return Pull{}, doing(err, "read pull request %d", number)
	}
	return giteaPull(p), nil
}

func giteaPull(p *gitea.PullRequest) Pull {
	pull := Pull{Number: int(p.Index), Author: giteaUser(p.Poster), URL: p.HTMLURL, Open: p.State == gitea.StateOpen}
	if p.Base != nil {
		pull.Base = p.Base.Ref
	}
	if p.Head != nil {
		pull.Head = p.Head.Sha
	}
	if p.Updated != nil {
		pull.Updated = *p.Updated
	}
	if p.HasMerged && p.MergedCommitID != nil {
		pull.Merged = *p.MergedCommitID
	}
	return pull
}

// Comments implements Forge. Gitea gives all of them at once.
func (g *giteaForge) Comments(ctx context.Context, number int, since time.Time) ([]Comment, error) {
	found, _, err := g.client(ctx).ListIssueComments(g.owner, g.name, int64(number), gitea.ListIssueCommentOptions{Since: since})
	if err != nil {
		return nil, doing(err, "list comments of pull request %d", number)
	}
	var all []Comment
	for _, c := range found[:min(len(found), maxComments)] {
		all = append(all, giteaComment(c))
	}
	return all, nil
}

func giteaComment(c *gitea.Comment) Comment {
	return Comment{ID: c.ID, Author: giteaUser(c.Poster), Text: c.Body, URL: c.HTMLURL, Created: c.Created, Updated: c.Updated}
}

// Comment implements Forge.
func (g *giteaForge) Comment(ctx context.Context, number int, text string) (Comment, error) {
	c, _, err := g.client(ctx).CreateIssueComment(g.owner, g.name, int64(number), gitea.CreateIssueCommentOption{Body: text})
	if err != nil {
		return Comment{}, doing(err, "comment on pull request %d", number)
	}
	return giteaComment(c), nil
}

// Edit implements Forge.
func (g *giteaForge) Edit(ctx context.Context, number int, id int64, text string) (Comment, error) {
	c, _, err := g.client(ctx).EditIssueComment(g.owner, g.name, id, gitea.EditIssueCommentOption{Body: text})
	if err != nil {
		return Comment{}, doing(err, "change the comment on pull request %d", number)
	}
	return giteaComment(c), nil
}

// SetStatus implements Forge.
func (g *giteaForge) SetStatus(ctx context.Context, commit string, s Status) error {
	_, _, err := g.client(ctx).CreateStatus(g.owner, g.name, commit, gitea.CreateStatusOption{
		State: gitea.StatusState(s.State), Context: s.Context, Description: s.description(), TargetURL: s.URL,
	})
	return doing(err, "set the status of commit %.12s", commit)
}

// MayWrite implements Forge.
func (g *giteaForge) MayWrite(ctx context.Context, u User) (bool, error) {
	if u.Bot {
		return false, nil
	}
	level, _, err := g.client(ctx).CollaboratorPermission(g.owner, g.name, u.Login)
	if Missing(err) || err == nil && level == nil {
		return false, nil
	}
	if err != nil {
		return false, doing(err, "ask what %s may do", u.Login)
	}
	switch level.Permission {
	case gitea.AccessModeOwner, gitea.AccessModeAdmin, gitea.AccessModeWrite:
		return level.User != nil && level.User.ID == u.ID, nil
	}
	return false, nil
}

// Reviews implements Forge. One that was dismissed, or that was written before
// the last push, does not stand.
func (g *giteaForge) Reviews(ctx context.Context, p Pull) ([]Review, error) {
	options := gitea.ListPullReviewsOptions{ListOptions: gitea.ListOptions{Page: 1, PageSize: pageSize}}
	var l lastWords
	for seen := 0; seen < maxComments; options.Page++ {
		page, _, err := g.client(ctx).ListPullReviews(g.owner, g.name, int64(p.Number), options)
		if err != nil {
			return nil, doing(err, "list reviews of pull request %d", p.Number)
		}
		if len(page) == 0 {
			break
		}
		seen += len(page)
		for _, r := range page {
			state := string(r.State)
			if r.Dismissed || r.Stale {
				state = "DISMISSED"
			}
			l.add(state, Review{ID: r.ID, Author: giteaUser(r.Reviewer), Commit: r.CommitID, URL: r.HTMLURL, At: r.Submitted})
		}
	}
	return l.approving(), nil
}
