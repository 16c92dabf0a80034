package bundle

import (
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// Kind is a kind of file that people write.
type Kind struct {
	Name   string // tenant, app, ...
	File   string // where such files stand
	of     *shape.Shape
	strict bool // unknown keys are errors
}

// Kinds lists the kinds of files.
func Kinds() []Kind {
	return []Kind{
		{"fleet", fleetFile, shape.Of[config.Fleet](), true},
		{"tenant", "tenants/**/" + tenantFile, shape.Of[TenantSpec](), true},
		{"manifest", "tenants/**/" + manifestFile, shape.Of[ownManifest](), true},
		{"app", "apps/*/" + appFile, shape.Of[appManifest](), true},
		{"object", "objects/*.yaml", shape.Of[protocol.Object](), false},
		{"extension", "objects/*.yaml", shape.Of[extension](), false},
		{"view", "views/*.yaml", shape.Of[protocol.View](), false},
		{"flow", "flows/*.yaml", shape.Of[protocol.Flow](), false},
		{"permission", "permissions/*.yaml", shape.Of[protocol.PermissionSet](), false},
		{"seed", "seed/*.yaml", shape.Of[protocol.Dataset](), false},
		{"bundle", compiledFile, shape.Of[protocol.DeployBundle](), false},
		{"settings", "reconciler.yaml", shape.Of[config.Settings](), true},
	}
}

// Schema is the kind's JSON Schema, draft 2020-12, with our own keys.
func (k Kind) Schema() map[string]any {
	schema := k.of.JSONSchema()
	schema["title"] = k.Name
	named, _ := schema["$defs"].(map[string]any)
	if k.strict {
		for _, d := range named {
			closed(d)
		}
	}
	for _, name := range []string{"protocol.Object", "protocol.Field"} {
		if d, ok := named[name].(map[string]any); ok {
			d["properties"].(map[string]any)["renamedFrom"] = map[string]any{
				"type": "string", "pattern": namePattern.String(),
				"description": "Name before, whose rows are kept. It does not reach the runtime.",
			}
		}
	}
	return schema
}

// closed allows no keys but those that a schema of an object names.
func closed(schema any) {
	s, ok := schema.(map[string]any)
	if _, open := s["additionalProperties"]; ok && s["type"] == "object" && !open {
		s["additionalProperties"] = false
	}
}
