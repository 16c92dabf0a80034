package forgetest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// gitLab serves what docs.gitlab.com/api documents.
func (f *Forge) gitLab(mux *http.ServeMux) {
	const repo = "/api/v4/projects/{project}" // company%2Ffleet
	handle := func(pattern string, do func(http.ResponseWriter, *http.Request)) {
		method, path, _ := cut(pattern)
		mux.HandleFunc(method+" "+repo+path, func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("project") != Project {
				missing(w)
				return
			}
			do(w, r)
		})
	}
	mux.HandleFunc(fmt.Sprintf("POST /api/v4/projects/%d/statuses/{commit}", ForkID), f.gitLabStatus)
	mux.HandleFunc("GET /api/v4/user", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, gitLabUser(Bot)) })
	mux.HandleFunc("GET /api/v4/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if u, ok := f.userByID(r); ok {
			answer(w, 200, gitLabUser(u))
		} else {
			missing(w)
		}
	})
	handle("GET /merge_requests", func(w http.ResponseWriter, r *http.Request) {
		part, number, more := page(r, 100, f.open())
		next(w, number, more)
		answer(w, 200, each(part, f.gitLabPull))
	})
	handle("GET /merge_requests/{number}", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			answer(w, 200, f.gitLabPull(p))
		}
	})
	handle("GET /merge_requests/{number}/notes", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			list := slices.Clone(p.Comments)
			slices.SortStableFunc(list, func(a, b *Comment) int { return cmp.Or(b.Updated.Compare(a.Updated), int(b.ID-a.ID)) })
			part, number, more := page(r, 100, list)
			next(w, number, more)
			answer(w, 200, each(part, gitLabNote))
		}
	})
	handle("POST /merge_requests/{number}/notes", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ Body string }](w, r)
		if p := f.pull(w, r); ok && p != nil {
			answer(w, 201, gitLabNote(f.comment(p, Bot, body.Body)))
		}
	})
	handle("PUT /merge_requests/{number}/notes/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := read[struct{ Body string }](w, r)
		if !ok {
			return
		}
		if c := f.edit(w, r, body.Body); c != nil {
			answer(w, 200, gitLabNote(c))
		}
	})
	handle("POST /statuses/{commit}", func(w http.ResponseWriter, r *http.Request) {
		for _, p := range f.pulls {
			if p.Fork && p.Head == r.PathValue("commit") && p.Merged == "" {
				answer(w, 404, object{"message": "404 References for commit Not Found"})
				return
			}
		}
		f.gitLabStatus(w, r)
	})
	handle("GET /members/all/{id}", func(w http.ResponseWriter, r *http.Request) {
		u, ok := f.userByID(r)
		level, member := map[string]int{"read": 20, "write": 30, "admin": 50}[u.Access]
		if !ok || !member {
			missing(w)
			return
		}
		answer(w, 200, object{"id": u.ID, "username": u.Login, "state": "active", "access_level": level})
	})
	handle("GET /merge_requests/{number}/approvals", func(w http.ResponseWriter, r *http.Request) {
		if p := f.pull(w, r); p != nil {
			by := each(p.Reviews, func(v *Review) object { return object{"user": gitLabUser(v.Author)} })
			answer(w, 200, object{"iid": p.Number, "approved": len(by) > 0, "approved_by": by})
		}
	})
}

// gitLabStatus refuses a state that the status has, as GitLab does.
func (f *Forge) gitLabStatus(w http.ResponseWriter, r *http.Request) {
	body, ok := read[struct{ State, Name, Description string }](w, r)
	if !ok {
		return
	}
	s := Status{Commit: r.PathValue("commit"), Context: body.Name, State: body.State, Description: body.Description}
	for _, old := range slices.Backward(f.statuses) {
		if old.Commit == s.Commit && old.Context == s.Context {
			if old.State == s.State {
				answer(w, 400, object{"message": `Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via "enqueue")`})
				return
			}
			break
		}
	}
	if f.status(w, s, "pending", "running", "success", "failed", "canceled") {
		answer(w, 201, object{"status": s.State, "name": s.Context})
	}
}

func cut(pattern string) (method, path string, ok bool) {
	for i := range pattern {
		if pattern[i] == ' ' {
			return pattern[:i], pattern[i+1:], true
		}
	}
	return "", "", false
}

// next names the page that follows, as docs.gitlab.com/api/rest, "Offset-based
// pagination", has it.
func next(w http.ResponseWriter, number int, more bool) {
	w.Header().Set("X-Page", strconv.Itoa(number))
	w.Header().Set("X-Next-Page", "")
	if more {
		w.Header().Set("X-Next-Page", strconv.Itoa(number+1))
	}
}

func (f *Forge) userByID(r *http.Request) (User, bool) {
	for _, u := range f.users {
		if fmt.Sprint(u.ID) == r.PathValue("id") {
			return u, true
		}
	}
	return User{}, false
}

func gitLabUser(u User) object {
	return object{"id": u.ID, "username": u.Login, "name": u.Name, "state": "active", "bot": u.Program}
}

func (f *Forge) gitLabPull(p *Pull) object {
	state := "opened"
	switch {
	case p.Merged != "":
		state = "merged"
	case !p.Open:
		state = "closed"
	}
	source := ProjectID
	if p.Fork {
		source = ForkID
	}
	return object{
		"source_project_id": source, "target_project_id": ProjectID,
		"iid": p.Number, "state": state, "author": gitLabUser(p.Author), "title": "A merge request", "target_branch": p.Base,
		"sha": p.Head, "merge_commit_sha": optional(p.Merged), "squash_commit_sha": nil, "created_at": p.Created, "updated_at": p.Updated,
		"web_url": fmt.Sprintf("%s/%s/-/merge_requests/%d", f.URL, Project, p.Number),
	}
}

func gitLabNote(c *Comment) object {
	return object{
		"id": c.ID, "author": gitLabUser(c.Author), "body": c.Text, "system": c.System, "created_at": c.Created, "updated_at": c.Updated,
	}
}
