package tenantrouter_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

const loadClients = 32

// fleetSize is how many tenants the load test has; make soak gives it 1,000. A
// tenth of their databases may stay open.
func fleetSize(t testing.TB) int {
	text := os.Getenv("ROUTER_TENANTS")
	if text == "" {
		return 60
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// The states of a tenant under load; those between two others are odd.
const (
	active = iota
	suspending
	suspended
	resuming
)

// crowd is a house whose tenants are suspended, resumed, moved to other plans
// and invalidated while clients use them.
type crowd struct {
	*house
	url     string
	ids     []protocol.TenantID
	epochs  []atomic.Int64 // modulo 4 a tenant's state
	written []atomic.Int64 // rows that clients were told are there
	refused atomic.Int64
}

func newCrowd(t *testing.T, tenants int) *crowd {
	t.Helper()
	c := &crowd{
		house:  newHouse(t, func(o *tenantrouter.Options) { o.MaxConnections = tenants / 10 }),
		epochs: make([]atomic.Int64, tenants), written: make([]atomic.Int64, tenants),
	}
	for i := range tenants {
		c.ids = append(c.ids, protocol.TenantID(fmt.Sprintf("t%04d", i)))
		c.add(c.ids[i], nil)
	}
	server := httptest.NewServer(tenantrouter.Middleware(c.gateway)(http.HandlerFunc(visit)))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// visit writes a row in a transaction for POST, and answers whose database it
// is.
func visit(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		tenant, err := tenantrouter.FromContext(r.Context())
		if err == nil {
			err = insert(r, tenant)
		}
		if err != nil {
			tenantrouter.WriteError(w, err)
			return
		}
	}
	whose(w, r)
}

func insert(r *http.Request, tenant *tenantrouter.Tenant) error {
	lease, err := tenant.Conn(r.Context())
	if err != nil {
		return err
	}
	defer lease.Close()
	for _, sql := range []string{"BEGIN IMMEDIATE", "INSERT INTO who VALUES ('" + string(tenant.TenantID) + "')", "COMMIT"} {
		if _, err := lease.Exec(r.Context(), sql); err != nil {
			return err
		}
	}
	return nil
}

// request is one visit, whose answer has to fit the tenant's state, if that
// did not change meanwhile.
func (c *crowd) request(t *testing.T, client *http.Client, i int, method string) {
	before := c.epochs[i].Load()
	request, err := http.NewRequestWithContext(t.Context(), method, c.url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("X-Tenant-ID", string(c.ids[i]))
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	served := response.StatusCode == http.StatusOK && string(body) == "database of "+string(c.ids[i])
	refused := response.StatusCode == http.StatusForbidden && strings.Contains(string(body), "tenant_suspended")
	stable := before == c.epochs[i].Load()
	switch {
	case !served && !refused, stable && before%4 == active && !served, stable && before%4 == suspended && !refused:
		t.Errorf("%s of %s in state %d (stable %t): got %d %s", method, c.ids[i], before%4, stable, response.StatusCode, body)
	case refused:
		c.refused.Add(1)
	case method == http.MethodPost:
		c.written[i].Add(1)
	}
}

// pick picks a tenant; some are asked for more than others.
func (c *crowd) pick(random *rand.Rand) int {
	if random.IntN(3) > 0 {
		return random.IntN(max(1, len(c.ids)/20))
	}
	return random.IntN(len(c.ids))
}

// disturb changes a tenant as an operator would.
func (c *crowd) disturb(random *rand.Rand) {
	i := c.pick(random)
	set := func(status protocol.TenantProvisioningStatus) {
		c.epochs[i].Add(1)
		c.change(c.ids[i], func(r *tenantrouter.Record) { r.Status = status })
		c.gateway.InvalidateCache(c.ids[i])
		c.epochs[i].Add(1)
	}
	switch random.IntN(3) {
	case 0:
		c.gateway.InvalidateCache(c.ids[i])
	case 1:
		plans := []protocol.TenantPlan{protocol.PlanFree, protocol.PlanPro, protocol.PlanEnterprise}
		c.change(c.ids[i], func(r *tenantrouter.Record) { r.Plan = plans[random.IntN(3)] })
		c.gateway.InvalidateCache(c.ids[i])
	case 2:
		if c.epochs[i].Load()%4 == active {
			set(protocol.TenantSuspended)
		} else {
			set(protocol.TenantActive)
		}
	}
}

// Many clients use many tenants, of which few may stay open, while tenants are
// suspended and invalidated. Nobody gets an error but those of a suspended
// tenant, every row that was promised is there, and nothing stays open.
func TestLoad(t *testing.T) {
	tenants := fleetSize(t)
	c := newCrowd(t, tenants)
	each := max(40, tenants/2)
	var clients, operator sync.WaitGroup
	turns := make(chan struct{}) // of the operator: one for four requests
	var disturbed int
	operator.Go(func() {
		random := rand.New(rand.NewPCG(1, 0))
		for range turns {
			c.disturb(random)
			disturbed++
		}
	})
	for n := range loadClients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(n)))
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for turn := range each {
				if turn%4 == 0 {
					turns <- struct{}{}
				}
				method := http.MethodGet
				if random.IntN(4) == 0 {
					method = http.MethodPost
				}
				c.request(t, client, c.pick(random), method)
			}
		})
	}
	clients.Wait()
	close(turns)
	operator.Wait()
	if open := databases(handles(t, c.data)); open > tenants/10 {
		t.Errorf("%d databases are open, want %d at most", open, tenants/10)
	}
	must(t, c.gateway.Close())
	wantNoHandles(t, c.house)
	var rows int64
	for i, id := range c.ids {
		if want, got := 1+c.written[i].Load(), c.rows(id); got != want {
			t.Errorf("%s has %d rows, want %d", id, got, want)
		}
		rows += c.written[i].Load()
	}
	if c.refused.Load() == 0 {
		t.Error("nobody met a suspended tenant")
	}
	t.Logf("%d requests, %d of them refused, %d rows written, %d changes by the operator", loadClients*each, c.refused.Load(), rows, disturbed)
}

// databases counts the databases among open files.
func databases(open []string) int {
	found := map[string]bool{}
	for _, path := range open {
		found[strings.TrimSuffix(strings.TrimSuffix(path, "-wal"), "-shm")] = true
	}
	return len(found)
}

func (c *crowd) rows(id protocol.TenantID) int64 {
	c.Helper()
	at, err := c.files.Locate(id, nil)
	must(c, err)
	conn, err := c.files.OpenReadOnly(c.Context(), at)
	must(c, err)
	defer conn.Close()
	rows, err := conn.Query(c.Context(), "SELECT count(*) FROM who WHERE tenant = ?", string(id))
	must(c, err)
	return rows.Values[0][0].(int64)
}
