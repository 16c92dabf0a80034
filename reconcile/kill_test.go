package reconcile_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// syncArgs, when set, makes this test binary run one sync and exit: the child
// process that TestKilledSync kills.
const syncArgs = "RECONCILER_TEST_SYNC"

func TestSyncInChild(t *testing.T) {
	if os.Getenv(syncArgs) == "" {
		return // only the child has something to do
	}
	r, closeAll, err := openWorld(t, os.Getenv("RECONCILER_TEST_REPO"), os.Getenv(syncArgs), func(*reconcile.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	r.OnTenant = func(done reconcile.Tenant) { fmt.Println("done", done.ID) }
	if _, err := r.Sync(t.Context(), reconcile.Selection{}); err != nil {
		t.Fatal(err)
	}
}

// A sync over many tenants is killed at a random moment, again and again. The
// next one leaves every tenant as one that was never interrupted, and each
// deployment is in its journal and in state once.
func TestKilledSync(t *testing.T) {
	kills := 5
	if text := os.Getenv("RECONCILER_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	const tenants = 200
	ids := make([]string, tenants)
	for i := range ids {
		ids[i] = fmt.Sprintf("t%03d", i)
	}
	w, calm := newWorld(t, shop(ids...)), t.TempDir()
	seed := "object: customer\nexternalId: email\nrecords:\n  - {name: Ada, email: ada@example.com}\n"
	w.commit("seed", files{"apps/shop/seed/customers.yaml": seed})
	for kill := range kills {
		object := customer
		if kill%2 == 1 {
			object = customerWithPhone
		}
		w.commit(fmt.Sprint("version ", kill), files{"apps/shop/objects/customer.yaml": object})
		killOneSync(t, w, rand.IntN(tenants))
		if report := w.sync(); report.Status != state.Succeeded {
			t.Fatalf("kill %d: the next sync ended %s", kill, report.Status)
		}
		quiet := &world{t: t, repo: w.repo, data: calm}
		quiet.sync()
		for _, id := range ids {
			if got, want := content(t, w.tenantFile(id)), content(t, quiet.tenantFile(id)); got != want {
				t.Fatalf("kill %d: tenant %s: got\n%s\nwant\n%s", kill, id, got, want)
			}
		}
		if got := rowsOf(t, filepath.Join(w.data, "state.db"), "SELECT count(*) - count(DISTINCT id) FROM deployments"); got != "0" {
			t.Fatalf("kill %d: %s deployments are recorded twice", kill, got)
		}
	}
}

// killOneSync starts a sync and kills it after it has told of so many tenants.
func killOneSync(t *testing.T, w *world, after int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestSyncInChild$", "-test.v")
	child.Env = append(os.Environ(), syncArgs+"="+w.data, "RECONCILER_TEST_REPO="+w.repo)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for seen := 0; seen <= after && lines.Scan(); {
		if len(lines.Text()) > 4 && lines.Text()[:4] == "done" {
			seen++
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Log(err) // it was done already
	}
	_ = child.Wait() // killed: its status says so
}
