package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/protocol"
)

// registered is one definition in the record of what is ours in the registry.
type registered struct {
	Type     protocol.EntityType `json:"type"`
	Name     string              `json:"name"`
	Package  string              `json:"package,omitempty"`
	Checksum string              `json:"checksum"`
}

// Registered returns the record of definitions that is kept in the tenant's
// database: type, name, package and checksum of each, as JSON in a fixed order.
func Registered(definitions []diff.Definition) string {
	list := make([]registered, len(definitions))
	for i, d := range definitions {
		list[i] = registered{Type: d.Type, Name: d.Name, Package: d.Package, Checksum: d.Checksum}
	}
	slices.SortFunc(list, func(a, b registered) int {
		return strings.Compare(string(a.Type)+"\x00"+a.Name, string(b.Type)+"\x00"+b.Name)
	})
	text, err := json.Marshal(list)
	if err != nil {
		panic("definitions cannot be marshalled: " + err.Error()) // plain strings
	}
	return string(text)
}

// ParseRegistered reads what Registered wrote, bodies left empty; empty text
// is a database in whose registry nothing is ours.
func ParseRegistered(text string) ([]diff.Definition, error) {
	if text == "" {
		return nil, nil
	}
	var list []registered
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("read registered definitions: %w", err)
	}
	definitions := make([]diff.Definition, len(list))
	for i, r := range list {
		definitions[i] = diff.Definition{Type: r.Type, Name: r.Name, Package: r.Package, Checksum: r.Checksum}
	}
	return definitions, nil
}

// AppliedDigest is sha256 in hex over what earlier deployments left behind:
// the names that are ours, the definitions and the seed sets. Together with
// the live fingerprint it says everything that a plan starts from.
func AppliedDigest(owned, registered string, seeds map[string]string) string {
	text, err := json.Marshal(map[string]any{"owned": owned, "registered": registered, "seeds": seeds})
	if err != nil {
		panic("applied state cannot be marshalled: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
