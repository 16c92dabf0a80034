package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tenantops/reconciler/config"
)

// written is the order of keys in a tenant.yaml that is written for somebody.
var written = []string{
	"id", "name", "orgId", "plan", "region", "isolationLevel", "databaseProvider", "connectionConfig", "quotas",
	"provisioningStatus", "apps", "labels", "environment", "policy", "legalHold", "customizations",
}

// Write returns the text of a tenant.yaml that reads as spec in a fleet: what
// the fleet's defaults say is left out. Load it again to know that it is valid.
func Write(spec TenantSpec, c config.Fleet) ([]byte, error) {
	if spec.IsolationLevel == c.IsolationLevel {
		spec.IsolationLevel = ""
	}
	if spec.DatabaseProvider == c.DatabaseProvider {
		spec.DatabaseProvider = ""
	}
	if spec.Environment == c.Environment {
		spec.Environment = ""
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("write tenant.yaml of %q: %w", spec.ID, err)
	}
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("write tenant.yaml of %q: %w", spec.ID, err)
	}
	maps.DeleteFunc(values, func(key string, value json.RawMessage) bool {
		return key == "provisioningStatus" && string(value) == `"active"` || slices.Contains([]string{"null", "[]", "{}", `""`}, string(value))
	})
	var b strings.Builder
	for _, key := range slices.SortedFunc(maps.Keys(values), byOrder) {
		part, err := sigsyaml.JSONToYAML(fmt.Appendf(nil, "{%q:%s}", key, values[key]))
		if err != nil {
			return nil, fmt.Errorf("write tenant.yaml of %q: %w", spec.ID, err)
		}
		b.Write(part)
	}
	return []byte(b.String()), nil
}

func byOrder(a, b string) int { return slices.Index(written, a) - slices.Index(written, b) }
