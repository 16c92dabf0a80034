package bundle

import (
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// Compile reads one compiled bundle: a DeployBundle as JSON, or an app with its
// definitions, which has a name and version in place of the manifest. Seed
// sets of every environment are kept. Desired is nil when a fault is an error.
func Compile(data []byte) (*Desired, []Fault) {
	p := &part{owner: "the bundle"}
	documents, faults := config.Documents(compiledFile, data)
	p.faults, p.incomplete = faults, len(faults) > 0
	for i, d := range documents {
		if i > 0 {
			p.faults = append(p.faults, d.Error(nil, config.CodeDocuments, "a compiled bundle is one value", "remove the others"))
			continue
		}
		p.compile(d)
	}
	if len(documents) == 0 && len(faults) == 0 {
		p.faults = append(p.faults, config.FileError(compiledFile, config.CodeSyntax, "the bundle is empty", "write a JSON object"))
	}
	c := Options{}.composeAll([]*part{p}, nil, true)
	c.apps = []protocol.AppManifest{}
	if config.HasErrors(c.faults) {
		return nil, c.faults
	}
	manifest := protocol.DeployManifest{Version: p.compiled.Version}
	if m := p.compiled.Manifest; m != nil {
		manifest = protocol.DeployManifest{Version: m.Version, CreatedAt: m.CreatedAt}
	}
	return c.desiredIn("").withManifest(manifest), c.faults
}
