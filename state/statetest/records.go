package statetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// filled returns a record in which no field is zero, so that a field without
// a column does not come back.
func filled[T any](seed int) T {
	var record T
	fill(reflect.ValueOf(&record).Elem(), "", seed)
	return record
}

func fill(v reflect.Value, name string, seed int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(now.Add(time.Duration(seed) * time.Second)))
		return
	case state.Sync:
		v.SetString(string(state.OutOfSync))
		return
	case state.Health:
		v.SetString(string(state.Blocked))
		return
	case state.Operation:
		v.SetString(string(state.Partial))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("%s-%d", name, seed))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(seed + 1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), name, seed+i)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name, seed+i)
		}
	default:
		panic("statetest: no value for a " + v.Type().String())
	}
}

// deployment returns the nth deployment of a tenant, one a minute.
func deployment(tenant protocol.TenantID, n int) state.Deployment {
	d := filled[state.Deployment](n)
	d.ID = fmt.Sprintf("0193a2b4-%04x-7000-8000-00000000%04x", n, n)
	d.Tenant = tenant
	d.Status = protocol.DeployReady
	d.StartedAt = now.Add(time.Duration(n) * time.Minute)
	return d
}

func observation(tenant protocol.TenantID, n int) state.Observed {
	o := filled[state.Observed](n)
	o.Tenant, o.Follows = tenant, false
	return o
}

// equal checks an answer of a store. An empty list and no list are the same
// answer.
func (f *fixture) equal(got, want any) {
	f.Helper()
	if v := reflect.ValueOf(got); v.Kind() == reflect.Slice && v.Len() == 0 &&
		reflect.ValueOf(want).Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		f.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// records are the tests of passes and tags.
var records = []exercise{
	{"the last pass of each kind is kept", lastPass},
	{"a tag keeps the commit that was recorded first", tags},
}

func lastPass(f *fixture) {
	ctx, s := f.Context(), f.store()
	first, second := filled[state.Pass](1), filled[state.Pass](2)
	second.StartedAt, second.CompletedAt, second.Status = now.Add(time.Hour), time.Time{}, state.Running
	f.must(s.SavePass(ctx, second))
	f.must(s.SavePass(ctx, first)) // of the same kind below, of another here
	got, found, err := s.LastPass(ctx)
	f.must(err)
	f.equal(found, true)
	f.equal(got, second)

	second.Status, second.CompletedAt = state.Succeeded, now.Add(2*time.Hour)
	f.must(s.SavePass(ctx, second))
	got, _, err = f.reopened(s).LastPass(ctx)
	f.must(err)
	f.equal(got, second)
}

func tags(f *fixture) {
	ctx, s := f.Context(), f.store()
	got, err := s.Tags(ctx)
	f.must(err)
	f.equal(got, map[string]string{})
	f.must(s.SaveTags(ctx, nil))
	f.must(s.SaveTags(ctx, map[string]string{"crm/v1.0.0": "aaaa", "crm/v1.1.0": "bbbb"}))
	f.must(s.SaveTags(ctx, map[string]string{"crm/v1.1.0": "moved", "shop/v1.0.0": "cccc"}))
	got, err = f.reopened(s).Tags(ctx)
	f.must(err)
	f.equal(got, map[string]string{"crm/v1.0.0": "aaaa", "crm/v1.1.0": "bbbb", "shop/v1.0.0": "cccc"})
}
