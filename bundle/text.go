package bundle

import "sigs.k8s.io/yaml"

// Text is a file of a bundle as it is written for people: YAML with its keys in
// order, the same for the same values. Text that YAML would read as something
// else is quoted.
func Text(body map[string]any) ([]byte, error) { return yaml.Marshal(body) }
