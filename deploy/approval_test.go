package deploy_test

import (
	"testing"

	"github.com/tenantops/reconciler/deploy"
)

func TestIsAuthor(t *testing.T) {
	for actor, want := range map[string]bool{
		"Ada Love":                   true,
		"ADA LOVE":                   true,
		"ada@example.com":            true,
		"Ada Love <ada@example.com>": true,
		"Ada Love <ada@home.org>":    true,
		"Countess <ada@example.com>": true,
		"ada":                        true, // the user of the machine
		"Bo":                         false,
		"ada@home.org":               false,
		"Bo <bo@example.com>":        false,
		"":                           false,
		"<>":                         false,
	} {
		if got := deploy.IsAuthor(actor, "Ada Love", "ada@example.com"); got != want {
			t.Errorf("%q: got %v, want %v", actor, got, want)
		}
	}
	if deploy.IsAuthor("bo", "", "") {
		t.Error("somebody is the author of a commit without one")
	}
	if email := "12+ada@users.noreply.github.com"; !deploy.IsAuthor("ada", "", email) || deploy.IsAuthor("12", "", email) {
		t.Error("an address of GitHub is not read")
	}
}
