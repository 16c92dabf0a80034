package forgetest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
)

// Delivery is a webhook as it is sent.
type Delivery struct {
	Header http.Header
	Body   []byte
}

// Hook sends a webhook of each change from now on to a URL, signed with a
// secret, and waits for the answer.
func (f *Forge) Hook(url, secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = func(event string, body any) {
		d := f.Delivery(event, body, secret)
		if status := f.Deliver(url, d); status != http.StatusAccepted {
			f.tb.Errorf("the webhook %s was answered %d", event, status)
		}
	}
}

// Pushed sends the webhook of a push to main.
func (f *Forge) Pushed(before, after string) {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	body := object{"ref": "refs/heads/main", "before": before, "after": after, "repository": object{"full_name": Project}}
	name := "push"
	if f.Kind == "gitlab" {
		name, body["object_kind"] = "Push Hook", "push"
	}
	if hook != nil {
		hook(name, body)
	}
}

// Delivery is a webhook with the headers of the forge's documentation.
func (f *Forge) Delivery(event string, body any, secret string) Delivery {
	text, err := json.Marshal(body)
	if err != nil {
		f.tb.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	signature, id := hex.EncodeToString(mac.Sum(nil)), rand.Text()
	h := http.Header{"Content-Type": {"application/json"}}
	switch f.Kind {
	case "gitea": // it sends GitHub's beside its own
		h.Set("X-Gitea-Delivery", id)
		h.Set("X-Gitea-Event", event)
		h.Set("X-Gitea-Signature", signature)
		fallthrough
	case "github":
		h.Set("X-GitHub-Delivery", id)
		h.Set("X-GitHub-Event", event)
		h.Set("X-Hub-Signature-256", "sha256="+signature)
	case "gitlab":
		h.Set("X-Gitlab-Event", event)
		h.Set("X-Gitlab-Token", secret)
		h.Set("Idempotency-Key", id)
		h.Set("X-Gitlab-Event-UUID", rand.Text())
	}
	return Delivery{Header: h, Body: text}
}

// Deliver sends a webhook and returns the status of the answer.
func (f *Forge) Deliver(url string, d Delivery) int {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(d.Body))
	if err != nil {
		f.tb.Fatal(err)
	}
	request.Header = d.Header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.tb.Error(err)
		return 0
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body) //nolint:errcheck // the status is all that counts
	return response.StatusCode
}

// event is the name and the body of a webhook about a pull request, as far as
// a receiver may look.
func (f *Forge) event(what string, p *Pull) (name string, body object) {
	last := object{}
	if what == "comment" && len(p.Comments) > 0 {
		c := p.Comments[len(p.Comments)-1]
		last = object{"id": c.ID, "body": c.Text, "note": c.Text, "created_at": c.Created, "updated_at": c.Updated}
	}
	if f.Kind == "gitlab" {
		attributes := object{"iid": p.Number, "state": f.gitLabPull(p)["state"], "action": what, "updated_at": p.Updated, "last_commit": object{"id": p.Head}}
		if what == "comment" {
			return "Note Hook", object{"object_kind": "note", "object_attributes": last, "merge_request": attributes}
		}
		return "Merge Request Hook", object{"object_kind": "merge_request", "object_attributes": attributes}
	}
	pull := f.gitHubPull(p)
	switch what {
	case "comment":
		return "issue_comment", object{"action": "created", "issue": object{"number": p.Number, "pull_request": object{}}, "comment": last}
	case "review":
		name := "pull_request_review"
		if f.Kind == "gitea" {
			name = "pull_request_approved"
		}
		return name, object{"action": "submitted", "pull_request": pull, "review": object{"state": "approved"}}
	}
	return "pull_request", object{"action": what, "number": p.Number, "pull_request": pull}
}
