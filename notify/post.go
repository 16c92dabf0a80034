package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/retryafter"
)

// Headers of a webhook. The signature is the HMAC-SHA256 of the body, as
// "sha256=" and hex digits; the id is the event's.
const (
	headerSignature = "X-Reconciler-Signature"
	headerEvent     = "X-Reconciler-Event"
	headerDelivery  = "X-Reconciler-Delivery"
)

// statusError is an answer that is not a success.
type statusError struct {
	status int
	after  time.Duration // that the target asks to wait
}

func (e *statusError) Error() string { return fmt.Sprintf("the target answered %d", e.status) }

// again tells whether the same message may get through later.
func again(err error) bool {
	var answered *statusError
	if !errors.As(err, &answered) {
		return true
	}
	return answered.status >= 500 || answered.status == http.StatusTooManyRequests || answered.status == http.StatusRequestTimeout
}

// retryAfter is how long a target asks to wait, up to a minute.
func retryAfter(err error) time.Duration {
	var answered *statusError
	if !errors.As(err, &answered) {
		return 0
	}
	return min(answered.after, time.Minute)
}

// client follows no redirect: a POST would become a GET, and a signed message
// would go to a host that nobody chose.
func client() *http.Client {
	return &http.Client{Timeout: postTime, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// post delivers an event once. Errors do not have the URL, which may be a
// secret.
func (n *Notifier) post(ctx context.Context, target Target, e Event) error {
	request, err := message(ctx, target, e)
	if err != nil {
		return err
	}
	response, err := n.config.Client.Do(request)
	var failed *url.Error
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("the target cannot be reached: %w", failed.Err)
	case err != nil:
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection serves again
	if response.StatusCode/100 != 2 {
		return &statusError{status: response.StatusCode, after: retryafter.Of(response.Header, time.Now(), time.Minute)}
	}
	return nil
}

// message is the request that tells a target of an event.
func message(ctx context.Context, target Target, e Event) (*http.Request, error) {
	at, err := target.URL()
	if err != nil {
		return nil, err
	}
	var content any = e
	if target.Slack {
		content = map[string]string{"text": chat(e)}
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the target has no URL that can be posted to")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "reconciler")
	if target.Slack {
		return request, nil
	}
	secret, err := target.Secret()
	if err == nil && secret == "" {
		err = errors.New("the target's secret is empty")
	}
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	request.Header.Set(headerSignature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	request.Header.Set(headerEvent, string(e.Kind))
	request.Header.Set(headerDelivery, e.ID)
	return request, nil
}

// quiet keeps what is quoted from a repository from calling people in a chat,
// or from being a link.
var quiet = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u200b", "`", "'", "*", "\u2217")

// chat is an event as a line or two for people.
func chat(e Event) string {
	lines := []string{"reconciler: " + quiet.Replace(e.Message)}
	if e.Next != "" {
		lines = append(lines, "next: "+quiet.Replace(e.Next))
	}
	return strings.Join(lines, "\n")
}
