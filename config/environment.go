package config

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/tenantops/reconciler/protocol"
)

// CodeVariable is of an environment variable that no setting has.
const CodeVariable = "unknown_variable"

// Variables of ours begin with prefix. Those of secretPrefix are for references
// to secrets alone.
const (
	prefix       = "RECONCILER_"
	secretPrefix = prefix + "SECRET_"
)

// Variable is the environment variable of a key.
func Variable(key string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for _, c := range key {
		switch {
		case c == '.':
			b.WriteByte('_')
		case unicode.IsUpper(c):
			fmt.Fprintf(&b, "_%c", c)
		default:
			b.WriteRune(unicode.ToUpper(c))
		}
	}
	return b.String()
}

// lookup finds a variable in the form of os.Environ. One that is not set is
// empty.
func lookup(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// strangers are the variables of ours that no setting has: most are misspelled.
func strangers(env []string) []Fault {
	known := map[string]bool{}
	for _, key := range settingsKeys {
		known[Variable(Path(key.path))] = true
	}
	var faults []Fault
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, prefix) && value != "" && !known[name] && !strings.HasPrefix(name, secretPrefix) && !ofKubernetes(name) {
			faults = append(faults, Fault{
				File: name, Line: 1, Column: 1, Severity: protocol.SeverityWarning, Code: CodeVariable,
				Message: "no setting has this environment variable", Next: "correct its name, or remove it",
			})
		}
	}
	return faults
}

// ofKubernetes tells a variable that Kubernetes sets in every container beside a
// Service called reconciler (kubernetes.io/docs/concepts/services-networking/service).
func ofKubernetes(name string) bool {
	return strings.HasPrefix(name, prefix+"SERVICE_") || name == prefix+"PORT" || strings.HasPrefix(name, prefix+"PORT_")
}
