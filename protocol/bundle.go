package protocol

// DeployManifest names a bundle and what is in it. Nothing compares its lists
// with the bundle's contents. The protocol's proposal had a metadata key; the
// merged form has not. Source: system/deploy-bundle.
type DeployManifest struct {
	Version     string   `json:"version" shape:"minlen=1" doc:"Version of the bundle."`
	Checksum    string   `json:"checksum,omitempty" doc:"SHA-256 of the contents."`
	Objects     []string `json:"objects,omitzero" default:"[]" doc:"Names of the objects."`
	Views       []string `json:"views,omitzero" default:"[]" doc:"Names of the views."`
	Flows       []string `json:"flows,omitzero" default:"[]" doc:"Names of the flows."`
	Permissions []string `json:"permissions,omitzero" default:"[]" doc:"Names of the permission sets."`
	CreatedAt   string   `json:"createdAt,omitempty" shape:"format=datetime" doc:"When the bundle was made."`
}

// DeployBundle is all that a deployment brings. Each entry of a list is any
// JSON object: checking it as an Object, View, Flow, PermissionSet or Dataset
// is a matter of DeployPipelineService.ValidateBundle. Source:
// system/deploy-bundle.
type DeployBundle struct {
	Manifest    DeployManifest   `json:"manifest" doc:"Name and contents."`
	Objects     []map[string]any `json:"objects,omitzero" default:"[]" doc:"Object definitions."`
	Views       []map[string]any `json:"views,omitzero" default:"[]" doc:"View definitions."`
	Flows       []map[string]any `json:"flows,omitzero" default:"[]" doc:"Flow definitions."`
	Permissions []map[string]any `json:"permissions,omitzero" default:"[]" doc:"Permission sets."`
	SeedData    []map[string]any `json:"seedData,omitzero" default:"[]" doc:"Seed sets."`
}
