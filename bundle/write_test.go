package bundle_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// What is written reads as what was meant, whatever a customer is called.
func TestWrittenTenantReadsTheSame(t *testing.T) {
	fleet, _ := config.ParseFleet("fleet.yaml", nil)
	for _, name := range []string{"Acme", "yes", "1.10", "# no comment", "a: b", "größe\nzwei", "null", "'", "- x", "2026-01-01"} {
		spec := bundle.TenantSpec{
			ID: "acme", Name: name, OrgID: name, Plan: protocol.PlanPro, Region: protocol.RegionEUWest,
			IsolationLevel: protocol.IsolatedDB, DatabaseProvider: protocol.ProviderTurso, Environment: config.Prod,
			ProvisioningStatus: protocol.TenantActive, Apps: []bundle.AppRef{{Name: "shop"}}, Labels: map[string]string{"tier": name},
			Customizations: map[string]any{"metadata": map[string]any{"note": name}},
		}
		text, err := bundle.Write(spec, fleet)
		if err != nil {
			t.Fatal(err)
		}
		tree := fstest.MapFS{"apps/shop/app.yaml": {Data: []byte("name: shop\nlabel: Shop\nversion: 1.0.0\n")}}
		got, _, err := bundle.Draft(tree, "acme", text, bundle.Options{})
		if err != nil {
			t.Errorf("%q: %v\n%s", name, err, text)
			continue
		}
		if diff := cmp.Diff(spec, got.Spec); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
		tree["tenants/acme/tenant.yaml"] = &fstest.MapFile{Data: text}
		loaded, err := bundle.Load(tree, bundle.Options{})
		if err != nil || loaded.Tenants[0].Desired.Digest != got.Desired.Digest {
			t.Errorf("%q: the tree has another bundle than the draft: %v", name, err)
		}
	}
}

func TestEditKeepsTheRest(t *testing.T) {
	for text, want := range map[string]string{
		"id: a\nplan: free # for now\nname: A\n":    "id: a\nplan: pro # for now\nname: A\n",
		"# head\nid: a\nname: A":                    "# head\nid: a\nname: A\nplan: pro\n",
		"id: a\n\"plan\": 'free'\nlabels: {b: c}\n": "id: a\n\"plan\": pro\nlabels: {b: c}\n",
		"{id: a, plan: free}\n":                     "",
		"id: a\nplan: >\n  free\n":                  "",
		"id: a\nplan:\n  free\n":                    "",
		"id: [\n":                                   "",
		"":                                          "",
		"id: a\n---\nid: b\n":                       "",
	} {
		got, err := bundle.Edit([]byte(text), "plan", "pro")
		if (err != nil) != (want == "") || string(got) != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}
