package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// maxFiles bounds the files of a tenant's bundle, those of its apps included.
const maxFiles = 10_000

// part is what one directory, or one compiled bundle, defines. It does not
// change once it is read.
type part struct {
	id          uint64 // differs from that of any other part
	dir         string // where it was read
	owner       string // who brings it, for people
	definitions [kinds][]*definition
	extensions  []*definition
	verify      []verification
	files       int
	faults      []Fault
	// incomplete says that text was lost to a fault, so that nothing can be
	// said about what other parts refer to.
	incomplete bool
	compiled   compiled // of a compiled bundle
}

func (p *part) empty() bool {
	for _, list := range p.definitions {
		if len(list) > 0 {
			return false
		}
	}
	return len(p.extensions) == 0 && !p.incomplete && len(p.faults) == 0
}

func (p *part) add(d *definition) {
	p.faults = append(p.faults, d.faults...)
	p.incomplete = p.incomplete || d.body == nil || d.kind == objects && d.object == nil
	switch {
	case d.kind == objects && d.isExtension():
		p.extensions = append(p.extensions, d)
	default:
		p.definitions[d.kind] = append(p.definitions[d.kind], d)
	}
}

func (p *part) names(k kind) []string {
	names := []string{}
	for _, d := range p.definitions[k] {
		names = append(names, d.name)
	}
	slices.Sort(names)
	return names
}

// tree is a file system with a prefix for the names of its files in faults.
type tree struct {
	fs.FS
	prefix string
}

// Stat, ReadDir and ReadFile use what the tree offers for them. Stat does not
// follow a link.
func (t tree) Stat(name string) (fs.FileInfo, error)      { return fs.Lstat(t.FS, name) }
func (t tree) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.FS, name) }
func (t tree) ReadFile(name string) ([]byte, error)       { return fs.ReadFile(t.FS, name) }

// hash names the content of a file or directory, where the tree can.
func (t tree) hash(name string) string {
	if named, ok := t.FS.(interface{ Hash(string) (string, error) }); ok {
		if hash, err := named.Hash(name); err == nil {
			return hash
		}
	}
	return ""
}

// hashOf is hash for an entry of a directory.
func (t tree) hashOf(dir string, e fs.DirEntry) string {
	if named, ok := e.(interface{ Hash() string }); ok {
		return named.Hash()
	}
	return t.hash(path.Join(dir, e.Name()))
}

// has tells that an entry of a directory has a hash, which is not empty.
func (t tree) has(dir string, e fs.DirEntry, hash string) bool {
	if named, ok := e.(interface{ HasHash(string) bool }); ok {
		return named.HasHash(hash)
	}
	return t.hashOf(dir, e) == hash
}

// read returns the text of a file that is not too large.
func (t tree) read(name string) ([]byte, *Fault) {
	// One look where the tree can. What is wrong with a file is told below.
	if at, ok := t.FS.(interface {
		ReadFileMax(name string, limit int64) ([]byte, error)
	}); ok {
		if data, err := at.ReadFileMax(name, config.MaxFileSize); err == nil {
			return data, nil
		}
	}
	var message string
	info, err := t.Stat(name)
	switch {
	case err != nil:
		message = err.Error()
	case !info.IsDir() && !info.Mode().IsRegular():
		f := t.notAFile(name)
		return nil, &f
	case info.Size() > config.MaxFileSize:
		f := config.FileError(t.prefix+name, config.CodeTooLarge, fmt.Sprintf("the file has %d bytes, more than %d", info.Size(), config.MaxFileSize), "split it")
		return nil, &f
	default:
		var data []byte
		if data, err = t.ReadFile(name); err == nil {
			return data, nil
		}
		message = err.Error()
	}
	var wrong *fs.PathError
	if errors.As(err, &wrong) {
		message = wrong.Err.Error()
	}
	f := config.FileError(t.prefix+name, config.CodeUnreadable, "the file cannot be read: "+message, "check the repository and its permissions")
	return nil, &f
}

// notAFile is the fault of a link or a submodule.
func (t tree) notAFile(name string) Fault {
	return config.FileError(t.prefix+name, codeSymlink, "this is a link or a submodule, which is not followed", "put the files themselves here")
}

// readPart reads the definitions of an app's or tenant's directory. known are
// the other files that it may have.
func (l *loader) readPart(t tree, dir, owner string, entries []fs.DirEntry, known ...string) *part {
	p := &part{id: l.cache.next(), dir: t.prefix + dir, owner: owner}
	var compiled, directories []string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		k := slices.IndexFunc(forms[:], func(f form) bool { return f.dir == e.Name() })
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case isOther(e):
			p.notAFile(t, name)
		case k >= 0 && e.IsDir():
			directories = append(directories, name)
			p.readKind(t, name, kind(k))
		case e.Name() == compiledFile && !e.IsDir():
			compiled = append(compiled, name)
			p.readCompiled(t, name)
		case slices.Contains(known, e.Name()):
		case e.IsDir() || isDefinition(e.Name()):
			p.unknown(t, name, e)
		}
	}
	if len(compiled) > 0 && len(directories) > 0 {
		p.faults = append(p.faults, config.FileError(t.prefix+compiled[0], codeTwoBundles,
			"a compiled bundle stands beside "+directories[0], "keep one of the two"))
	}
	return p
}

// isForm reports whether a directory of that name holds definitions.
func isForm(name string) bool {
	return slices.ContainsFunc(forms[:], func(f form) bool { return f.dir == name })
}

// isOther reports whether an entry is neither a file nor a directory: links may
// lead out of the repository, and submodules do.
func isOther(e fs.DirEntry) bool { return !e.IsDir() && !e.Type().IsRegular() }

func (p *part) notAFile(t tree, name string) {
	p.incomplete = true
	p.faults = append(p.faults, t.notAFile(name))
}

// isDefinition reports whether a file is of a kind that is read.
func isDefinition(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// unknown says what is not read. A tenant in there would be lost.
func (p *part) unknown(t tree, name string, e fs.DirEntry) {
	f := config.FileError(t.prefix+name, codeUnknownFile, fmt.Sprintf("%q is not read", e.Name()),
		"use objects, views, flows, permissions or seed, or move it elsewhere")
	f.Severity = SeverityWarning
	if _, err := t.Stat(path.Join(name, tenantFile)); e.IsDir() && err == nil {
		f.Severity, f.Code = SeverityError, codeTenantNested
		f.Message, f.Next = "a tenant cannot be inside another one", "move it beside the other"
	}
	p.faults = append(p.faults, f)
}

// readKind reads a directory of definitions of one kind.
func (p *part) readKind(t tree, dir string, k kind) {
	entries, err := t.ReadDir(dir)
	if err != nil {
		p.incomplete = true
		p.faults = append(p.faults, config.FileError(t.prefix+dir, config.CodeUnreadable, err.Error(), "check the repository and its permissions"))
		return
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case isOther(e):
			p.notAFile(t, name)
		case e.IsDir():
			p.faults = append(p.faults, config.FileError(t.prefix+name, codeUnknownFile,
				"definitions are not read from directories in "+path.Base(dir), "move them one up"))
		case p.files == maxFiles:
			p.tooMany(t.prefix + name)
			return
		case isDefinition(e.Name()):
			p.readFile(t, name, k)
		}
	}
}

func (p *part) tooMany(name string) {
	p.incomplete = true
	p.faults = append(p.faults, config.FileError(name, codeTooManyFiles, fmt.Sprintf("the bundle has more than %d files", maxFiles), "put several documents into one file"))
}

func (p *part) readFile(t tree, name string, k kind) {
	p.files++
	documents, ok := p.documents(t, name)
	for _, d := range documents {
		p.add(define(k, d, p.owner, ok && len(documents) == 1))
	}
}

// documents reads a file and reports whether nothing of it was lost.
func (p *part) documents(t tree, name string) ([]config.Document, bool) {
	data, fault := t.read(name)
	if fault != nil {
		p.incomplete = true
		p.faults = append(p.faults, *fault)
		return nil, false
	}
	documents, faults := config.Documents(t.prefix+name, data)
	p.incomplete = p.incomplete || len(faults) > 0
	p.faults = append(p.faults, faults...)
	return documents, len(faults) == 0
}

// compiledFile is a whole DeployBundle in one file, as build tools make it.
const compiledFile = "bundle.json"

// compiled is a DeployBundle, or an app with its definitions, which has the
// name and version of an app in place of a manifest.
type compiled struct {
	Manifest *protocol.DeployManifest `json:"manifest,omitempty" doc:"Name and contents; or else name and version."`
	Name     string                   `json:"name,omitempty" shape:"format=identifier" doc:"Name of the app."`
	Version  string                   `json:"version,omitempty" doc:"Version of the app."`
	Label    string                   `json:"label,omitempty" doc:"Name shown to people."`

	Objects     []map[string]any `json:"objects" default:"[]" doc:"Object definitions."`
	Views       []map[string]any `json:"views" default:"[]" doc:"View definitions."`
	Flows       []map[string]any `json:"flows" default:"[]" doc:"Flow definitions."`
	Permissions []map[string]any `json:"permissions" default:"[]" doc:"Permission sets."`
	SeedData    []map[string]any `json:"seedData" default:"[]" doc:"Seed sets."`
}

func (p *part) readCompiled(t tree, name string) {
	p.files++
	documents, whole := p.documents(t, name)
	if len(documents) == 0 && whole {
		p.incomplete = true
		p.faults = append(p.faults, config.FileError(t.prefix+name, shape.InvalidType,
			"a compiled bundle must be an object, and there is nothing in the file", "build it again, or remove the file"))
	}
	for _, d := range documents[:min(1, len(documents))] {
		p.compile(d)
	}
	for _, d := range documents[min(1, len(documents)):] {
		p.faults = append(p.faults, d.Error(nil, config.CodeDocuments, "a compiled bundle is one value", "remove the others"))
	}
}

// compile takes the definitions out of a compiled bundle.
func (p *part) compile(d config.Document) {
	c, report := shape.Parse[compiled](d.Value, shape.Keep)
	p.compiled = c
	p.faults = append(p.faults, d.Issues(SeverityError, report.Issues)...)
	for k := range kinds {
		list, _ := d.At(forms[k].key).Value.([]any)
		for i := range list {
			p.add(define(k, d.At(forms[k].key, i), p.owner, false))
		}
	}
}
