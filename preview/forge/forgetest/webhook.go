package forgetest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
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
		h.Set("Idempotency-Key", id)
		h.Set("X-Gitlab-Event-UUID", rand.Text())
		h.Set("X-Gitlab-Webhook-UUID", rand.Text())
		h.Set("X-Gitlab-Instance", f.URL)
		f.gitLabSign(h, id, secret, text)
	}
	return Delivery{Header: h, Body: text}
}

// SigningToken is a secret that GitLab signs with; any other one it shows.
const SigningToken = "whsec_c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTMyYnl0ZXM="

func (f *Forge) gitLabSign(h http.Header, id, secret string, body []byte) {
	text, signs := strings.CutPrefix(secret, "whsec_")
	if !signs {
		h.Set("X-Gitlab-Token", secret)
		return
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		f.tb.Fatal(err)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", at)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
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
// a receiver may look. The shapes are those of docs.github.com/webhooks/
// webhook-events-and-payloads, of docs.gitlab.com/user/project/integrations/
// webhook_events, and of docs.gitea.com/usage/webhooks.
func (f *Forge) event(what string, p *Pull) (name string, body object) {
	if f.Kind == "gitlab" {
		return f.gitLabEvent(what, p)
	}
	pull, by := f.gitHubPull(p), gitHubUser(p.Author)
	if f.Kind == "gitea" {
		pull, by = f.giteaPull(p), giteaUser(p.Author)
	}
	name, body = "pull_request", object{"action": what, "number": p.Number, "pull_request": pull}
	switch {
	case what == "comment":
		name, body = "issue_comment", object{"action": "created", "issue": object{"number": p.Number, "pull_request": object{}}, "comment": f.lastComment(p)}
		if f.Kind == "gitea" {
			body["is_pull"] = true
		}
	case what == "review" && f.Kind == "gitea":
		name = "pull_request_approved"
		body["action"], body["review"] = "reviewed", object{"type": "pull_request_review_approved", "content": ""}
	case what == "review":
		name = "pull_request_review"
		body = object{"action": "submitted", "pull_request": pull, "review": object{"state": "approved", "commit_id": p.Head}}
	case what == "synchronize" && f.Kind == "gitea":
		body["action"] = "synchronized"
	}
	body["repository"], body["sender"] = object{"full_name": Project}, by
	return name, body
}

// gitLabEvent is a Merge Request Hook or a Note Hook. A push is an update with
// the commit before it.
func (f *Forge) gitLabEvent(what string, p *Pull) (name string, body object) {
	request := f.gitLabPull(p)
	request["last_commit"] = object{"id": p.Head}
	body = object{"user": gitLabUser(p.Author), "project": object{"id": ProjectID, "path_with_namespace": Project}}
	if what == "comment" {
		note := f.lastComment(p)
		note["note"], note["noteable_type"], note["action"] = note["body"], "MergeRequest", "create"
		body["object_kind"], body["event_type"] = "note", "note"
		body["object_attributes"], body["merge_request"] = note, request
		return "Note Hook", body
	}
	request["action"] = map[string]string{"opened": "open", "synchronize": "update", "closed": "close", "review": "approved"}[what]
	switch {
	case what == "synchronize":
		request["oldrev"] = strings.Repeat("0", 40)
	case p.Merged != "":
		request["action"] = "merge"
	}
	body["object_kind"], body["event_type"], body["object_attributes"] = "merge_request", "merge_request", request
	return "Merge Request Hook", body
}

func (*Forge) lastComment(p *Pull) object {
	if len(p.Comments) == 0 {
		return object{}
	}
	c := p.Comments[len(p.Comments)-1]
	return object{"id": c.ID, "body": c.Text, "created_at": c.Created, "updated_at": c.Updated}
}
