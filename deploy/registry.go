package deploy

import (
	"encoding/json"
	"fmt"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
)

// registryObject is sys_metadata as the ObjectStack runtime defines it
// (packages/metadata/src/objects/sys-metadata.object.ts). It is deployed with
// every bundle that does not define it itself.
func registryObject() bundle.Object {
	text := func(required bool) protocol.Field {
		return protocol.Field{Type: protocol.FieldText, Required: required}
	}
	choice := func(value any) protocol.Field {
		return protocol.Field{Type: protocol.FieldSelect, DefaultValue: value}
	}
	scope := choice("platform")
	scope.Required = true
	return bundle.Object{Object: protocol.Object{
		Name: plan.RegistryTable,
		Fields: map[string]protocol.Field{
			"name": text(true), "type": text(true), "namespace": {Type: protocol.FieldText, DefaultValue: "default"},
			"package_id": text(false), "managed_by": choice(nil), "scope": scope,
			"metadata": {Type: protocol.FieldTextarea, Required: true}, "extends": text(false),
			"strategy": choice("merge"), "owner": text(false), "state": choice("active"),
			"tenant_id": text(false), "version": {Type: protocol.FieldNumber, DefaultValue: json.Number("1")},
			"checksum": text(false), "source": choice(nil), "tags": {Type: protocol.FieldTextarea},
			"created_by": text(false), "updated_by": text(false),
		},
	}}
}

// definitions are the entries that a bundle has in the registry: the
// definitions as they were written, in canonical JSON.
func definitions(d *bundle.Desired) []diff.Definition {
	owner := packages(d.Apps)
	var all []diff.Definition
	for _, group := range []struct {
		kind   protocol.EntityType
		names  []string
		bodies []map[string]any
	}{
		{protocol.EntityObject, d.Bundle.Manifest.Objects, d.Bundle.Objects},
		{protocol.EntityView, d.Bundle.Manifest.Views, d.Bundle.Views},
		{protocol.EntityFlow, d.Bundle.Manifest.Flows, d.Bundle.Flows},
		{protocol.EntityPermission, d.Bundle.Manifest.Permissions, d.Bundle.Permissions},
	} {
		for i, body := range group.bodies {
			text, err := json.Marshal(body)
			if err != nil {
				panic(fmt.Sprintf("%s %q cannot be marshalled: %v", group.kind, group.names[i], err)) // it was JSON
			}
			all = append(all, diff.Definition{
				Type: group.kind, Name: group.names[i], Package: owner[string(group.kind)+"\x00"+group.names[i]],
				Body: string(text), Checksum: digestOf(string(text)),
			})
		}
	}
	return all
}
