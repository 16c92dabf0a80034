package deploy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func compiled(t testing.TB, b protocol.DeployBundle) *bundle.Desired {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	d, faults := bundle.Compile(text)
	if d == nil {
		t.Fatal(faults)
	}
	return d
}

func (x *tenantFiles) deploy(t testing.TB, d *bundle.Desired) deploy.Result {
	t.Helper()
	return x.deployBy(t, d, "approve")
}

// deployBy deploys by a policy about narrowing.
func (x *tenantFiles) deployBy(t testing.TB, d *bundle.Desired, narrowing string) deploy.Result {
	t.Helper()
	r := verifyRequest(d, false)
	r.Policy.Classes = map[string]string{"narrowing": narrowing}
	var result deploy.Result
	x.on(t, func(conn database.Conn) error {
		result = x.deployer().Deploy(t.Context(), conn, r)
		return nil
	})
	return result
}

type field = map[string]any

func options(values ...string) []any {
	var list []any
	for _, v := range values {
		list = append(list, map[string]any{"label": v, "value": v})
	}
	return list
}

// A row that is over a limit which has become narrower cannot be saved again
// by the runtime: it is named, and the policy about narrowing decides. What was
// over a limit that has not changed, or is only wider now, is nobody's news.
func TestNarrowerLimits(t *testing.T) {
	for name, c := range map[string]struct {
		before, after field
		values        []string // of rows 1, 2, ...
		over          []string
		message       string
	}{
		"a shorter text":        {field{"type": "text", "maxLength": 9}, field{"type": "text", "maxLength": 3}, []string{"abc", "abcd", "äöü"}, []string{"2"}, `rows of "task" have more than 3 characters in code, its new maxLength (1 row)`},
		"a first limit":         {field{"type": "text"}, field{"type": "text", "maxLength": 3}, []string{"abcd"}, []string{"1"}, ""},
		"a longer least":        {field{"type": "text"}, field{"type": "text", "minLength": 2}, []string{"ab", "a"}, []string{"2"}, "its new minLength"},
		"the same limit":        {field{"type": "text", "maxLength": 3}, field{"type": "text", "maxLength": 3, "label": "Code"}, []string{"abcd"}, nil, ""},
		"a wider limit":         {field{"type": "text", "maxLength": 2}, field{"type": "text", "maxLength": 3}, []string{"abcd"}, nil, ""},
		"no limit":              {field{"type": "text", "maxLength": 2}, field{"type": "text"}, []string{"abcd"}, nil, ""},
		"a lower most":          {field{"type": "number", "max": 100}, field{"type": "number", "max": 10.5}, []string{"10.5", "11", "-3"}, []string{"2"}, "more than 10.5 in code, its new max"},
		"a higher least number": {field{"type": "number"}, field{"type": "number", "min": 0}, []string{"0", "-0.5"}, []string{"2"}, "less than 0 in code, its new min"},
		"an option that goes":   {field{"type": "select", "options": options("gold", "old", "tin")}, field{"type": "select", "options": options("tin")}, []string{"gold", "tin", "old", "lead"}, []string{"1", "3"}, "no option any more"},
		"options for a text":    {field{"type": "text"}, field{"type": "select", "options": options("gold")}, []string{"gold", "", "tin"}, []string{"3"}, ""},
		"more options":          {field{"type": "select", "options": options("gold")}, field{"type": "select", "options": options("gold", "tin")}, []string{"lead"}, nil, ""},
		"an option of several":  {field{"type": "multiselect", "options": options("gold", "tin")}, field{"type": "multiselect", "options": options("tin")}, []string{`["tin"]`, `["tin","gold"]`, "gold", "[]"}, []string{"2"}, ""},
		"lists have no length":  {field{"type": "text", "multiple": true}, field{"type": "text", "multiple": true, "maxLength": 3}, []string{`["abc"]`}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTenants(t)
			x.pipeline(t)
			if result := x.deploy(t, compiled(t, withTask(field{"code": c.before}))); result.Err != nil {
				t.Fatal(result.Err)
			}
			for i, v := range c.values {
				x.on(t, func(conn database.Conn) error {
					_, err := conn.Exec(t.Context(), "INSERT INTO task (id, code) VALUES (?, ?)", string(rune('1'+i)), v)
					return err
				})
			}
			result := x.deploy(t, compiled(t, withTask(field{"code": c.after})))
			var got []string
			var told string
			for _, f := range result.Findings {
				got, told = append(got, f.IDs...), (&apply.BlockedError{Findings: result.Findings}).Error()
			}
			if !slices.Equal(got, c.over) || !strings.Contains(told, c.message) {
				t.Errorf("got rows %q: %s", got, told)
			}
			free := c.over == nil || result.Findings[0].Advisory
			if free && (result.Err != nil || !result.Changed) || !free && (result.Reason != "AwaitingApproval" || !strings.Contains(result.Message, c.message)) {
				t.Errorf("got %+v", result.Assessment)
			}
			if options := strings.Contains(name, "option"); c.over != nil && free != options {
				t.Errorf("got %+v", result.Assessment)
			}
		})
	}
}

func TestPolicyAboutALimit(t *testing.T) {
	x := newTenants(t)
	x.pipeline(t)
	if result := x.deploy(t, compiled(t, withTask(field{"code": text}))); result.Err != nil {
		t.Fatal(result.Err)
	}
	x.insert(t, "task", map[string]string{"code": "abcdef"})
	shorter := compiled(t, withTask(field{"code": field{"type": "text", "maxLength": 3}}))
	if result := x.deployBy(t, shorter, "deny"); result.Reason != "PreCheckFailed" || !strings.Contains(result.Next, "shorten the values") {
		t.Errorf("denied: got %+v", result.Assessment)
	}
	result := x.deployBy(t, shorter, "approve")
	if want := "the new limit of task.code is narrowing and needs approval"; result.Reason != "AwaitingApproval" || !strings.Contains(result.Message, want) {
		t.Errorf("to be approved: got %+v", result.Assessment)
	}
	if err := x.store.Approve(t.Context(), state.Approval{Plan: result.Plan.Digest, Actor: "bo"}); err != nil {
		t.Fatal(err)
	}
	if result := x.deployBy(t, shorter, "approve"); result.Err != nil || !result.Changed || result.Findings[0].Count != 1 {
		t.Errorf("approved: got %+v", result.Assessment)
	}
	if result := x.deployBy(t, compiled(t, withTask(field{"code": field{"type": "text", "maxLength": 2}})), "allow"); result.Err != nil || !result.Changed {
		t.Errorf("allowed: got %+v", result.Assessment)
	}
	if got := x.values(t, "task", "code"); !slices.Equal(got, []string{"abcdef"}) {
		t.Errorf("got %q", got)
	}
}

// The field that had the limit is found by the name that it had.
func TestNarrowerLimitOfARenamedField(t *testing.T) {
	x := newTenants(t)
	x.pipeline(t)
	if result := x.deploy(t, compiled(t, withTask(field{"code": field{"type": "text", "maxLength": 9}}))); result.Err != nil {
		t.Fatal(result.Err)
	}
	x.insert(t, "task", map[string]string{"code": "abcd"})
	renamed := compiled(t, withTask(field{"mark": field{"type": "text", "maxLength": 3, "renamedFrom": "code"}}))
	if result := x.deploy(t, renamed); !strings.Contains(result.Message, "more than 3 characters in mark") {
		t.Fatalf("got %+v", result.Assessment)
	}
	x.exec(t, "UPDATE task SET code = 'abc'")
	if result := x.deploy(t, renamed); result.Err != nil {
		t.Fatal(result.Err)
	}
	if got := x.values(t, "task", "mark"); !slices.Equal(got, []string{"abc"}) {
		t.Errorf("got %q", got)
	}
}

// What was saved since is in nobody's way back.
func TestRollbackOverALimit(t *testing.T) {
	x := newTenants(t)
	x.pipeline(t)
	for _, most := range []int{3, 9} {
		if result := x.deploy(t, compiled(t, withTask(field{"code": field{"type": "text", "maxLength": most}}))); result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	x.insert(t, "task", map[string]string{"code": "abcdef"})
	if result := x.rollbackTo(t, ""); result.Err != nil || !result.Changed {
		t.Errorf("got %+v", result.Assessment)
	}
}
