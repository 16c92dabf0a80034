package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/tenantops/reconciler/config"
)

// Edit returns the text of a tenant.yaml with one of its keys set to a word,
// and all else as it is, comments too. It gives an error for a file in which
// that cannot be told, such as one on one line: it is then to be edited by hand.
func Edit(text []byte, key, word string) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("edit %s: %w", key, err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode || document.Content[0].Style&yaml.FlowStyle != 0 {
		return nil, fmt.Errorf("edit %s: %w", key, errByHand)
	}
	edited, err := edit(text, document.Content[0].Content, key, word)
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w", key, err)
	}
	found, faults := config.Documents("tenant.yaml", edited)
	if len(faults) > 0 || len(found) != 1 || found[0].At(key).Value != any(word) {
		return nil, fmt.Errorf("edit %s: %w", key, errByHand)
	}
	return edited, nil
}

var errByHand = errors.New("the file is written in a way that only people can change: edit it by hand")

// edit replaces the value of a key, or adds both at the end.
func edit(text []byte, pairs []*yaml.Node, key, word string) ([]byte, error) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i].Value != key {
			continue
		}
		value := pairs[i+1]
		if value.Kind != yaml.ScalarNode || value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || value.Line != pairs[i].Line {
			return nil, errByHand
		}
		line, written := lines[value.Line-1], []byte(value.Value)
		from := value.Column - 1 // of ASCII keys: columns are bytes there
		if value.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			written = slices.Concat(line[from:from+1], written, line[from:from+1])
		}
		if !bytes.HasPrefix(line[from:], written) {
			return nil, errByHand
		}
		lines[value.Line-1] = slices.Concat(line[:from], []byte(word), line[from+len(written):])
		return bytes.Join(lines, nil), nil
	}
	text = bytes.TrimRight(text, "\n")
	return fmt.Appendf(slices.Clone(text), "\n%s: %s\n", key, word), nil
}
