package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// readJSON reads the JSON values of a file, with the same kind of tree beside
// them as YAML has: a YAML parser refuses some JSON, such as surrogate pairs.
func readJSON(file string, data []byte) (documents []Document, faults []Fault) {
	r := newReader(file, data)
	for {
		before := len(r.faults)
		value, node, err := r.value(0)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errDepth):
			return documents, r.faults
		case err != nil:
			return documents, append(r.faults, r.syntax(err))
		case value != nil && len(r.faults) == before:
			documents = append(documents, Document{File: file, Value: value, root: node})
		}
	}
}

// reader makes values and nodes of JSON's tokens.
type reader struct {
	file    string
	data    []byte
	decoder *json.Decoder
	lines   []int // offsets at which lines begin
	faults  []Fault
}

func newReader(file string, data []byte) *reader {
	r := &reader{file: file, data: data, decoder: json.NewDecoder(bytes.NewReader(data)), lines: []int{0}}
	r.decoder.UseNumber()
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	return r
}

var errDepth = errors.New("too deep")

// value reads the next value. Its error is io.EOF when there is none.
func (r *reader) value(depth int) (any, *yaml.Node, error) {
	token, node, err := r.token()
	if err != nil {
		return nil, nil, err
	}
	delimiter, ok := token.(json.Delim)
	switch {
	case !ok:
		return token, node, nil
	case depth > maxDepth:
		r.faults = append(r.faults, at(r.file, node, CodeTooDeep, fmt.Sprintf("nested deeper than %d levels", maxDepth), "make it flatter"))
		return nil, node, errDepth
	case delimiter == '{':
		value, err := r.object(node, depth)
		return value, node, err
	default:
		value, err := r.list(node, depth)
		return value, node, err
	}
}

func (r *reader) object(node *yaml.Node, depth int) (map[string]any, error) {
	node.Kind = yaml.MappingNode
	value := map[string]any{}
	for r.decoder.More() {
		token, key, err := r.token()
		if err != nil {
			return nil, unexpected(err)
		}
		name, _ := token.(string)
		key.Value = name
		if _, twice := value[name]; twice {
			r.faults = append(r.faults, at(r.file, key, CodeDuplicateKey, fmt.Sprintf("the key %q is there twice", name), "keep one of the two"))
		}
		v, n, err := r.value(depth + 1)
		if err != nil {
			return nil, unexpected(err)
		}
		value[name] = v
		node.Content = append(node.Content, key, n)
	}
	_, err := r.decoder.Token()
	return value, unexpected(err)
}

func (r *reader) list(node *yaml.Node, depth int) ([]any, error) {
	node.Kind = yaml.SequenceNode
	value := []any{}
	for r.decoder.More() {
		v, n, err := r.value(depth + 1)
		if err != nil {
			return nil, unexpected(err)
		}
		value = append(value, v)
		node.Content = append(node.Content, n)
	}
	_, err := r.decoder.Token()
	return value, unexpected(err)
}

// unexpected is an error inside a list or object, where the text may not end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// token reads the next token and says where it begins: after the last one,
// white space, a comma and a colon. Its node is a quoted scalar, so that no
// rule about unquoted YAML applies to it.
func (r *reader) token() (json.Token, *yaml.Node, error) {
	start := int(r.decoder.InputOffset())
	token, err := r.decoder.Token()
	if err != nil {
		return nil, nil, err
	}
	for start < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[start]) >= 0 {
		start++
	}
	line, column := r.place(start)
	if text, ok := token.(string); ok && strings.Contains(text, "\x00") {
		r.faults = append(r.faults, at(r.file, &yaml.Node{Line: line, Column: column}, CodeZeroByte, zeroByte, "remove it"))
	}
	return token, &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Line: line, Column: column}, nil
}

func (r *reader) place(offset int) (line, column int) {
	offset = min(offset, len(r.data))
	line = sort.SearchInts(r.lines, offset+1)
	return line, utf8.RuneCount(r.data[r.lines[line-1]:offset]) + 1
}

func (r *reader) syntax(err error) Fault {
	offset := int(r.decoder.InputOffset())
	var wrong *json.SyntaxError
	if errors.As(err, &wrong) {
		offset = int(wrong.Offset) - 1
	}
	line, column := r.place(max(offset, 0))
	return at(r.file, &yaml.Node{Line: line, Column: column}, CodeSyntax, err.Error(), "correct the JSON here")
}
