package reconcile_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/garbage"
	"github.com/tenantops/reconciler/reconcile"
)

// The reconciler of a fleet benchmark runs in a process of its own, so that its
// memory, descriptors and processor time are its own and not those of the loop
// that it is held against.

// childData, when set, makes this test binary the process that BenchmarkFleet
// and others measure.
const childData = "RECONCILER_BENCH_DATA"

// answer is what one order to the child took.
type answer struct {
	Status  string
	Changed int     // tenants
	Failed  int     // tenants
	Took    float64 // ms
	Healthy float64 // ms until the last tenant ended that has no problem
	Applied float64 // ms until the last tenant ended that was changed
	Saved   float64 // ms until the first one after that was looked at, before which state has those that were changed
	CPU     float64 // ms
	Peak    int     // KiB resident, at most, since the order began
	Open    int     // descriptors, at most
	Err     string
}

func TestBenchChild(t *testing.T) {
	data := os.Getenv(childData)
	if data == "" {
		return // only the child has something to do
	}
	garbage.Bound() // as the program does
	r, closeAll, err := openWorld(t, os.Getenv("RECONCILER_TEST_REPO"), data, func(*reconcile.Config) {})
	must(t, err)
	defer closeAll()
	out := json.NewEncoder(os.NewFile(3, "answers"))
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		must(t, out.Encode(obey(t, r, orders.Text())))
		if orders.Text() == "sync" {
			reconcile.Tidy(r, t.Context()) // as Run does
		}
	}
}

func obey(t *testing.T, r *reconcile.Reconciler, order string) (a answer) {
	stop := watchDescriptors(&a)
	must(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200)) // the peak begins anew
	start, cpu := time.Now(), processorTime(t)
	since := func() float64 { return float64(time.Since(start).Microseconds()) / 1000 }
	r.OnTenant = func(done reconcile.Tenant) {
		if !done.Problem() {
			a.Healthy = since()
		}
		if done.Result.Changed {
			a.Applied, a.Saved = since(), 0
		} else if a.Saved == 0 && a.Applied > 0 {
			a.Saved = since()
		}
	}
	var report reconcile.Report
	var err error
	switch order {
	case "sync":
		report, err = r.Sync(t.Context(), reconcile.Selection{})
	case "poll":
		var passed bool
		if passed, err = r.PollOnce(t.Context()); passed && err == nil {
			err = errors.New("a poll without a change made a pass")
		}
	case "plan":
		report, err = r.Plan(t.Context(), reconcile.Selection{})
	case "drift":
		_, err = r.Drift(t.Context(), nil)
	default:
		t.Fatalf("unknown order %q", order)
	}
	a.Took, a.CPU, a.Status = since(), processorTime(t)-cpu, string(report.Status)
	for _, tenant := range report.Tenants {
		if tenant.Result.Changed {
			a.Changed++
		}
		if tenant.Problem() {
			a.Failed++
		}
	}
	if err != nil {
		a.Err = err.Error()
	}
	stop()
	a.Peak = statusKiB(t, "VmHWM:")
	return a
}

// watchDescriptors keeps the highest number of open ones until it is stopped.
func watchDescriptors(a *answer) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	var most atomic.Int64
	look := func() {
		if open, err := os.ReadDir("/proc/self/fd"); err == nil {
			most.Store(max(most.Load(), int64(len(open))))
		}
	}
	look()
	go func() {
		defer close(done)
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-ended:
				return
			case <-every.C:
				look()
			}
		}
	}()
	return func() {
		close(ended)
		<-done
		a.Open = int(most.Load())
	}
}

// processorTime is what this process has used so far, in ms.
func processorTime(t *testing.T) float64 {
	var used syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e6
}

func statusKiB(t testing.TB, key string) int {
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	_, after, _ := bytes.Cut(status, []byte(key))
	kib, err := strconv.Atoi(string(bytes.Fields(after)[0]))
	must(t, err)
	return kib
}

// child is a reconciler in a process of its own.
type child struct {
	b       *testing.B
	began   time.Time
	process *exec.Cmd
	orders  io.WriteCloser
	answers *json.Decoder
	log     bytes.Buffer
}

// startChild begins a process for a world; it ends with close or the benchmark.
func startChild(b *testing.B, repo, data string) *child {
	b.Helper()
	c := &child{b: b, began: time.Now(), process: exec.Command(os.Args[0], "-test.run=^TestBenchChild$")}
	c.process.Env = append(os.Environ(), childData+"="+data, "RECONCILER_TEST_REPO="+repo)
	c.process.Stdout, c.process.Stderr = &c.log, &c.log
	var err error
	c.orders, err = c.process.StdinPipe()
	must(b, err)
	answers, write, err := os.Pipe()
	must(b, err)
	c.process.ExtraFiles = []*os.File{write}
	must(b, c.process.Start())
	must(b, write.Close())
	c.answers = json.NewDecoder(answers)
	b.Cleanup(func() { _ = c.process.Process.Kill() }) // it has ended, unless the benchmark has failed
	return c
}

// do has the child carry out an order.
func (c *child) do(order string) answer {
	c.b.Helper()
	_, err := fmt.Fprintln(c.orders, order)
	must(c.b, err)
	var a answer
	if err := c.answers.Decode(&a); err != nil {
		c.b.Fatalf("%s: %v\n%s", order, err, c.log.String())
	}
	if a.Err != "" {
		c.b.Fatalf("%s: %s", order, a.Err)
	}
	return a
}

// must do it to every tenant, or to the number given.
func (c *child) mustSync(changed int) answer {
	c.b.Helper()
	a := c.do("sync")
	if a.Status != "Succeeded" || a.Changed != changed {
		c.b.Fatalf("the sync ended %s, %d tenants changed, %d failed: want %d changed", a.Status, a.Changed, a.Failed, changed)
	}
	return a
}

func (c *child) close() {
	c.b.Helper()
	must(c.b, c.orders.Close())
	if err := c.process.Wait(); err != nil {
		c.b.Fatalf("%v\n%s", err, strings.TrimSpace(c.log.String()))
	}
}

// opens counts how often files of a directory are opened while f runs.
func opens(b *testing.B, dir string, f func()) (n int) {
	b.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	must(b, err)
	defer syscall.Close(fd) //nolint:errcheck // nothing was written
	_, err = syscall.InotifyAddWatch(fd, dir, syscall.IN_OPEN)
	must(b, err)
	f()
	buffer := make([]byte, 1<<16)
	for {
		read, err := syscall.Read(fd, buffer)
		if err != nil || read <= 0 {
			return n // nothing is left
		}
		for at := 0; at < read; {
			length := int(buffer[at+12]) | int(buffer[at+13])<<8 // of the name, which follows
			if length > 0 {
				n++ // without a name it is the directory
			}
			at += syscall.SizeofInotifyEvent + length
		}
	}
}
