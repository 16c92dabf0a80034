package adoption

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Files are the files of a repository that has the fleet, by path: one app, and
// a directory for each tenant. app is the app's name, an identifier.
func (f Fleet) Files(app string) (map[string][]byte, error) {
	w := writer{files: map[string][]byte{}}
	dir := path.Join("apps", app)
	w.write(path.Join(dir, "app.yaml"), map[string]any{
		"name": app, "label": label(app), "version": "1.0.0", "description": "Imported from databases that were there before.",
	})
	for _, o := range f.App {
		w.write(path.Join(dir, "objects", o.Name+".yaml"), Definition{Object: o}.body())
	}
	for _, g := range f.Groups {
		for _, t := range g.Tenants {
			if t.ID == "" {
				continue // a database alone
			}
			dir := path.Join("tenants", t.ID)
			w.write(path.Join(dir, "tenant.yaml"), t.body(app))
			for _, d := range g.Own {
				w.write(path.Join(dir, "objects", d.Name+".yaml"), d.body())
			}
		}
	}
	return w.files, w.err
}

type writer struct {
	files map[string][]byte
	err   error
}

func (w *writer) write(name string, body map[string]any) {
	text, err := bundle.Text(body)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("write %s: %w", name, err)
	}
	w.files[name] = text
}

func (t Tenant) body(app string) map[string]any {
	connection := map[string]any{"url": t.URL}
	if t.AuthToken != "" {
		connection["authToken"] = t.AuthToken
	}
	body := map[string]any{
		"id": t.ID, "name": t.Name, "apps": []any{map[string]any{"name": app}}, "connectionConfig": connection,
	}
	if t.Plan != "" {
		body["plan"] = t.Plan
	}
	return body
}

// body is the definition as it is written.
func (d Definition) body() map[string]any {
	body := map[string]any{}
	if d.Extends {
		body["extend"] = d.Name
	} else {
		body["name"], body["label"] = d.Name, label(d.Name)
	}
	fields := map[string]any{}
	for _, f := range d.Fields {
		fields[f.Key] = f.body()
	}
	body["fields"] = fields
	var indexes []any
	for _, i := range d.Indexes {
		field, ok := fields[i.Fields[0]].(map[string]any)
		if ok && ofField(d.Name, i) && field["unique"] == nil && field["index"] == nil {
			field[map[bool]string{true: "unique", false: "index"}[i.Unique]] = true
			continue
		}
		indexes = append(indexes, indexBody(i))
	}
	if len(indexes) > 0 {
		body["indexes"] = indexes
	}
	return body
}

// ofField tells that an index is the one that `unique` or `index` of its field
// makes.
func ofField(table string, i protocol.Index) bool {
	return len(i.Fields) == 1 && i.Partial == "" && nameOf(table, i) == schema.IndexName(table, i.Fields, i.Unique)
}

func (f Field) body() map[string]any {
	body := map[string]any{"type": string(f.Type), "label": label(f.Key)}
	if f.Required {
		body["required"] = true
	}
	if f.DefaultValue != nil {
		body["defaultValue"] = f.DefaultValue
	}
	if f.Reference != "" {
		body["reference"] = f.Reference
	}
	return body
}

func indexBody(i protocol.Index) map[string]any {
	body := map[string]any{"fields": i.Fields}
	if i.Name != "" {
		body["name"] = i.Name
	}
	if i.Unique {
		body["unique"] = true
	}
	if i.Partial != "" {
		body["partial"] = i.Partial
	}
	return body
}

// label is a name for people: "order_line" is "Order Line".
func label(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '_' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	if len(words) == 0 {
		return name
	}
	return strings.Join(words, " ")
}

// Foreign counts what stays foreign, by how many of the fleet's databases have
// it, in order of kind and name.
func (f Fleet) Foreign() []Count {
	var counts []Count
	at := map[Foreign]int{}
	for _, g := range f.Groups {
		for _, t := range g.Tenants {
			for _, foreign := range t.Schema.Foreign {
				if _, ok := at[foreign]; !ok {
					at[foreign], counts = len(counts), append(counts, Count{Foreign: foreign})
				}
				counts[at[foreign]].Databases++
			}
		}
	}
	slices.SortFunc(counts, func(a, b Count) int { return strings.Compare(text(a.Foreign), text(b.Foreign)) })
	return counts
}

// Count is something foreign and the number of databases that have it.
type Count struct {
	Foreign
	Databases int `json:"databases"`
}

// String is "object invoice", or "customer (fields 2, indexes 1)" of an extension.
func (d Definition) String() string {
	if !d.Extends {
		return "object " + d.Name
	}
	return fmt.Sprintf("%s (fields %d, indexes %d)", d.Name, len(d.Fields), len(d.Indexes))
}
