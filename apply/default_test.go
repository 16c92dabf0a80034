package apply_test

import "testing"

// A row that was there before its column, and that nobody has written since,
// has no value of its own: the engine reads the column's default. It keeps what
// it reads when the default changes, comes or goes.
func TestDefaultChangesNoRow(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(`{"task": {"fields": {"name": {"type": "text"}}}}`)
	x.exec("INSERT INTO task (id, name) VALUES ('1', 'older than the columns')")
	for _, to := range []string{
		`"was": {"type": "text", "defaultValue": "x"}, "will": {"type": "text"}, "gone": {"type": "text", "defaultValue": "x"}, "kind": {"type": "text"}`,
		`"was": {"type": "text", "defaultValue": "y"}, "will": {"type": "text", "defaultValue": "y"}, "gone": {"type": "text"}, "kind": {"type": "number", "defaultValue": 7}`,
		`"was": {"type": "text", "defaultValue": "z"}, "will": {"type": "text", "defaultValue": "z"}, "gone": {"type": "text", "defaultValue": "z"}, "kind": {"type": "text", "defaultValue": "z"}`,
	} {
		x.mustDeploy(`{"task": {"fields": {"name": {"type": "text"}, ` + to + `}}}`)
		if got := x.query("SELECT was, will, gone, kind FROM task WHERE id = '1'"); got != "x|<nil>|x|<nil>" {
			t.Errorf("got %s after %s", got, to)
		}
	}
}
