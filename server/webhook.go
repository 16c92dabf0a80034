package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxWebhook = 5 << 20         // bytes; a host lists the commits of a push, and sends less by itself
	maxSeen    = 1000            // deliveries that are remembered
	maxAge     = 5 * time.Minute // of a signature that has its time; standardwebhooks.com advises it
)

// Webhook is told by a git host of pushes, and of what happens to pull requests.
// What a request says is believed for one thing alone: that it is worth looking
// at the repository, or at the pull requests, now.
type Webhook struct {
	// Secrets returns the secrets that a request may be signed with, the one
	// before too while hosts are moved to a new one. They are read for each
	// request. Empty ones never count.
	Secrets func() ([]string, error)
	// Follows tells whether a push to a ref, such as refs/heads/main, concerns
	// the fleet.
	Follows func(ref string) bool
	// Wake looks at the repository soon. It does not block.
	Wake func()
	// Pulls looks at the pull requests soon. It does not block. Nil when nobody
	// does.
	Pulls func()
	// Count is told how each request ended: woken, ignored or refused. May be
	// nil.
	Count func(outcome string)
	// Now tells how old a signature is; default time.Now.
	Now func() time.Time
}

var (
	errUnsigned  = errors.New("the request is signed with none of the secrets")
	errNoSecrets = errors.New("the server's webhook secrets cannot be read")
	errReplayed  = errors.New("the request came before under another delivery id")
)

// hook serves the Webhook, and remembers deliveries.
type hook struct {
	Webhook
	seen   deliveries // ids of deliveries
	bodies deliveries // what was delivered
}

// webhookAnswer says what came of a request.
type webhookAnswer struct {
	Woken  bool   `json:"woken"`
	Reason string `json:"reason,omitempty"` // why not
}

func (h *hook) serve(w http.ResponseWriter, r *http.Request) error {
	answer, err := h.receive(w, r)
	outcome := "ignored"
	switch {
	case err != nil:
		outcome = "refused"
	case answer.Woken:
		outcome = "woken"
	}
	if h.Count != nil {
		h.Count(outcome)
	}
	if err != nil {
		return err
	}
	return write(w, http.StatusAccepted, answer)
}

// receive checks a request and wakes the fleet. Nothing of the body is looked
// at before its signature.
func (h *hook) receive(w http.ResponseWriter, r *http.Request) (answer webhookAnswer, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return answer, fmt.Errorf("%w: it takes %d bytes", errTooLarge, maxWebhook)
	case err != nil:
		return answer, &badRequest{err}
	}
	sender := senderOf(r.Header)
	if err := h.authenticate(sender, body); err != nil {
		return answer, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return answer, errMediaType
	}
	if !sender.push && !sender.pull {
		return webhookAnswer{Reason: "this is neither a push nor of a pull request"}, nil
	}
	wake, reason, err := h.concerned(sender, body)
	switch {
	case err != nil || reason != "":
		return webhookAnswer{Reason: reason}, err
	case sender.renamed:
		return answer, errReplayed
	case h.seen.before(sender.delivery):
		return webhookAnswer{Reason: "this delivery came before"}, nil
	case h.bodies.before(sender.content(body)):
		return answer, errReplayed
	}
	wake()
	return webhookAnswer{Woken: true}, nil
}

// concerned says what a request is to wake, or why nothing. Of a pull request
// its body says nothing that would be believed.
func (h *hook) concerned(from sender, body []byte) (wake func(), reason string, err error) {
	if from.pull {
		if h.Pulls == nil {
			return nil, "pull requests are not looked at", nil
		}
		return h.Pulls, "", nil
	}
	var push struct {
		Ref string `json:"ref"`
	}
	if err := json.Unmarshal(body, &push); err != nil {
		return nil, "", &badRequest{errors.New("it is no JSON object with a ref")}
	}
	if !h.Follows(push.Ref) {
		return nil, "this ref is not followed", nil
	}
	return h.Wake, "", nil
}

// sender is what the headers of a request say of who sent it.
type sender struct {
	shown     string // the secret itself
	signature string // of the body, in hex
	dated     *dated // another signature; nil for none
	push      bool
	pull      bool   // it is of a pull request, or may be
	delivery  string // its id; empty for none
	renamed   bool   // it has another id than the one that was signed
	host      string // empty for the generic form
}

// content is the name of what a host has delivered, under any id: hosts
// write times and commits into it, so that nothing comes twice but by somebody
// who has recorded it. The generic form may be the same for each push, and an
// id that is signed cannot be replaced.
func (s sender) content(body []byte) string {
	if s.host == "" || s.dated != nil {
		return ""
	}
	return fmt.Sprintf("%s %s %x", s.host, s.signature, sha256.Sum256(body))
}

// senderOf reads the headers of Gitea and Forgejo, GitHub, GitLab, and of the
// generic form. Gitea sends GitHub's headers beside its own, and has names of
// its own for what happens to a pull request, which begin alike. Each host's
// documentation has them under webhooks.
func senderOf(h http.Header) sender {
	hex := func(name string) string { return strings.TrimPrefix(h.Get(name), "sha256=") }
	if event := h.Get("X-Gitea-Event"); event != "" {
		return sender{
			host: "gitea", signature: h.Get("X-Gitea-Signature"), delivery: h.Get("X-Gitea-Delivery"),
			push: event == "push", pull: event == "issue_comment" || strings.HasPrefix(event, "pull_request"),
		}
	}
	if event := h.Get("X-GitHub-Event"); event != "" {
		return sender{
			host: "github", signature: hex("X-Hub-Signature-256"), delivery: h.Get("X-GitHub-Delivery"),
			push: event == "push", pull: event == "pull_request" || event == "pull_request_review" || event == "issue_comment",
		}
	}
	if event := h.Get("X-Gitlab-Event"); event != "" {
		s := sender{
			host: "gitlab", shown: h.Get("X-Gitlab-Token"), delivery: h.Get("Idempotency-Key"),
			push: event == "Push Hook" || event == "Tag Push Hook", pull: event == "Merge Request Hook" || event == "Note Hook",
		}
		if s.dated = datedOf(h); s.dated != nil {
			s.renamed = s.delivery != "" && s.delivery != s.dated.id
			s.shown, s.delivery = "", s.dated.id
		}
		return s
	}
	return sender{signature: hex("X-Reconciler-Signature"), push: true, delivery: h.Get("X-Reconciler-Delivery")}
}

// authenticate checks a request against every secret, in a time that tells
// nothing of how much of it is right, nor which one it was.
func (h *hook) authenticate(from sender, body []byte) error {
	secrets, err := h.Secrets()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSecrets, err)
	}
	signature, err := hex.DecodeString(from.signature)
	if err != nil {
		return errUnsigned
	}
	known := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		if from.dated != nil {
			known = from.dated.by(secret, body, h.now()) || known
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		signed := hmac.Equal(mac.Sum(nil), signature)
		shown := equal(from.shown, secret)
		known = known || signed || shown
	}
	if !known {
		return errUnsigned
	}
	return nil
}

func (h *hook) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

// dated is a signature of an id, a time and the body, as GitLab makes it with a
// signing token, after standardwebhooks.com.
type dated struct {
	id, at     string
	signatures []string // each as "v1," and base64
}

func datedOf(h http.Header) *dated {
	signatures := strings.Fields(h.Get("webhook-signature"))
	if len(signatures) == 0 {
		return nil
	}
	return &dated{id: h.Get("webhook-id"), at: h.Get("webhook-timestamp"), signatures: signatures}
}

// by tells that the signature is of now and by a secret, "whsec_" and the key in
// base64.
func (d *dated) by(secret string, body []byte, now time.Time) bool {
	text, is := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	seconds, malformed := strconv.ParseInt(d.at, 10, 64)
	if !is || err != nil || len(key) == 0 || malformed != nil || d.id == "" || now.Sub(time.Unix(seconds, 0)).Abs() > maxAge {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(d.id + "." + d.at + "."))
	mac.Write(body)
	want, known := []byte("v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))), false
	for _, one := range d.signatures {
		known = hmac.Equal([]byte(one), want) || known
	}
	return known
}

// deliveries remembers the ids of the last deliveries: hosts send one again
// when they have not seen the answer.
type deliveries struct {
	mu    sync.Mutex
	known map[string]bool
	order []string
}

// before tells whether an id came before, and remembers it.
func (d *deliveries) before(id string) bool {
	if id == "" {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[id] {
		return true
	}
	if d.known == nil {
		d.known = map[string]bool{}
	}
	if len(d.order) == maxSeen {
		delete(d.known, d.order[0])
		d.order = d.order[1:]
	}
	d.known[id], d.order = true, append(d.order, id)
	return false
}
