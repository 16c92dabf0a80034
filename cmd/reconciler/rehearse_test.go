package main

import (
	"strings"
	"testing"
)

// Plans are tried on forks of databases on a server, with the apps' queries and
// the way back, and the databases themselves are as they were.
func TestRehearsalOnAServer(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "Succeeded", "sync")
	if _, err := x.open("placed").Exec(t.Context(), "INSERT INTO customer (id, name) VALUES ('a', 'Ada')"); err != nil {
		t.Fatal(err)
	}
	git(t, x.path("repo"), "checkout", "--quiet", "-b", "pull")
	push(t, x.path("repo"), map[string]string{"apps/shop/objects/customer.yaml": shopObject + "  phone: {type: phone}\n"})
	git(t, x.path("repo"), "checkout", "--quiet", "main")
	text := x.call(0, "rehearsed on a copy of `placed`", "preview", "--base", "main", "--head", "pull", "--rehearse=2", "-o", "markdown")
	for _, want := range []string{"1 verification query passed, taken back in", "not rehearsed on a copy of `named`: the database is on a server that is not"} {
		if !strings.Contains(text, want) || strings.Contains(text, "❌") {
			t.Errorf("want %q, got\n%s", want, text)
		}
	}
	held, err := acquire(x.path("data")) // as a daemon does
	if err != nil {
		t.Fatal(err)
	}
	x.call(0, "not rehearsed on a copy of `placed`: a branch has to be recorded", "preview", "--base", "main", "--head", "pull", "--rehearse=2", "-o", "markdown")
	if err := held.release(); err != nil {
		t.Fatal(err)
	}
	if got := x.ask("placed", "SELECT count(*) FROM pragma_table_info('customer') WHERE name = 'phone'"); got != int64(0) {
		t.Errorf("the database has the column, %v times", got)
	}
	if got := x.ask("placed", "SELECT count(*) FROM customer"); got != int64(1) {
		t.Errorf("the database has %v rows, want 1", got)
	}
}
