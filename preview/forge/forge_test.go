package forge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/preview/forge/forgetest"
)

var (
	ada = forgetest.User{ID: 7, Login: "ada", Name: "Ada Lovelace", Access: "write"}
	eve = forgetest.User{ID: 8, Login: "eve", Access: "read"}
	ci  = forgetest.User{ID: 9, Login: "project_1_bot_9f", Program: true, Access: "admin"}
)

const head = "1111111111111111111111111111111111111111"

func open(t *testing.T, f *forgetest.Forge, change func(*forge.Config)) forge.Forge {
	t.Helper()
	c := forge.Config{Kind: f.Kind, URL: f.URL, Project: forgetest.Project, Token: func() (string, error) { return forgetest.Token, nil }}
	if change != nil {
		change(&c)
	}
	client, err := forge.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// each runs a test with every kind of forge.
func each(t *testing.T, test func(t *testing.T, f *forgetest.Forge)) {
	for _, kind := range []string{"github", "gitlab", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			f := forgetest.New(t, kind)
			f.Users(ada, eve, ci)
			test(t, f)
		})
	}
}

func TestForge(t *testing.T) {
	each(t, func(t *testing.T, f *forgetest.Forge) {
		ctx, client := t.Context(), open(t, f, nil)
		self, err := client.Self(ctx)
		if err != nil || self.Login != forgetest.Bot.Login || self.ID != forgetest.Bot.ID {
			t.Fatalf("self: got %+v, %v", self, err)
		}
		for n := 1; n <= 130; n++ { // two pages
			f.Open(n, ada, head)
		}
		f.CloseWithout(3)
		pulls, err := client.Pulls(ctx)
		if err != nil || len(pulls) != 129 || pulls[0].Number != 130 || slices.ContainsFunc(pulls, func(p forge.Pull) bool { return p.Number == 3 }) {
			t.Fatalf("got %d pull requests, %v", len(pulls), err)
		}
		if p := pulls[0]; p.Head != head || p.Base != "main" || p.Author.Login != "ada" || p.Author.ID != 7 || !p.Open || p.Updated.IsZero() || p.Merged != "" {
			t.Errorf("got %+v", p)
		}
		f.Merge(1, strings.Repeat("2", 40))
		if p, err := client.Pull(ctx, 1); err != nil || p.Open || p.Merged != strings.Repeat("2", 40) {
			t.Errorf("merged: got %+v, %v", p, err)
		}
		if p, err := client.Pull(ctx, 3); err != nil || p.Open || p.Merged != "" {
			t.Errorf("closed: got %+v, %v", p, err)
		}
		if _, err := client.Pull(ctx, 999); !forge.Missing(err) {
			t.Errorf("unknown: got %v", err)
		}
	})
}

func TestComments(t *testing.T) {
	each(t, func(t *testing.T, f *forgetest.Forge) {
		ctx, client := t.Context(), open(t, f, nil)
		f.Open(1, ada, head)
		for i := range 120 {
			f.Say(1, eve, fmt.Sprint("noise ", i))
		}
		text := "<!-- mark -->\n**bold** @everyone \u00e9"
		own, err := client.Comment(ctx, 1, text)
		if err != nil {
			t.Fatal(err)
		}
		all, err := client.Comments(ctx, 1, time.Time{})
		if err != nil || len(all) != 121 || all[0].Text != "noise 0" || all[120].Text != text || all[120].Author.ID != forgetest.Bot.ID {
			t.Fatalf("got %d comments, %v", len(all), err)
		}
		edited, err := client.Edit(ctx, 1, own.ID, "changed")
		if err != nil || !edited.Updated.After(own.Updated) {
			t.Errorf("edit: got %+v, %v", edited, err)
		}
		if diff := cmp.Diff(f.Written(1), []string{"changed"}); diff != "" {
			t.Error(diff)
		}
		late := f.Say(1, ada, "late")
		recent, err := client.Comments(ctx, 1, edited.Updated)
		if err != nil || len(recent) != 2 || recent[1].ID != late || recent[1].Edited() {
			t.Errorf("since: got %+v, %v", recent, err)
		}
		f.Correct(1, late, "later")
		recent, err = client.Comments(ctx, 1, edited.Updated)
		if err != nil || !recent[1].Edited() || !strings.HasPrefix(recent[1].URL, f.URL) {
			t.Errorf("corrected: got %+v, %v", recent, err)
		}
		f.Remove(1, forgetest.Bot)
		if _, err := client.Edit(ctx, 1, own.ID, "again"); !forge.Missing(err) {
			t.Errorf("a comment that is gone: got %v", err)
		}
	})
}

func TestStatuses(t *testing.T) {
	each(t, func(t *testing.T, f *forgetest.Forge) {
		client := open(t, f, nil)
		for _, s := range []forge.State{forge.Pending, forge.Pending, forge.Failure, forge.Success} {
			err := client.SetStatus(t.Context(), head, forge.Status{State: s, Context: "reconciler/prod", Description: strings.Repeat("\u00e9", 300)})
			if err != nil {
				t.Fatal(err)
			}
		}
		all := f.Statuses(head)
		if state, text := f.State(head); state != "success" || len([]rune(text)) != 140 || all[0].Context != "reconciler/prod" {
			t.Errorf("got %+v", all)
		}
	})
}

// The head of a GitLab merge request from a fork gets its status in the fork,
// and, once it is merged, in the project.
func TestStatusOfAFork(t *testing.T) {
	f := forgetest.New(t, "gitlab")
	f.Open(1, eve, head)
	f.FromFork(1)
	client := open(t, f, nil)
	p, err := client.Pull(t.Context(), 1)
	if err != nil || p.Fork != forgetest.ForkID {
		t.Fatalf("got %+v, %v", p, err)
	}
	s := forge.Status{State: forge.Success, Context: "reconciler/prod", Fork: p.Fork}
	if err := client.SetStatus(t.Context(), head, s); err != nil {
		t.Fatal(err)
	}
	if got, want := f.Asked()[len(f.Asked())-1], fmt.Sprintf("POST /api/v4/projects/%d/statuses/%s", forgetest.ForkID, head); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.Fork = 0
	if err := client.SetStatus(t.Context(), head, s); !forge.Missing(err) {
		t.Errorf("without the fork: got %v, want that the commit is not there", err)
	}
}

func TestMayWriteAndReviews(t *testing.T) {
	each(t, func(t *testing.T, f *forgetest.Forge) {
		ctx, client := t.Context(), open(t, f, nil)
		for user, want := range map[forgetest.User]bool{
			ada: true, eve: false, {ID: 10, Login: "stranger"}: false, ci: false, {ID: 99, Login: "ada"}: false,
		} {
			got, err := client.MayWrite(ctx, forge.User{ID: user.ID, Login: user.Login})
			if f.Kind == "gitlab" && user.ID == 99 || f.Kind == "github" && user.Program || f.Kind == "gitea" && user.Program {
				continue // GitLab goes by the id; the others tell of programs in the comment
			}
			if err != nil || got != want {
				t.Errorf("%s: got %v, %v", user.Login, got, err)
			}
		}
		f.Open(1, eve, head)
		f.Approve(1, ada)
		pull, err := client.Pull(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		reviews, err := client.Reviews(ctx, pull)
		if err != nil || len(reviews) != 1 || reviews[0].Author.Login != "ada" || reviews[0].At.IsZero() || reviews[0].URL == "" {
			t.Errorf("got %+v, %v", reviews, err)
		}
	})
}

// A forge that asks to be left alone is left alone for so long, and no longer.
func TestAway(t *testing.T) {
	each(t, func(t *testing.T, f *forgetest.Forge) {
		now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		for name, test := range map[string]struct {
			status int
			header map[string]string
			until  time.Duration // 0 for not said
			said   string
		}{
			"seconds":       {429, map[string]string{"Retry-After": "120"}, 2 * time.Minute, ""},
			"a date":        {503, map[string]string{"Retry-After": now.Add(time.Minute).Format(http.TimeFormat)}, time.Minute, ""},
			"for ever":      {429, map[string]string{"Retry-After": "99999999999"}, 2 * time.Hour, ""},
			"rate":          {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(now.Add(time.Hour).Unix())}, time.Hour, ""},
			"gitlab's rate": {429, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": fmt.Sprint(now.Add(time.Minute).Unix())}, time.Minute, ""},
			"says nothing":  {429, nil, time.Minute, ""},
			"broken":        {502, nil, 0, ""},
			"text alone":    {403, nil, time.Minute, `{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}`},
		} {
			clock := now
			client := open(t, f, func(c *forge.Config) { c.Now = func() time.Time { return clock } })
			f.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
				for key, value := range test.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.said) //nolint:errcheck // the client has gone away
				return true
			})
			before := len(f.Asked())
			_, err := client.Pulls(t.Context())
			away, ok := errors.AsType[*forge.AwayError](err)
			if !ok || test.until == 0 != away.Until.IsZero() || test.until > 0 && !away.Until.Equal(now.Add(test.until)) {
				t.Errorf("%s: got %v", name, err)
			}
			f.Fault(nil)
			_, err = client.Pulls(t.Context())
			if _, ok := errors.AsType[*forge.AwayError](err); ok != (test.until > 0) {
				t.Errorf("%s: asked again at once: %v", name, err)
			}
			if test.until > 0 && len(f.Asked()) != before+1 {
				t.Errorf("%s: it was not left alone: %q", name, f.Asked()[before:])
			}
			clock = now.Add(test.until)
			if _, err = client.Pulls(t.Context()); err != nil {
				t.Errorf("%s: afterwards: %v", name, err)
			}
		}
		f.Close()
		_, err := open(t, f, nil).Pulls(t.Context())
		if _, ok := errors.AsType[*forge.AwayError](err); !ok {
			t.Errorf("down: got %v", err)
		}
	})
}

// A token is shown to the forge alone, and no error has it.
func TestTokenStaysWithTheForge(t *testing.T) {
	each(t, func(t *testing.T, f *forgetest.Forge) {
		stolen := ""
		thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			stolen = r.Header.Get("Authorization") + r.Header.Get("PRIVATE-TOKEN") + "!"
		}))
		defer thief.Close()
		f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, strings.Replace(thief.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		})
		client := open(t, f, nil)
		_, read := client.Pulls(t.Context())
		_, written := client.Comment(t.Context(), 1, "text")
		if read == nil || written == nil || stolen != "" {
			t.Errorf("got %v, %v, and the other host saw %q", read, written, stolen)
		}
		f.Fault(nil)
		for name, token := range map[string]func() (string, error){
			"wrong":  func() (string, error) { return "s3cr3t", nil },
			"split":  func() (string, error) { return "s3cr3t\r\nX: y", nil },
			"unread": func() (string, error) { return "s3cr3t", errors.New("no such file") },
		} {
			_, err := open(t, f, func(c *forge.Config) { c.Token = token }).Pulls(t.Context())
			if err == nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

// What a forge answers is bounded, in size and in time.
func TestAnswersAreBounded(t *testing.T) {
	each(t, func(t *testing.T, f *forgetest.Forge) {
		f.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Write([]byte(`[{"html_url": "`))
			for range 20 {
				if _, err := w.Write([]byte(strings.Repeat("x", 1<<20))); err != nil {
					return true
				}
			}
			w.Write([]byte(`"}]`))
			return true
		})
		if _, err := open(t, f, nil).Pulls(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") {
			t.Errorf("too long: got %.300v", err)
		}
		f.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		})
		_, err := open(t, f, func(c *forge.Config) { c.Wait = 50 * time.Millisecond }).Pulls(t.Context())
		if _, ok := errors.AsType[*forge.AwayError](err); !ok {
			t.Errorf("hangs: got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := open(t, f, nil).Pulls(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v", err)
		}
		f.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Write([]byte("<html>a proxy</html>"))
			return true
		})
		if _, err := open(t, f, nil).Pulls(t.Context()); err == nil {
			t.Error("a page of a proxy is taken for an answer")
		}
	})
}
