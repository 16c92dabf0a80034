package forgetest

import (
	"fmt"
	"net/http"
	"time"
)

// object is a JSON object.
type object = map[string]any

// gitHub serves what docs.github.com/rest documents, as GitHub Enterprise
// Server does.
func (f *Forge) gitHub(mux *http.ServeMux) {
	const repo = "/api/v3/repos/" + Project
	mux.HandleFunc("GET /api/v3/user", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, gitHubUser(Bot)) })
	mux.HandleFunc("GET "+repo+"/pulls", func(w http.ResponseWriter, r *http.Request) {
		part, number, more := page(r, 100, f.open())
		if more {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=%d>; rel="next"`, f.URL, r.URL.Path, number+1))
		}
		answer(w, 200, each(part, f.gitHubPull))
	})
	mux.HandleFunc("GET "+repo+"/pulls/{number}", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			answer(w, 200, f.gitHubPull(p))
		}
	})
	mux.HandleFunc("GET "+repo+"/issues/{number}/comments", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			part, number, more := page(r, 100, since(r, p.Comments))
			if more {
				w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=%d&since=%s>; rel="next"`, f.URL, r.URL.Path, number+1, r.FormValue("since")))
			}
			answer(w, 200, each(part, f.gitHubComment))
		}
	})
	mux.HandleFunc("POST "+repo+"/issues/{number}/comments", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ Body string }](w, r)
		if p := f.pull(w, r); ok && p != nil {
			answer(w, 201, f.gitHubComment(f.comment(p, Bot, body.Body)))
		}
	})
	mux.HandleFunc("PATCH "+repo+"/issues/comments/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ Body string }](w, r)
		if !ok {
			return
		}
		if c := f.edit(w, r, body.Body); c != nil {
			answer(w, 200, f.gitHubComment(c))
		}
	})
	mux.HandleFunc("POST "+repo+"/statuses/{commit}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ State, Context, Description string }](w, r)
		s := Status{Commit: r.PathValue("commit"), Context: body.Context, State: body.State, Description: body.Description}
		if ok && f.status(w, s, "pending", "success", "failure", "error") {
			answer(w, 201, object{"state": s.State, "context": s.Context})
		}
	})
	mux.HandleFunc("GET "+repo+"/collaborators/{login}/permission", func(w http.ResponseWriter, r *http.Request) {
		u, ok := f.users[r.PathValue("login")]
		if !ok {
			missing(w)
			return
		}
		level := u.Access
		if level == "" {
			level = "none"
		}
		answer(w, 200, object{"permission": level, "role_name": level, "user": gitHubUser(u)})
	})
	mux.HandleFunc("GET "+repo+"/pulls/{number}/reviews", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			answer(w, 200, each(p.Reviews, func(v *Review) object {
				return object{
					"id": v.ID, "user": gitHubUser(v.Author), "state": "APPROVED", "commit_id": v.Commit, "submitted_at": v.At,
					"html_url": fmt.Sprintf("%s/%s/pull/%d#pullrequestreview-%d", f.URL, Project, p.Number, v.ID),
				}
			}))
		}
	})
}

// each turns a list into JSON, [] when it is empty.
func each[T any](list []T, form func(T) object) []object {
	all := []object{}
	for _, one := range list {
		all = append(all, form(one))
	}
	return all
}

// since are the comments that were changed at a time or after it.
func since(r *http.Request, list []*Comment) []*Comment {
	from, err := time.Parse(time.RFC3339, r.FormValue("since"))
	var all []*Comment
	for _, c := range list {
		if !c.System && (err != nil || !c.Updated.Before(from)) {
			all = append(all, c)
		}
	}
	return all
}

func gitHubUser(u User) object {
	kind := "User"
	if u.Program {
		kind = "Bot"
	}
	return object{"login": u.Login, "id": u.ID, "type": kind, "name": optional(u.Name), "email": optional(u.Email)}
}

func optional(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (f *Forge) gitHubPull(p *Pull) object {
	state, merged := "open", any(nil)
	if !p.Open {
		state = "closed"
	}
	commit := "feedfacefeedfacefeedfacefeedfacefeedface" // of a trial
	if p.Merged != "" {
		merged, commit = p.Updated, p.Merged
	}
	return object{
		"number": p.Number, "state": state, "user": gitHubUser(p.Author), "draft": false, "title": "A pull request",
		"html_url": fmt.Sprintf("%s/%s/pull/%d", f.URL, Project, p.Number),
		"base":     object{"ref": p.Base, "repo": object{"full_name": Project}}, "head": object{"ref": "topic", "sha": p.Head},
		"merged_at": merged, "merge_commit_sha": commit, "created_at": p.Created, "updated_at": p.Updated,
	}
}

func (f *Forge) gitHubComment(c *Comment) object {
	return object{
		"id": c.ID, "user": gitHubUser(c.Author), "body": c.Text, "created_at": c.Created, "updated_at": c.Updated,
		"html_url": fmt.Sprintf("%s/%s/pull/0#issuecomment-%d", f.URL, Project, c.ID),
	}
}
