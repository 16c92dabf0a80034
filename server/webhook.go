package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

const (
	maxWebhook = 5 << 20 // bytes; a host lists the commits of a push, and sends less by itself
	maxSeen    = 1000    // deliveries that are remembered
)

// Webhook is told of pushes by a git host. What a request says is believed for
// one thing alone: that it is worth looking at the repository now.
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
	// Count is told how each request ended: woken, ignored or refused. May be
	// nil.
	Count func(outcome string)
}

var (
	errUnsigned  = errors.New("the request is signed with none of the secrets")
	errNoSecrets = errors.New("the server's webhook secrets cannot be read")
)

// hook serves the Webhook, and remembers deliveries.
type hook struct {
	Webhook
	seen deliveries
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
	if !sender.push {
		return webhookAnswer{Reason: "this is no push"}, nil
	}
	var push struct {
		Ref string `json:"ref"`
	}
	if err := json.Unmarshal(body, &push); err != nil {
		return answer, &badRequest{errors.New("it is no JSON object with a ref")}
	}
	switch {
	case !h.Follows(push.Ref):
		return webhookAnswer{Reason: "this ref is not followed"}, nil
	case h.seen.before(sender.delivery):
		return webhookAnswer{Reason: "this delivery came before"}, nil
	}
	h.Wake()
	return webhookAnswer{Woken: true}, nil
}

// sender is what the headers of a request say of who sent it.
type sender struct {
	shown     string // the secret itself
	signature string // of the body, in hex
	push      bool
	delivery  string // its id; empty for none
}

// senderOf reads the headers of Gitea and Forgejo, GitHub, GitLab, and of the
// generic form. Gitea sends GitHub's headers beside its own. Each host's
// documentation has them under webhooks.
func senderOf(h http.Header) sender {
	hex := func(name string) string { return strings.TrimPrefix(h.Get(name), "sha256=") }
	switch {
	case h.Get("X-Gitea-Event") != "":
		return sender{signature: h.Get("X-Gitea-Signature"), push: h.Get("X-Gitea-Event") == "push", delivery: h.Get("X-Gitea-Delivery")}
	case h.Get("X-GitHub-Event") != "":
		return sender{signature: hex("X-Hub-Signature-256"), push: h.Get("X-GitHub-Event") == "push", delivery: h.Get("X-GitHub-Delivery")}
	case h.Get("X-Gitlab-Event") != "":
		event := h.Get("X-Gitlab-Event")
		return sender{shown: h.Get("X-Gitlab-Token"), push: event == "Push Hook" || event == "Tag Push Hook", delivery: h.Get("Idempotency-Key")}
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
