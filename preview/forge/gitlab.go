package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"
	"golang.org/x/time/rate"
)

// gitLab is /api/v4 of docs.gitlab.com/api.
type gitLab struct {
	client       *gitlab.Client
	url, project string
}

func openGitLab(c Config) (Forge, error) {
	client, err := c.client(show("PRIVATE-TOKEN", "", c.Token))
	if err != nil {
		return nil, err
	}
	g := &gitLab{url: c.URL, project: c.Project}
	g.client, err = gitlab.NewClient("", // the transport shows the token
		gitlab.WithBaseURL(c.URL), gitlab.WithHTTPClient(client), gitlab.WithUserAgent(userAgent), gitlab.WithoutRetries(),
		gitlab.WithCustomLimiter(rate.NewLimiter(rate.Inf, 0))) // the transport waits
	return g, err
}

// Self implements Forge.
func (g *gitLab) Self(ctx context.Context) (User, error) {
	u, _, err := g.client.Users.CurrentUser(gitlab.WithContext(ctx))
	if err != nil {
		return User{}, doing(err, "ask who the token is of")
	}
	return User{ID: u.ID, Login: u.Username, Name: u.Name, Email: u.Email, Bot: u.Bot}, nil
}

// Pulls implements Forge.
func (g *gitLab) Pulls(ctx context.Context) ([]Pull, error) {
	options := &gitlab.ListProjectMergeRequestsOptions{
		State: new("opened"), OrderBy: new("updated_at"), Sort: new("desc"), ListOptions: gitlab.ListOptions{PerPage: pageSize},
	}
	var all []Pull
	for len(all) < maxPulls {
		page, response, err := g.client.MergeRequests.ListProjectMergeRequests(g.project, options, gitlab.WithContext(ctx))
		if err != nil {
			return nil, doing(err, "list merge requests")
		}
		for _, m := range page {
			all = append(all, gitLabPull(m))
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	return all, nil
}

// Pull implements Forge.
func (g *gitLab) Pull(ctx context.Context, number int) (Pull, error) {
	m, _, err := g.client.MergeRequests.GetMergeRequest(g.project, int64(number), nil, gitlab.WithContext(ctx))
	if err != nil {
		return Pull{}, doing(err, "read merge request %d", number)
	}
	return gitLabPull(&m.BasicMergeRequest), nil
}

// gitLabPull is a merge request of an answer. A fast-forward leaves neither a
// merge nor a squash commit, but the head itself.
func gitLabPull(m *gitlab.BasicMergeRequest) Pull {
	pull := Pull{
		Number: int(m.IID), Author: gitLabUser(m.Author), Base: m.TargetBranch, Head: m.SHA, URL: m.WebURL, Open: m.State == "opened",
	}
	if m.SourceProjectID != m.TargetProjectID {
		pull.Fork = m.SourceProjectID
	}
	if m.UpdatedAt != nil {
		pull.Updated = *m.UpdatedAt
	}
	if m.State == "merged" {
		pull.Merged = firstOf(m.MergeCommitSHA, m.SquashCommitSHA, m.SHA)
	}
	return pull
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// tokenUser is the login of a project's or group's access token
// (docs.gitlab.com, "Bot users for projects").
var tokenUser = regexp.MustCompile(`^(project|group)_\d+_bot(_|\d|$)`)

func gitLabUser(u *gitlab.BasicUser) User {
	if u == nil {
		return User{Login: "ghost", Bot: true} // deleted
	}
	return User{ID: u.ID, Login: u.Username, Name: u.Name, Bot: tokenUser.MatchString(u.Username)}
}

// Comments implements Forge.
func (g *gitLab) Comments(ctx context.Context, number int, since time.Time) ([]Comment, error) {
	notes, err := g.notes(ctx, number, since)
	var all []Comment
	for _, n := range notes {
		if !n.System {
			all = append(all, g.comment(number, n))
		}
	}
	return all, err
}

// notes are what people wrote and what GitLab says itself, the oldest first.
func (g *gitLab) notes(ctx context.Context, number int, since time.Time) ([]*gitlab.Note, error) {
	options := &gitlab.ListMergeRequestNotesOptions{
		OrderBy: new("updated_at"), Sort: new("desc"), ListOptions: gitlab.ListOptions{PerPage: pageSize},
	}
	var all []*gitlab.Note
	for len(all) < maxComments {
		page, response, err := g.client.Notes.ListMergeRequestNotes(g.project, int64(number), options, gitlab.WithContext(ctx))
		if err != nil {
			return nil, doing(err, "list comments of merge request %d", number)
		}
		known := slices.IndexFunc(page, func(n *gitlab.Note) bool { return n.UpdatedAt != nil && n.UpdatedAt.Before(since) })
		if known >= 0 {
			all = append(all, page[:known]...)
			break
		}
		all = append(all, page...)
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b *gitlab.Note) int { return int(a.ID - b.ID) })
	return all, nil
}

// comment is a note of an answer.
func (g *gitLab) comment(number int, n *gitlab.Note) Comment {
	c := Comment{
		ID: n.ID, Text: n.Body, URL: noteURL(fmt.Sprintf("%s/%s/-/merge_requests/%d", g.url, g.project, number), n.ID),
		Author: User{
			ID: n.Author.ID, Login: n.Author.Username, Name: n.Author.Name, Email: n.Author.Email, Bot: tokenUser.MatchString(n.Author.Username),
		},
	}
	if n.CreatedAt != nil {
		c.Created, c.Updated = *n.CreatedAt, *n.CreatedAt
	}
	if n.UpdatedAt != nil {
		c.Updated = *n.UpdatedAt
	}
	return c
}

// noteURL is where people see a note; an answer does not tell.
func noteURL(request string, id int64) string { return fmt.Sprintf("%s#note_%d", request, id) }

// Comment implements Forge.
func (g *gitLab) Comment(ctx context.Context, number int, text string) (Comment, error) {
	n, _, err := g.client.Notes.CreateMergeRequestNote(g.project, int64(number), &gitlab.CreateMergeRequestNoteOptions{Body: &text}, gitlab.WithContext(ctx))
	if err != nil {
		return Comment{}, doing(err, "comment on merge request %d", number)
	}
	return g.comment(number, n), nil
}

// Edit implements Forge.
func (g *gitLab) Edit(ctx context.Context, number int, id int64, text string) (Comment, error) {
	n, _, err := g.client.Notes.UpdateMergeRequestNote(g.project, int64(number), id, &gitlab.UpdateMergeRequestNoteOptions{Body: &text}, gitlab.WithContext(ctx))
	if err != nil {
		return Comment{}, doing(err, "change the comment on merge request %d", number)
	}
	return g.comment(number, n), nil
}

// SetStatus implements Forge. GitLab refuses to set a state that a status has
// already, with "Cannot transition status via :enqueue from :pending". The
// head of a merge request from a fork is in no branch of the project, which
// GitLab answers with 404 "References for commit Not Found": its merge request
// shows the status that the commit has in the fork, where the token may be let
// in or not.
func (g *gitLab) SetStatus(ctx context.Context, commit string, s Status) error {
	state := gitlab.BuildStateValue(s.State)
	if s.State == Failure {
		state = gitlab.Failed
	}
	options := &gitlab.SetCommitStatusOptions{State: state, Name: &s.Context, Description: new(s.description())}
	if s.URL != "" {
		options.TargetURL = &s.URL
	}
	_, _, err := g.client.Commits.SetCommitStatus(g.project, commit, options, gitlab.WithContext(ctx))
	if Missing(err) && s.Fork != 0 {
		_, _, err = g.client.Commits.SetCommitStatus(s.Fork, commit, options, gitlab.WithContext(ctx))
	}
	refused, ok := errors.AsType[*RefusedError](err)
	if ok && refused.Status == http.StatusBadRequest && strings.Contains(refused.Message, "Cannot transition status") {
		return nil
	}
	return doing(err, "set the status of commit %.12s", commit)
}

// MayWrite implements Forge: a member of the project or a group above it, as a
// developer or more.
func (g *gitLab) MayWrite(ctx context.Context, u User) (bool, error) {
	if u.Bot {
		return false, nil
	}
	member, _, err := g.client.ProjectMembers.GetInheritedProjectMember(g.project, u.ID, gitlab.WithContext(ctx))
	if Missing(err) {
		return false, nil
	}
	if err != nil {
		return false, doing(err, "ask what %s may do", u.Login)
	}
	if member.State != "active" || member.AccessLevel < gitlab.DeveloperPermissions {
		return false, nil
	}
	known, _, err := g.client.Users.GetUser(u.ID, gitlab.GetUsersOptions{}, gitlab.WithContext(ctx))
	if err != nil {
		return false, doing(err, "ask who %s is", u.Login)
	}
	return !known.Bot, nil
}

// Reviews implements Forge. An approval does not tell when it was given: the
// note that GitLab writes of it does.
func (g *gitLab) Reviews(ctx context.Context, p Pull) ([]Review, error) {
	given, _, err := g.client.MergeRequests.GetMergeRequestApprovals(g.project, int64(p.Number), gitlab.WithContext(ctx))
	if err != nil {
		return nil, doing(err, "list approvals of merge request %d", p.Number)
	}
	if len(given.ApprovedBy) == 0 {
		return nil, nil
	}
	notes, err := g.notes(ctx, p.Number, time.Time{})
	if err != nil {
		return nil, err
	}
	var all []Review
	for _, by := range given.ApprovedBy {
		if by.User == nil {
			continue
		}
		for _, n := range slices.Backward(notes) {
			if n.System && n.Author.ID == by.User.ID && n.Body == "approved this merge request" && n.CreatedAt != nil {
				all = append(all, Review{ID: n.ID, Author: gitLabUser(by.User), URL: noteURL(p.URL, n.ID), At: *n.CreatedAt})
				break
			}
		}
	}
	return all, nil
}
