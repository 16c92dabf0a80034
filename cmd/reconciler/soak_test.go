package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soakPlan is what a soak is made of, from SOAK_TIME, SOAK_TENANTS and
// SOAK_SEED. SOAK_BINARY names the program; without it this test's own is used.
type soakPlan struct {
	time    time.Duration
	tenants int
	seed    uint64
	writes  time.Duration // between two rows that applications write
	patient time.Duration // how long a fleet in trouble is waited for
}

func planOfSoak(t *testing.T) soakPlan {
	p := soakPlan{time: 6 * time.Second, tenants: 20, seed: uint64(time.Now().UnixNano()), writes: 5 * time.Millisecond, patient: time.Second}
	var err error
	if text := os.Getenv("SOAK_TIME"); text != "" {
		p.time, err = time.ParseDuration(text)
		soakMust(t, err)
		p.writes, p.patient = 50*time.Millisecond, 20*time.Second
	}
	if text := os.Getenv("SOAK_TENANTS"); text != "" {
		p.tenants, err = strconv.Atoi(text)
		soakMust(t, err)
	}
	if text := os.Getenv("SOAK_SEED"); text != "" {
		p.seed, err = strconv.ParseUint(text, 10, 64)
		soakMust(t, err)
	}
	return p
}

// long tells that there is time enough to tell what grows from what warms up.
func (p soakPlan) long() bool { return p.time >= 5*time.Minute }

// soak is a daemon on a repository, and everything that happens to both.
type soak struct {
	*testing.T
	plan   soakPlan
	random *rand.Rand // of the goroutine that acts
	dir    string
	began  time.Time

	repo    *soakRepo
	daemon  *soakDaemon
	lives   []*soakDaemon // all there were, the present one last
	tenants []*soakTenant // all there ever were, in the order of their ids' numbers
	done    map[string]int
	found   int // rows, at the last check
	sampled int // samples of the last life before the end
}

// TestSoak runs the daemon on a fleet while commits of all kinds, reverts,
// kills, drift, failing tenants and applications that write go on. In the end
// every tenant equals git, every row that was ever acknowledged is there with
// its values, and so is what people have made by hand. Memory and descriptors
// stay within their limits, and flat.
//
// It lasts some seconds; SOAK_TIME=1h SOAK_TENANTS=1000 is what make soak does.
func TestSoak(t *testing.T) {
	x := newSoak(t)
	x.Logf("SOAK_SEED=%d: %d tenants, %s", x.plan.seed, x.plan.tenants, x.plan.time)
	x.start()
	x.calm()
	stopWriting := x.write()
	for x.elapsed() < x.plan.time {
		for _, a := range x.shuffled() {
			if x.elapsed() >= x.plan.time && x.done[a.name] > 0 {
				continue // each has its turn at least once
			}
			a.do()
			x.done[a.name]++
			x.check(x.daemon.alive())
		}
		x.calm()
		x.logf("%s; %v", x.lives[len(x.lives)-1].usage(), x.done)
	}
	stopWriting()
	x.end()
}

func newSoak(t *testing.T) *soak {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("memory and descriptors are read from /proc")
	}
	x := &soak{T: t, plan: planOfSoak(t), dir: t.TempDir(), began: time.Now(), done: map[string]int{}}
	x.random = rand.New(rand.NewPCG(x.plan.seed, 0))
	for _, dir := range []string{filepath.Dir(x.dir), x.dir} { // the daemon is somebody else
		x.check(os.Chmod(dir, 0o755))
	}
	x.installProgram()
	x.repo = newSoakRepo(x)
	for range x.plan.tenants {
		x.addTenant()
	}
	x.repo.commit("the fleet as it begins")
	return x
}

// action is something that happens to a fleet.
type action struct {
	name string
	do   func()
}

// shuffled are all actions in a random order, so that each has its turn; what
// happens often is there several times.
func (x *soak) shuffled() []action {
	deck := []action{
		{"schema", x.changeSchema},
		{"schema", x.changeSchema},
		{"schema", x.changeSchema},
		{"tenant added", x.newTenants},
		{"tenant removed", x.removeTenant},
		{"tenant edited", x.editTenant},
		{"upgrade", x.upgrade},
		{"bad commit", x.badCommit},
		{"revert", x.revert},
		{"revert", x.revert},
		{"kill", x.kill},
		{"drift", x.drift},
		{"drift", x.drift},
		{"strike", x.strike},
		{"strike", x.strike},
		{"lift", x.lift},
		{"burst", x.burst},
	}
	x.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// settle mostly waits for the commit to be where it should be, as far as that
// is possible, and sometimes lets the next thing happen at once.
func (x *soak) settle() {
	if x.random.IntN(4) > 0 {
		_, _ = x.command("wait", "main", "--repo", x.repo.dir, "--data", x.data(), "--timeout", x.plan.patient.String()) // a fleet in trouble is not reached
	}
}

// calm ends all trouble and waits until git is what every tenant has.
func (x *soak) calm() {
	x.liftAll()
	x.repo.mend()
	x.repo.commit("calm")
	out, code := x.command("wait", "main", "--repo", x.repo.dir, "--data", x.data(), "--timeout", "15m")
	if code != 0 {
		x.Fatalf("the fleet did not come to rest, wait ended with %d:\n%s\n%s", code, shortened(out), x.daemon.tail())
	}
	x.checkRows()
}

// end brings back all that was ever taken away, and compares.
func (x *soak) end() {
	x.daemon.mu.Lock()
	x.sampled = len(x.daemon.samples)
	x.daemon.mu.Unlock()
	x.repo.restoreAll()
	x.calm()
	x.until("drift is healed", func() bool {
		_, code := x.command("drift", "--data", x.data())
		return code == 0
	})
	x.daemon.terminate()
	for _, what := range [][]string{{"plan", "--repo", x.repo.dir}, {"drift"}} {
		if out, code := x.command(append(what, "--data", x.data())...); code != 0 {
			x.Errorf("%s ended with %d:\n%s", what[0], code, shortened(out))
		}
	}
	x.checkRows()
	if x.found == 0 {
		x.Error("no application has written a row")
	}
	x.checkSchemas()
	x.checkHistory()
	x.checkUsage()
}

// until waits for something that a pass brings about, and gives it commits to
// make one of.
func (x *soak) until(what string, holds func() bool) {
	x.Helper()
	for range 20 {
		if holds() {
			return
		}
		x.repo.commit(what)
		_, _ = x.command("wait", "main", "--repo", x.repo.dir, "--data", x.data(), "--timeout", "5m")
	}
	x.Fatalf("%s: not after 20 passes\n%s", what, x.daemon.tail())
}

func (x *soak) elapsed() time.Duration { return time.Since(x.began) }

func (x *soak) data() string { return filepath.Join(x.dir, "data") }

func (x *soak) logf(format string, args ...any) {
	if x.plan.long() {
		fmt.Fprintf(os.Stderr, "soak %s %s\n", x.elapsed().Round(time.Second), fmt.Sprintf(format, args...))
	}
}

func (x *soak) check(err error) {
	x.Helper()
	soakMust(x.T, err)
}

func soakMust(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pick returns one of some at random.
func pick[T any](r *rand.Rand, some []T) T { return some[r.IntN(len(some))] }

// shortened are the first lines of an answer, and how long it was.
func shortened(text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) > 60 {
		lines = append(slices.Clone(lines[:60]), fmt.Sprintf("... %d lines", len(lines)))
	}
	return strings.Join(lines, "\n")
}
