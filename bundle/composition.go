package bundle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// composition is what parts make together. Tenants with the same parts share
// it.
type composition struct {
	parts       []*part
	definitions [kinds][]*definition // all but seed sets by name
	objects     []*composed
	apps        []protocol.AppManifest // dependencies first
	faults      []Fault                // sorted, those of the parts included
	desired     map[config.Environment]*Desired
	mapping     func(Object) []Unmapped
	verify      []verification
}

// composeAll composes parts, those of dependencies first. more are faults that
// concern whoever has these parts. Where the parts are not all there are, or
// one lost something, nothing is said about what refers to another part.
func (o Options) composeAll(parts []*part, more []Fault, complete bool) *composition {
	c := &composition{parts: parts, desired: map[config.Environment]*Desired{}, mapping: o.Mapping}
	c.faults = append(c.faults, more...)
	files := 0
	complete = complete && !config.HasErrors(more)
	for _, p := range parts {
		c.faults = append(c.faults, p.faults...)
		complete = complete && !p.incomplete
		if files += p.files; files > maxFiles {
			c.faults = append(c.faults, config.FileError(p.dir, codeTooManyFiles, fmt.Sprintf("the bundle has more than %d files with this", maxFiles), "put several documents into one file"))
			complete = false
		}
	}
	if complete {
		c.collect()
		c.extend()
		c.check()
		c.verifications(o.Readable)
	}
	c.faults = config.SortFaults(c.faults)
	return c
}

func (c *composition) error(d *definition, path []any, code, message, next string) {
	c.faults = append(c.faults, d.doc.Error(path, code, message, next))
}

func (c *composition) warning(d *definition, path []any, code, message, next string) {
	c.faults = append(c.faults, d.doc.Warning(path, code, message, next))
}

// collect takes the definitions of all parts and leaves out those of a name
// that another one has. Seed sets keep the order of parts.
func (c *composition) collect() {
	for k := range kinds {
		taken := map[string]*definition{}
		for _, p := range c.parts {
			for _, d := range p.definitions[k] {
				if other := taken[d.name]; other != nil && k != seeds && d.name != "" {
					c.conflict(d, other)
					continue
				}
				taken[d.name] = d
				c.definitions[k] = append(c.definitions[k], d)
			}
		}
		if k != seeds {
			slices.SortFunc(c.definitions[k], func(a, b *definition) int { return strings.Compare(a.name, b.name) })
		}
	}
	for _, d := range c.definitions[objects] {
		c.objects = append(c.objects, d.object)
	}
}

func (c *composition) conflict(d, other *definition) {
	word, place := forms[d.kind].word, other.doc.Error(nil, "", "", "")
	code, next := codeNameConflict, "rename one of them"
	if d.kind == objects {
		code, next = codeObjectConflict, "rename one of them, or write extend in place of name"
	}
	c.error(d, []any{"name"}, code, fmt.Sprintf("%s %q of %s is already defined by %s (%s:%d)",
		word, d.name, d.owner, other.owner, place.File, place.Line), next)
}

// extend applies extensions by priority, then in the order of parts.
func (c *composition) extend() {
	byTarget := map[string][]*definition{}
	for _, p := range c.parts {
		for _, e := range p.extensions {
			if c.find(e.name) == nil {
				c.error(e, []any{"extend"}, codeExtendMissing, fmt.Sprintf("there is no object %q to extend", e.name), "add the app that defines it to dependencies or apps")
				continue
			}
			byTarget[e.name] = append(byTarget[e.name], e)
		}
	}
	for i, object := range c.objects {
		extensions := byTarget[object.name]
		if len(extensions) == 0 {
			continue
		}
		slices.SortStableFunc(extensions, func(a, b *definition) int { return cmp.Compare(a.priority, b.priority) })
		extended, faults := object.extend(extensions)
		c.faults = append(c.faults, faults...)
		c.objects[i], c.definitions[objects][i] = extended, extended.definition
	}
}

func (c *composition) find(object string) *composed {
	i, ok := slices.BinarySearchFunc(c.objects, object, func(o *composed, name string) int { return strings.Compare(o.name, name) })
	if !ok {
		return nil
	}
	return c.objects[i]
}

// desiredIn returns what a tenant of an environment should have. Its manifest
// has the version of one who gives none. It must not be asked for when there are errors.
func (c *composition) desiredIn(e config.Environment) *Desired {
	if d := c.desired[e]; d != nil {
		return d
	}
	d := &Desired{Apps: c.apps}
	lists := [kinds]*[]map[string]any{
		&d.Bundle.Objects, &d.Bundle.Views, &d.Bundle.Flows, &d.Bundle.Permissions, &d.Bundle.SeedData,
	}
	names := [kinds]*[]string{
		&d.Bundle.Manifest.Objects, &d.Bundle.Manifest.Views, &d.Bundle.Manifest.Flows, &d.Bundle.Manifest.Permissions, new([]string),
	}
	var kept [kinds][]*definition
	for k := range kinds {
		*lists[k], *names[k] = []map[string]any{}, []string{}
		for _, definition := range c.definitions[k] {
			if k == seeds && e != "" && !slices.Contains(definition.dataset.Env, string(e)) {
				continue
			}
			kept[k] = append(kept[k], definition)
			*lists[k] = append(*lists[k], definition.body)
			*names[k] = append(*names[k], definition.name)
		}
	}
	for _, o := range c.objects {
		d.Objects = append(d.Objects, o.Object)
	}
	d.Digest = digest(kept, d.Objects)
	d.Verify = queriesOf(c.verify)
	d.VerifyDigest = verifyDigest(d.Verify)
	d.Bundle.Manifest.Checksum, d.Bundle.Manifest.Version = d.Digest, d.Digest[:versionLength]
	c.desired[e] = d
	return d
}

// digest is the sha256 of {kind: [definition...], ..., renames: [...]} in
// canonical JSON. Views come with their names, which they may owe to a file.
func digest(definitions [kinds][]*definition, typed []Object) string {
	b := []byte{'{'}
	for k := range kinds {
		b = append(b, '"')
		b = append(b, forms[k].key...)
		b = append(b, `":[`...)
		for i, d := range definitions[k] {
			if i > 0 {
				b = append(b, ',')
			}
			if k == views {
				b = append(quoted(b, d.name), ',')
			}
			b = append(b, d.canonical...)
		}
		b = append(b, "],"...)
	}
	b = append(b, `"renames":`...)
	sum := sha256.Sum256(append(canonical(b, renames(typed)), '}'))
	return hex.EncodeToString(sum[:])
}

// renames lists [object, field or "", name before].
func renames(typed []Object) []any {
	all := []any{}
	for _, o := range typed {
		if o.RenamedFrom != "" {
			all = append(all, []any{o.Name, "", o.RenamedFrom})
		}
		for _, key := range slices.Sorted(maps.Keys(o.FieldRenames)) {
			all = append(all, []any{o.Name, key, o.FieldRenames[key]})
		}
	}
	return all
}

// withManifest returns what has the version and time that a manifest gives.
func (d *Desired) withManifest(own protocol.DeployManifest) *Desired {
	if own.Version == "" && own.CreatedAt == "" {
		return d
	}
	copied := *d
	m := &copied.Bundle.Manifest
	m.Version, m.CreatedAt = cmp.Or(own.Version, m.Version), own.CreatedAt
	return &copied
}
