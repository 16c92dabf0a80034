package config

import (
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Codes of faults about secrets.
const (
	CodePlainSecret  = "plain_secret"  // a secret in plain text
	CodeBadReference = "bad_reference" // a reference that can stand for no secret
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
// GitHub, GitLab, Stripe, AWS and Slack, JSON web tokens, age identities,
// private keys.
var issued = regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22}|glpat-[\w-]{20}|[rs]k_live_[A-Za-z0-9]{16}|AKIA[0-9A-Z]{16}|` +
	`xox[abprs]-[A-Za-z0-9-]{10}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8}|AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{20})|-----BEGIN [A-Z ]*PRIVATE KEY-----`)

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

// Malformed tells what is wrong with a reference that is none, and what to
// write; false for text that does not look like one.
func (s Secret) Malformed() (message, next string, ok bool) {
	form, _, _ := strings.Cut(string(s), ":")
	switch form {
	case "$env":
		return "this names no environment variable that may hold a secret", "name one of RECONCILER_SECRET_ and A to Z, 0 to 9 and _: $env:RECONCILER_SECRET_NAME", true
	case "$file":
		return "this names no file below the directory of secrets", "write $file:NAME, with a file below --secrets-dir, of letters, digits, _, - and .", true
	case "$age":
		return "this holds no encrypted value", "write all the lines that \"reconciler secrets encrypt\" prints, as a block of YAML (|-)", true
	}
	return "", "", false
}

const plainSecret = "a secret does not belong in the repository"

// InRepository tells what is wrong with a text in a file of the repository that
// should be a reference: the code of the fault, what it is, and what to do. False
// for one that is right, and for none.
func (s Secret) InRepository() (code, message, next string, wrong bool) {
	if s == "" || s.Valid() {
		return "", "", "", false
	}
	if message, next, ok := s.Malformed(); ok {
		return CodeBadReference, message, next, true
	}
	return CodePlainSecret, plainSecret, "revoke it, and write $env:RECONCILER_SECRET_NAME, $file:NAME or $age:... in its place", true
}

// HoldsSecret tells that a URL has a user or a token in it.
func HoldsSecret(raw string) bool {
	u, err := url.Parse(placeholder.ReplaceAllString(raw, "x"))
	return err == nil && (u.User != nil || u.Query().Has("authToken"))
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`) // in a template of a URL, whose host may have none otherwise

// databaseURL tells that a template gives URLs of databases on servers.
func databaseURL(template, name string) bool {
	u, err := url.Parse(strings.ReplaceAll(template, name, "x"))
	return err == nil && (u.Scheme == "libsql" || u.Scheme == "https" || u.Scheme == "http") && u.Host != "" &&
		u.User == nil && (u.RawQuery == "" || u.RawQuery == "tls=0") && u.Fragment == ""
}

// File returns the path of a $file secret, for those who read it again when it
// changes, and false for other forms.
func (s Secret) File(dir string) (string, bool) {
	name, ok := strings.CutPrefix(string(s), "$file:")
	if !ok || !s.Valid() {
		return "", false
	}
	return filepath.Join(dir, filepath.FromSlash(name)), true
}

// secretKeys are the keys of the files that have a reference as their value.
var secretKeys = []string{"authToken", "groupAuthToken", "apiToken", "token", "adminKey", "secret", "previousSecret", "keyPassphrase"}

// secretKey tells that a path leads to a secret.
func secretKey(path []any) bool {
	if len(path) == 0 {
		return false
	}
	key, _ := path[len(path)-1].(string)
	return slices.Contains(secretKeys, key)
}
