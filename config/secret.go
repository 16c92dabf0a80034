package config

import (
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Codes of faults about secrets.
const (
	CodePlainSecret = "plain_secret" // a secret in plain text
)

// Secret is a reference to a secret, so that none stands in a file:
//
//	$env:RECONCILER_SECRET_X   an environment variable of that prefix
//	$file:NAME                 a file below the directory of secrets
//	$age:ARMORED               text encrypted for the operator's age key
//
// Package secret resolves it.
type Secret string

var secretForms = regexp.MustCompile(`^(?s:\$env:RECONCILER_SECRET_[A-Z0-9_]+|` +
	`\$file:[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*|` +
	`\$age:\s*-----BEGIN AGE ENCRYPTED FILE-----.+)$`)

// issued are secrets that their issuers have made to be recognised: tokens of
// GitHub, GitLab, Stripe, AWS and Slack, JSON web tokens, private keys.
var issued = regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22}|glpat-[\w-]{20}|[rs]k_live_[A-Za-z0-9]{16}|AKIA[0-9A-Z]{16}|` +
	`xox[abprs]-[A-Za-z0-9-]{10}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8})|-----BEGIN [A-Z ]*PRIVATE KEY-----`)

// secrets finds text that is a secret whatever its key is called.
func (d Document) secrets() []Fault {
	var faults []Fault
	var look func(n *yaml.Node, depth int)
	look = func(n *yaml.Node, depth int) {
		if n == nil || depth > maxDepth {
			return
		}
		if n.Kind == yaml.ScalarNode && issued.MatchString(n.Value) {
			faults = append(faults, at(d.File, n, CodePlainSecret, "this looks like a secret, which does not belong in the repository",
				"revoke it, and write $env:RECONCILER_SECRET_NAME, $file:NAME or $age:... in its place"))
		}
		for _, item := range n.Content {
			look(item, depth+1)
		}
	}
	look(d.root, 0)
	return faults
}

// Valid reports whether s is a reference of one of the three forms.
func (s Secret) Valid() bool { return secretForms.MatchString(string(s)) }

// File returns the path of a $file secret, for those who read it again when it
// changes, and false for other forms.
func (s Secret) File(dir string) (string, bool) {
	name, ok := strings.CutPrefix(string(s), "$file:")
	if !ok || !s.Valid() {
		return "", false
	}
	return filepath.Join(dir, filepath.FromSlash(name)), true
}
