package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/memo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/state"
)

// bundles keeps in state what was deployed, so that there is a way back
// without git. Tenants that share a bundle share its row.
type bundles struct {
	store *state.Store
	saved memo.Map[bool] // digests that are known to be there
}

// storedBundle is a bundle as it is kept. Its objects are parsed again from
// their definitions; Renames are theirs, in the same order.
type storedBundle struct {
	Bundle  protocol.DeployBundle  `json:"bundle"`
	Apps    []protocol.AppManifest `json:"apps,omitempty"`
	Renames []renames              `json:"renames,omitempty"`
}

type renames struct {
	Object string            `json:"object,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
}

// save stores a bundle under its digest, once. It is called before the
// deployment runs: one that commits always has its bundle there.
func (b *bundles) save(ctx context.Context, d *bundle.Desired) error {
	if there, _ := b.saved.Recall(d.Digest); there || b.store == nil {
		return nil
	}
	stored := storedBundle{Bundle: d.Bundle, Apps: d.Apps}
	for _, o := range d.Objects {
		stored.Renames = append(stored.Renames, renames{o.RenamedFrom, o.FieldRenames})
	}
	body, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("store bundle %.12s: %w", d.Digest, err)
	}
	if err := b.store.SaveBundle(ctx, d.Digest, body); err != nil {
		return err
	}
	b.saved.Remember(d.Digest, true, maxKnown)
	return nil
}

// load reads what save stored.
func (b *bundles) load(ctx context.Context, digest string) (*bundle.Desired, error) {
	body, err := b.store.Bundle(ctx, digest)
	if err != nil {
		return nil, err
	}
	var stored storedBundle
	numbersKept := json.NewDecoder(bytes.NewReader(body))
	numbersKept.UseNumber() // definitions are registered as they were written
	if err := numbersKept.Decode(&stored); err != nil {
		return nil, fmt.Errorf("read stored bundle %.12s: %w", digest, err)
	}
	return stored.desired(digest)
}

// desired parses the objects again from their definitions.
func (s storedBundle) desired(digest string) (*bundle.Desired, error) {
	d := &bundle.Desired{Bundle: s.Bundle, Apps: s.Apps, Digest: digest}
	for i, definition := range s.Bundle.Objects {
		object, report := shape.Parse[protocol.Object](definition, shape.Keep)
		if err := report.Err(); err != nil {
			return nil, fmt.Errorf("read stored bundle %.12s: object %d: %w", digest, i+1, err)
		}
		parsed := bundle.Object{Object: object}
		if i < len(s.Renames) {
			parsed.RenamedFrom, parsed.FieldRenames = s.Renames[i].Object, s.Renames[i].Fields
		}
		d.Objects = append(d.Objects, parsed)
	}
	return d, nil
}
