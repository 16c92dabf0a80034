package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// fromJournal puts a bundle together again that state does not have: the
// definitions that the tenant's registry has now, with each change of the
// deployments undone that its journal tells. What it gives is checked like any
// bundle; the database is only believed.
func fromJournal(ctx context.Context, conn database.Conn, digest string, undone []apply.Entry) (*bundle.Desired, error) {
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return nil, err
	}
	now, err := recorded(ctx, situation{conn: conn, master: seen.Master, record: seen.Record})
	if err != nil {
		return nil, err
	}
	definitions := map[string]diff.Definition{}
	key := func(kind protocol.EntityType, name string) string { return string(kind) + "\x00" + name }
	for _, d := range now {
		definitions[key(d.Type, d.Name)] = d
	}
	for _, entry := range slices.Backward(undone) {
		for _, u := range entry.Undo {
			if u.Checksum == "" {
				delete(definitions, key(u.Type, u.Name))
				continue
			}
			definitions[key(u.Type, u.Name)] = diff.Definition{Type: u.Type, Name: u.Name, Package: u.Package, Body: u.Body, Checksum: u.Checksum}
		}
	}
	return assemble(digest, definitions)
}

// assemble makes a bundle of definitions, which must be what was registered.
func assemble(digest string, definitions map[string]diff.Definition) (*bundle.Desired, error) {
	list := make([]diff.Definition, 0, len(definitions))
	for _, d := range definitions {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b diff.Definition) int {
		return strings.Compare(string(a.Type)+"\x00"+a.Name, string(b.Type)+"\x00"+b.Name)
	})
	var stored storedBundle
	b := &stored.Bundle
	b.Manifest.Version = digest[:min(12, len(digest))]
	for _, d := range list {
		if digestOf(d.Body) != d.Checksum {
			return nil, fmt.Errorf("%w: neither state nor the tenant's database has %s %q as it was",
				ErrNoWayBack, d.Type, d.Name)
		}
		var body map[string]any
		numbersKept := json.NewDecoder(bytes.NewReader([]byte(d.Body)))
		numbersKept.UseNumber()
		if err := numbersKept.Decode(&body); err != nil {
			return nil, fmt.Errorf("read %s %q of the journal: %w", d.Type, d.Name, err)
		}
		switch d.Type {
		case protocol.EntityObject:
			b.Objects, b.Manifest.Objects = append(b.Objects, body), append(b.Manifest.Objects, d.Name)
		case protocol.EntityView:
			b.Views, b.Manifest.Views = append(b.Views, body), append(b.Manifest.Views, d.Name)
		case protocol.EntityFlow:
			b.Flows, b.Manifest.Flows = append(b.Flows, body), append(b.Manifest.Flows, d.Name)
		case protocol.EntityPermission:
			b.Permissions, b.Manifest.Permissions = append(b.Permissions, body), append(b.Manifest.Permissions, d.Name)
		}
		stored.Apps = owns(stored.Apps, d)
	}
	return stored.desired(digest)
}

// owns adds a definition to the app that it came with.
func owns(apps []protocol.AppManifest, d diff.Definition) []protocol.AppManifest {
	if d.Package == "" {
		return apps
	}
	at := slices.IndexFunc(apps, func(a protocol.AppManifest) bool { return a.Name == d.Package })
	if at < 0 {
		apps, at = append(apps, protocol.AppManifest{Name: d.Package}), len(apps)
	}
	switch app := &apps[at]; d.Type {
	case protocol.EntityObject:
		app.Objects = append(app.Objects, d.Name)
	case protocol.EntityView:
		app.Views = append(app.Views, d.Name)
	case protocol.EntityFlow:
		app.Flows = append(app.Flows, d.Name)
	}
	return apps
}
