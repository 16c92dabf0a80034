package forgetest

import (
	"fmt"
	"net/http"
)

// gitea serves what Gitea documents at /api/swagger.
func (f *Forge) gitea(mux *http.ServeMux) {
	const repo = "/api/v1/repos/" + Project
	mux.HandleFunc("GET /api/v1/user", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, giteaUser(Bot)) })
	mux.HandleFunc("GET "+repo+"/pulls", func(w http.ResponseWriter, r *http.Request) {
		part, _, _ := page(r, 50, f.open())
		answer(w, 200, each(part, f.giteaPull))
	})
	mux.HandleFunc("GET "+repo+"/pulls/{number}", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			answer(w, 200, f.giteaPull(p))
		}
	})
	mux.HandleFunc("GET "+repo+"/issues/{number}/comments", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			answer(w, 200, each(since(r, p.Comments), f.giteaComment))
		}
	})
	mux.HandleFunc("POST "+repo+"/issues/{number}/comments", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ Body string }](w, r)
		if p := f.pull(w, r); ok && p != nil {
			answer(w, 201, f.giteaComment(f.comment(p, Bot, body.Body)))
		}
	})
	mux.HandleFunc("PATCH "+repo+"/issues/comments/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ Body string }](w, r)
		if !ok {
			return
		}
		if c := f.edit(w, r, body.Body); c != nil {
			answer(w, 200, f.giteaComment(c))
		}
	})
	mux.HandleFunc("POST "+repo+"/statuses/{commit}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ State, Context, Description string }](w, r)
		s := Status{Commit: r.PathValue("commit"), Context: body.Context, State: body.State, Description: body.Description}
		if ok && f.status(w, s, "pending", "success", "failure", "error", "warning") {
			answer(w, 201, object{"id": 1, "status": s.State, "context": s.Context})
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
			level = "read" // of a public repository
		}
		answer(w, 200, object{"permission": level, "role_name": level, "user": giteaUser(u)})
	})
	mux.HandleFunc("GET "+repo+"/pulls/{number}/reviews", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			part, _, _ := page(r, 50, p.Reviews)
			answer(w, 200, each(part, func(v *Review) object {
				return object{
					"id": v.ID, "user": giteaUser(v.Author), "state": "APPROVED", "commit_id": v.Commit, "submitted_at": v.At,
					"stale": v.Commit != p.Head, "dismissed": false, "official": true,
					"html_url": fmt.Sprintf("%s/%s/pulls/%d#issuecomment-%d", f.URL, Project, p.Number, v.ID),
				}
			}))
		}
	})
}

func giteaUser(u User) object {
	id := u.ID
	if u.Program {
		id = -2 // gitea-actions
	}
	return object{"id": id, "login": u.Login, "full_name": u.Name, "email": u.Email}
}

func (f *Forge) giteaPull(p *Pull) object {
	state, commit := "open", any(nil)
	if !p.Open {
		state = "closed"
	}
	if p.Merged != "" {
		commit = p.Merged
	}
	return object{
		"number": p.Number, "state": state, "user": giteaUser(p.Author), "title": "A pull request",
		"html_url": fmt.Sprintf("%s/%s/pulls/%d", f.URL, Project, p.Number),
		"base":     object{"ref": p.Base, "label": p.Base}, "head": object{"ref": "topic", "label": "topic", "sha": p.Head},
		"merged": p.Merged != "", "merge_commit_sha": commit, "created_at": p.Created, "updated_at": p.Updated,
	}
}

func (f *Forge) giteaComment(c *Comment) object {
	return object{
		"id": c.ID, "user": giteaUser(c.Author), "body": c.Text, "created_at": c.Created, "updated_at": c.Updated,
		"html_url": fmt.Sprintf("%s/%s/pulls/0#issuecomment-%d", f.URL, Project, c.ID),
	}
}
