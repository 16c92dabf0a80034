package config

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// Bounds of a file. No definition that people write comes near them.
const (
	MaxFileSize = 1 << 20 // bytes
	maxDepth    = 64      // nested lists and mappings
	maxAliases  = 10_000  // nodes that all aliases of a document stand for
)

// Codes of faults that every file can have. Those of values are the codes of
// package shape.
const (
	CodeUnreadable   = "unreadable"    // the file cannot be read
	CodeTooLarge     = "too_large"     // the file is over 1 MiB
	CodeSyntax       = "syntax"        // neither YAML nor JSON
	CodeDuplicateKey = "duplicate_key" // a key twice in one mapping
	CodeQuote        = "quote"         // YAML reads the word or number as something else
	CodeKey          = "bad_key"       // a key that is not text
	CodeTag          = "yaml_tag"      // an explicit tag other than !!str
	CodeZeroByte     = "zero_byte"     // text with a zero byte, at which a database stops reading
	CodeTooDeep      = "too_deep"      // nested deeper than 64 levels
	CodeAliases      = "yaml_aliases"  // aliases that stand for too much
)

// Document is one document of a file, or a part of one: a value, and where each
// part of it stands.
type Document struct {
	File  string
	Value any // of JSON's types; numbers are json.Number
	root  *yaml.Node
	text  string // of one that is folded
}

// maxFolded is the size in bytes up to which a document is folded. One with many
// faults is read for each of them: that of a larger one would take its time.
const maxFolded = 4 << 10

// Folded is the document without its value, for one that is kept only because
// a fault may turn up in it later: in place of a tree, which takes thirty times
// as much memory, it has the text of its file, of which it is the first document,
// and reads that again where a fault is to be placed.
func (d Document) Folded(text []byte) Document {
	if d.root == nil || len(text) > maxFolded {
		return d
	}
	return Document{File: d.File, text: string(text)}
}

func (d Document) unfolded() Document {
	if d.text == "" {
		return d
	}
	documents, _ := Documents(d.File, []byte(d.text)) // it had no fault the first time
	if len(documents) == 0 {
		return Document{File: d.File}
	}
	return documents[0]
}

// Documents reads the documents of a file: JSON when its name ends in .json,
// else YAML. Empty documents are left out. A document with an error is not in
// the result, the others are.
func Documents(file string, data []byte) ([]Document, []Fault) {
	switch {
	case len(data) > MaxFileSize:
		return nil, []Fault{at(file, nil, CodeTooLarge,
			fmt.Sprintf("the file has %d bytes, more than %d", len(data), MaxFileSize), "split it")}
	case !utf8.Valid(data):
		return nil, []Fault{at(file, nil, CodeSyntax, "the file is not UTF-8 text", "save it as UTF-8")}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if path.Ext(file) == ".json" {
		return readJSON(file, data)
	}
	return readYAML(file, data)
}

// At returns the part of the document at a path of keys and indexes. What is
// not there has a nil Value and the place of what would hold it.
func (d Document) At(path ...any) Document {
	d = d.unfolded()
	_, d.root = locate(d.root, path)
	for _, step := range path {
		d.Value = element(d.Value, step)
	}
	return d
}

func element(value, step any) any {
	switch v := value.(type) {
	case map[string]any:
		key, _ := step.(string)
		return v[key]
	case []any:
		if i, ok := step.(int); ok && i < len(v) {
			return v[i]
		}
	}
	return nil
}

// Error returns a fault at the value that a path leads to: at its key for a
// mapping or list, and at what would hold it when it is not there.
func (d Document) Error(path []any, code, message, next string) Fault {
	d = d.unfolded()
	return at(d.File, place(d.root, path), code, message, next)
}

// Warning is an Error that keeps nothing from being deployed.
func (d Document) Warning(path []any, code, message, next string) Fault {
	f := d.Error(path, code, message, next)
	f.Severity = protocol.SeverityWarning
	return f
}

// Issues turns issues of a parse of the document's value into faults.
func (d Document) Issues(severity protocol.Severity, issues shape.Issues) []Fault {
	d = d.unfolded()
	var faults []Fault
	for _, issue := range issues {
		f := at(d.File, place(d.root, issue.Path), issue.Code, d.message(issue), d.advice(issue))
		if issue.Code == shape.UnrecognizedKeys || issue.Code == shape.InvalidKey {
			key, _ := locate(d.root, issue.Path)
			f.Line, f.Column = key.Line, key.Column
		}
		f.Severity = severity
		faults = append(faults, f)
	}
	return faults
}

// message says of a value that is none of some that it is missing, if it is.
func (d Document) message(issue shape.Issue) string {
	if n := len(issue.Path); issue.Code == shape.InvalidValue && n > 0 {
		if holder, ok := d.At(issue.Path[:n-1]...).Value.(map[string]any); ok {
			if _, given := holder[issue.Path[n-1].(string)]; !given {
				issue.Message = "is required and " + issue.Message
			}
		}
	}
	return issue.String()
}

// advice is the next step for an issue.
func (d Document) advice(issue shape.Issue) string {
	_, value := locate(d.root, issue.Path)
	written, unquoted := plain(value)
	switch {
	case issue.Code == shape.UnrecognizedKeys:
		return "correct or remove it"
	case issue.Code == shape.InvalidKey:
		return "use a-z, 0-9 and _, and no digit first"
	case unquoted && secretKey(issue.Path): // which is not repeated
		return "write $env:RECONCILER_SECRET_NAME, $file:NAME or $age:... in its place"
	case unquoted && strings.Contains(issue.Message, "must be a string"):
		return fmt.Sprintf("quote it: %q", written)
	case strings.HasPrefix(issue.Message, "is required"):
		return "add it"
	case strings.HasSuffix(issue.Message, "of format identifier"):
		return "use a-z, 0-9 and _, and no digit first"
	}
	return "correct the value"
}

// Written returns the text of an unquoted YAML number at a path, and whether it
// differs from the number that was read: 1.10 is read as 1.1.
func (d Document) Written(path ...any) (string, bool) {
	d = d.unfolded()
	_, value := locate(d.root, path)
	written, ok := plain(value)
	return written, ok && fmt.Sprint(d.At(path...).Value) != written
}

// plain returns the text of an unquoted scalar that is no string.
func plain(n *yaml.Node) (string, bool) {
	if n == nil || n.Kind != yaml.ScalarNode || n.Style != 0 || n.ShortTag() == "!!str" {
		return "", false
	}
	return n.Value, true
}

// place is the node that a fault about a value points to.
func place(root *yaml.Node, path []any) *yaml.Node {
	key, value := locate(root, path)
	if value != nil && value.Kind == yaml.ScalarNode {
		return value
	}
	return key
}

// locate follows a path as far as it goes and returns the last key and value.
// An item of a list is its own key, and so is the root.
func locate(root *yaml.Node, path []any) (key, value *yaml.Node) {
	key, value = root, root
	for _, step := range path {
		k, v := child(value, step)
		if v == nil {
			break
		}
		key, value = k, v
	}
	return key, value
}

func child(n *yaml.Node, step any) (key, value *yaml.Node) {
	n = target(n)
	if n == nil {
		return nil, nil
	}
	switch step := step.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && step < len(n.Content) {
			return n.Content[step], n.Content[step]
		}
	case string:
		return property(n, step)
	}
	return nil, nil
}

// property finds a key of a mapping, in what it merges in if it is nowhere else.
func property(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.ShortTag() == "!!merge":
			if v = target(v); v.Kind == yaml.SequenceNode {
				merged = append(merged, v.Content...)
			} else {
				merged = append(merged, v)
			}
		case k.Value == name:
			return k, v
		}
	}
	for _, m := range merged {
		if k, v := property(target(m), name); v != nil {
			return k, v
		}
	}
	return nil, nil
}

// target is what an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// FileError returns a fault of a file as a whole.
func FileError(file, code, message, next string) Fault { return at(file, nil, code, message, next) }

// at returns an error at a node, or at the start of the file.
func at(file string, n *yaml.Node, code, message, next string) Fault {
	f := Fault{
		File: file, Line: 1, Column: 1, Severity: protocol.SeverityError,
		Code: code, Message: message, Next: next,
	}
	if n != nil && n.Line > 0 {
		f.Line, f.Column = n.Line, n.Column
	}
	return f
}

// Path writes a path as people do: fields.amount.options[1].
func Path(path []any) string {
	return strings.TrimSuffix(shape.Issue{Path: path}.String(), ": ")
}
