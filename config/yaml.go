package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// readYAML reads each document twice: as a tree of nodes, which know where
// they stand and how they were written, and as the JSON value that
// sigs.k8s.io/yaml makes of it. Where the two could differ, because one follows
// YAML 1.1 and the other 1.2, the tree's check is an error.
func readYAML(file string, data []byte) (documents []Document, faults []Fault) {
	for _, part := range split(data) {
		d, found := readPart(file, part)
		faults = append(faults, found...)
		if d != nil {
			documents = append(documents, *d)
		}
	}
	return documents, faults
}

// part is the text of one document and the number of lines before it.
type part struct {
	text   []byte
	before int
}

// split cuts at lines that begin with ---, which YAML allows nowhere but
// between documents. The marker stays with the document that it opens.
func split(data []byte) []part {
	parts := []part{{}}
	line := 0
	for text := range bytes.Lines(data) {
		if isMarker(text) {
			parts = append(parts, part{before: line})
		}
		last := &parts[len(parts)-1]
		last.text = append(last.text, text...)
		line++
	}
	return parts
}

func isMarker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || bytes.ContainsRune([]byte(" \t\r\n"), rune(rest[0])))
}

func readPart(file string, p part) (*Document, []Fault) {
	decoder := yaml.NewDecoder(bytes.NewReader(p.text))
	var tree yaml.Node
	if err := decoder.Decode(&tree); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, []Fault{syntax(file, err, p.before)}
	}
	root := tree.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, nil
	}
	c := check{file: file, before: p.before}
	c.node(root, 0)
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		c.fault(more.Content[0], CodeSyntax, "there is text after the end of the document", "begin a document with ---")
	} else if !errors.Is(err, io.EOF) {
		c.faults = append(c.faults, syntax(file, err, p.before))
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	d := Document{File: file, root: root}
	if err := sigsyaml.UnmarshalStrict(p.text, &d.Value, useNumber); err != nil {
		return nil, []Fault{syntax(file, err, p.before)}
	}
	return &d, nil
}

func useNumber(d *json.Decoder) *json.Decoder {
	d.UseNumber()
	return d
}

var lineOfError = regexp.MustCompile(`line (\d+): `)

// syntax turns an error of a YAML library, which tells the line in its text,
// into a fault.
func syntax(file string, err error, before int) Fault {
	for wrapped := err; wrapped != nil; wrapped = errors.Unwrap(wrapped) {
		err = wrapped
	}
	message, place := strings.TrimPrefix(err.Error(), "yaml: "), &yaml.Node{Line: before + 1, Column: 1}
	if found := lineOfError.FindStringSubmatch(message); found != nil {
		line, _ := strconv.Atoi(found[1])
		message, place.Line = strings.Replace(message, found[0], "", 1), before+max(line, 1)
	}
	return at(file, place, CodeSyntax, strings.TrimSpace(message), "correct the YAML at or before this line")
}

// check looks at a tree for what YAML 1.1 and 1.2 read differently and for
// what JSON has no form for. It moves the nodes to their lines in the file.
type check struct {
	file    string
	before  int
	aliases int // nodes that aliases stand for
	faults  []Fault
}

func (c *check) fault(n *yaml.Node, code, message, next string) {
	c.faults = append(c.faults, at(c.file, n, code, message, next))
}

func (c *check) node(n *yaml.Node, depth int) {
	n.Line += c.before
	if depth > maxDepth {
		c.fault(n, CodeTooDeep, fmt.Sprintf("nested deeper than %d levels", maxDepth), "make it flatter")
		return
	}
	if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!str" {
		c.fault(n, CodeTag, "the tag "+n.Tag+" is not understood", "leave the tag out")
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		c.alias(n, depth)
	case yaml.ScalarNode:
		c.scalar(n)
	case yaml.MappingNode:
		c.mapping(n, depth)
	default:
		for _, item := range n.Content {
			c.node(item, depth+1)
		}
	}
}

func (c *check) mapping(n *yaml.Node, depth int) {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		key.Line += c.before
		c.key(key)
		if first, twice := seen[key.Value]; twice {
			c.fault(key, CodeDuplicateKey, fmt.Sprintf("the key %q is already at line %d", key.Value, first), "keep one of the two")
		}
		seen[key.Value] = key.Line
		c.node(value, depth+1)
	}
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// zeroByte says why text is refused that a database cannot hold.
const zeroByte = "text cannot have a zero byte"

func (c *check) key(n *yaml.Node) {
	switch {
	case strings.Contains(n.Value, "\x00"):
		c.fault(n, CodeZeroByte, zeroByte, "remove it")
	case n.Kind != yaml.ScalarNode:
		c.fault(n, CodeKey, "a key must be text", "write a name")
	case n.ShortTag() == "!!merge" || isQuoted(n):
	case isOldBoolean(n.Value):
		c.fault(n, CodeQuote, fmt.Sprintf("the key %s is read as a boolean", n.Value), fmt.Sprintf("quote it: %q", n.Value))
	case n.ShortTag() == "!!int" && wholeNumber.MatchString(n.Value):
	case n.ShortTag() != "!!str" && n.ShortTag() != "!!timestamp":
		c.fault(n, CodeQuote, fmt.Sprintf("the key %s is not read as text", n.Value), fmt.Sprintf("quote it: %q", n.Value))
	}
}

var (
	leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)
	notFinite   = regexp.MustCompile(`(?i)^[-+]?\.(inf|nan)$`)
)

func (c *check) scalar(n *yaml.Node) {
	switch {
	case strings.Contains(n.Value, "\x00"):
		c.fault(n, CodeZeroByte, zeroByte, "remove it")
	case isQuoted(n):
	case isOldBoolean(n.Value):
		c.fault(n, CodeQuote, n.Value+" without quotes is a boolean in YAML 1.1 and text in 1.2",
			fmt.Sprintf("write %q for the text, or true or false", n.Value))
	case leadingZero.MatchString(n.Value):
		c.fault(n, CodeQuote, n.Value+" without quotes is read as a number, in base 8 where it can be",
			fmt.Sprintf("write %q for the text, or leave the zeros out", n.Value))
	case notFinite.MatchString(n.Value):
		c.fault(n, CodeQuote, n.Value+" is a number that JSON has no form for", fmt.Sprintf("write %q for the text", n.Value))
	}
}

func isQuoted(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0
}

// isOldBoolean reports whether YAML 1.1 reads a word as a boolean and 1.2 does
// not. Source: yaml.org/type/bool.html.
func isOldBoolean(word string) bool {
	switch word {
	case "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF":
		return true
	}
	return false
}

// alias bounds what aliases stand for, also one that contains itself.
func (c *check) alias(n *yaml.Node, depth int) {
	if c.aliases > maxAliases {
		return
	}
	if c.weigh(n.Alias, depth); c.aliases > maxAliases {
		c.fault(n, CodeAliases, fmt.Sprintf("aliases stand for more than %d values", maxAliases), "write the values out")
	}
}

func (c *check) weigh(n *yaml.Node, depth int) {
	if depth > maxDepth {
		c.aliases = maxAliases + 1
	}
	if c.aliases++; c.aliases > maxAliases {
		return
	}
	if n.Kind == yaml.AliasNode {
		c.weigh(n.Alias, depth+1)
	}
	for _, item := range n.Content {
		c.weigh(item, depth+1)
	}
}
