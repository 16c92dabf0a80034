package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tenantops/reconciler/config"
)

// ErrEdit says that a tenant.yaml is written in a way in which its lists cannot
// be changed for somebody.
var ErrEdit = errors.New("the file cannot be edited")

// UseApp returns the text of a tenant.yaml in which the tenant uses an app, at
// the version of ref or, when that is empty, at that of its commit. Whatever
// else the text has stays as it is written, comments included.
//
// It gives an error matching ErrEdit for a file that is not valid, or in which
// the list is not one of its own: an alias, or a part of a JSON object.
func UseApp(file string, text []byte, ref AppRef) ([]byte, error) {
	return edited(file, text, func(s *TenantSpec) {
		at := slices.IndexFunc(s.Apps, func(r AppRef) bool { return r.Name == ref.Name })
		if at < 0 {
			at, s.Apps = len(s.Apps), append(s.Apps, AppRef{Name: ref.Name})
		}
		s.Apps[at].Version = ref.Version
		s.DropTables = slices.DeleteFunc(s.DropTables, func(name string) bool { return name == ref.Name })
	})
}

// LeaveApp returns the text of a tenant.yaml in which the tenant does not use
// an app; dropTables says not to keep its tables either. It is otherwise like
// UseApp.
func LeaveApp(file string, text []byte, app string, dropTables bool) ([]byte, error) {
	return edited(file, text, func(s *TenantSpec) {
		s.Apps = slices.DeleteFunc(s.Apps, func(r AppRef) bool { return r.Name == app })
		if dropTables && !slices.Contains(s.DropTables, app) {
			s.DropTables = append(s.DropTables, app)
		}
	})
}

// edited makes a text say what change makes of what it says, and makes sure
// that it does.
func edited(file string, text []byte, change func(*TenantSpec)) ([]byte, error) {
	before, _, faults := config.ParseOne[TenantSpec](file, text)
	if config.HasErrors(faults) {
		return nil, fmt.Errorf("%w: %w", ErrEdit, &InvalidError{Faults: faults})
	}
	after := before
	after.Apps, after.DropTables = slices.Clone(before.Apps), slices.Clone(before.DropTables)
	change(&after)
	e := editor{text: string(text)}
	e.list("apps", items(before.Apps, AppRef.written), items(after.Apps, AppRef.written), func(s string) string { return s[:strings.IndexAny(s+",}", ",}")] })
	e.list("dropTables", before.DropTables, after.DropTables, func(s string) string { return s })
	got, _, faults := config.ParseOne[TenantSpec](file, []byte(e.text))
	if e.err != nil || config.HasErrors(faults) || !same(got, after) {
		return nil, fmt.Errorf("%w: change apps and dropTables in %s by hand", ErrEdit, file)
	}
	return []byte(e.text), nil
}

func same(a, b TenantSpec) bool {
	x, errX := json.Marshal(normal(a))
	y, errY := json.Marshal(normal(b))
	return errX == nil && errY == nil && string(x) == string(y)
}

func normal(s TenantSpec) TenantSpec {
	if len(s.DropTables) == 0 {
		s.DropTables = nil
	}
	return s
}

// plainVersion is a version that YAML reads as text without quotes.
var plainVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.]+)?$`)

// written is how a reference stands in a list.
func (r AppRef) written() string {
	switch {
	case r.Version == "":
		return "{name: " + r.Name + "}"
	case plainVersion.MatchString(r.Version):
		return "{name: " + r.Name + ", version: " + r.Version + "}"
	}
	return "{name: " + r.Name + ", version: " + strconv.Quote(r.Version) + "}"
}

func items[T any](list []T, written func(T) string) []string {
	var texts []string
	for _, v := range list {
		texts = append(texts, written(v))
	}
	return texts
}

// editor changes lists in the text of a YAML mapping.
type editor struct {
	text string
	err  error
}

// list makes the list of a key have other items. name tells what an item is
// known by: one that keeps its name is changed in its place.
func (e *editor) list(key string, before, after []string, name func(string) string) {
	for i := len(before) - 1; i >= 0; i-- {
		at := slices.IndexFunc(after, func(s string) bool { return name(s) == name(before[i]) })
		switch {
		case at < 0:
			e.change(key, func(l list) string { return l.without(i) })
		case after[at] != before[i]:
			e.change(key, func(l list) string { return l.with(i, after[at]) })
		}
	}
	for _, item := range after {
		if !slices.ContainsFunc(before, func(s string) bool { return name(s) == name(item) }) {
			e.change(key, func(l list) string { return l.and(item) })
		}
	}
}

// change finds the list of a key and edits it.
func (e *editor) change(key string, edit func(list) string) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(e.text), &document); err != nil || len(document.Content) == 0 {
		e.err = ErrEdit
	}
	if e.err != nil {
		return
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0 {
		e.err = ErrEdit
		return
	}
	l := list{text: e.text, key: key}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key {
			l.name, l.node = root.Content[i], root.Content[i+1]
		}
	}
	if l.node != nil && l.node.Kind != yaml.SequenceNode {
		e.err = ErrEdit
		return
	}
	defer func() { // a position that is not where it was taken to be
		if recover() != nil {
			e.err = ErrEdit
		}
	}()
	e.text = edit(l)
}

// list is a list of a mapping, in its text. There is no node for one that is
// not there.
type list struct {
	text, key  string
	name, node *yaml.Node
}

func (l list) inBrackets() bool { return l.node.Style&yaml.FlowStyle != 0 }

// offset is where a line and column of the text are, both from 1. Columns count
// characters.
func (l list) offset(line, column int) int {
	at := 0
	for range line - 1 {
		at += strings.IndexByte(l.text[at:], '\n') + 1
	}
	for range column - 1 {
		_, size := firstRune(l.text[at:])
		at += size
	}
	return at
}

func firstRune(s string) (r rune, size int) {
	for i, c := range s {
		if i > 0 {
			return r, i
		}
		r = c
	}
	return r, len(s)
}

// lineEnd is where the line after an offset begins.
func (l list) lineEnd(at int) int {
	if i := strings.IndexByte(l.text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(l.text)
}

// and adds an item at the end.
func (l list) and(item string) string {
	if l.node == nil {
		text := l.text
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return text + l.key + ": [" + item + "]\n"
	}
	if l.inBrackets() {
		parts, from, to := l.parts()
		inside := strings.TrimRight(l.text[from:to], " \t\r\n")
		if len(parts) > 0 && !strings.HasSuffix(inside, ",") {
			item = ", " + item
		}
		at := from + len(inside)
		return l.text[:at] + item + l.text[at:]
	}
	last := l.node.Content[len(l.node.Content)-1]
	at := l.lineEnd(l.offset(lastLine(last), 1))
	line := strings.Repeat(" ", l.node.Column-1) + "- " + item + "\n"
	if at == len(l.text) && !strings.HasSuffix(l.text, "\n") {
		line = "\n" + strings.TrimSuffix(line, "\n")
	}
	return l.text[:at] + line + l.text[at:]
}

// without takes an item away.
func (l list) without(i int) string {
	if l.inBrackets() {
		parts, from, to := l.parts()
		kept := slices.Delete(slices.Clone(parts), i, i+1)
		for j := range kept {
			kept[j] = strings.TrimLeft(kept[j], " ")
		}
		return l.text[:from] + strings.Join(kept, ", ") + l.text[to:]
	}
	item := l.node.Content[i]
	from, to := l.offset(item.Line, 1), l.lineEnd(l.offset(lastLine(item), 1))
	text := l.text[:from] + l.text[to:]
	if len(l.node.Content) == 1 {
		at := l.offset(l.name.Line, l.name.Column) + len(l.key) + 1
		text = text[:at] + " []" + text[at:]
	}
	return text
}

// with puts another item into the place of one.
func (l list) with(i int, item string) string {
	if l.inBrackets() {
		parts, from, to := l.parts()
		space := parts[i][:len(parts[i])-len(strings.TrimLeft(parts[i], " \t\r\n"))]
		parts[i] = space + item
		return l.text[:from] + strings.Join(parts, ",") + l.text[to:]
	}
	node := l.node.Content[i]
	from := l.offset(node.Line, node.Column)
	if node.Style&yaml.FlowStyle != 0 {
		return l.text[:from] + item + l.text[l.closing(from)+1:]
	}
	to := l.lineEnd(l.offset(lastLine(node), 1))
	end := ""
	if strings.HasSuffix(l.text[:to], "\n") {
		end = "\n"
	}
	return l.text[:from] + item + end + l.text[to:]
}

// parts cuts the inside of the brackets at its commas. from and to are where
// the inside begins and ends.
func (l list) parts() (parts []string, from, to int) {
	open := l.offset(l.node.Line, l.node.Column)
	from, to = open+1, l.closing(open)
	begin := from
	l.scan(open, func(at, depth int) bool {
		if depth == 1 && l.text[at] == ',' {
			parts = append(parts, l.text[begin:at])
			begin = at + 1
		}
		return depth > 0
	})
	if rest := l.text[begin:to]; strings.TrimSpace(rest) != "" {
		parts = append(parts, rest)
	}
	return parts, from, to
}

// closing is where the bracket that opens at an offset is closed.
func (l list) closing(open int) (end int) {
	l.scan(open, func(at, depth int) bool {
		end = at
		return depth > 0
	})
	return end
}

// scan goes through the text from a bracket, and past what stands in quotes and
// comments, for as long as see says.
func (l list) scan(open int, see func(at, depth int) bool) {
	depth, quote := 0, byte(0)
	for at := open; at < len(l.text); at++ {
		c := l.text[at]
		switch {
		case quote == '"' && c == '\\':
			at++
			continue
		case quote != 0:
			if c == quote {
				quote = 0
			}
			continue
		case (c == '"' || c == '\'') && strings.ContainsRune(" [{,:", rune(l.text[at-1])):
			quote = c
			continue
		case c == '#' && strings.ContainsRune(" \t\n", rune(l.text[at-1])):
			at = l.lineEnd(at) - 1
			continue
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
		if !see(at, depth) {
			return
		}
	}
}

// lastLine is the last line on which something of a node begins.
func lastLine(n *yaml.Node) int {
	line := n.Line
	for _, child := range n.Content {
		line = max(line, lastLine(child))
	}
	return line
}
