package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// nobody is who the daemon runs as when the test is root, for whom permissions
// would not hold.
const nobody = 65534

// installProgram puts the program where everybody may run it, and makes the
// directories that it works in.
func (x *soak) installProgram() {
	binary := os.Getenv("SOAK_BINARY")
	if binary == "" {
		var err error
		binary, err = os.Executable() // which is reconciler when it is called so
		x.check(err)
	}
	text, err := os.ReadFile(binary)
	x.check(err)
	x.check(os.WriteFile(x.program(), text, 0o755))
	for _, dir := range []string{x.data(), x.aside()} {
		x.check(os.Mkdir(dir, 0o755))
		if os.Getuid() == 0 {
			x.check(os.Chown(dir, nobody, nobody))
		}
	}
}

func (x *soak) program() string { return filepath.Join(x.dir, "reconciler") }

func (x *soak) run(args ...string) *exec.Cmd {
	command := exec.Command(x.program(), args...)
	command.Dir = x.dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + x.data(), "TMPDIR=" + x.aside()}
	if os.Getuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return command
}

// command runs the program beside the daemon.
func (x *soak) command(args ...string) (output string, code int) {
	x.Helper()
	out, err := x.run(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.Fatal(err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return string(out), code
}

// soakDaemon is one life of the daemon.
type soakDaemon struct {
	x       *soak
	process *exec.Cmd
	ended   chan struct{} // closed when it is over, for whatever reason
	err     error         // of its end

	mu      sync.Mutex
	changed chan struct{} // closed at the next line of the log
	seen    map[string]int
	last    []string
	samples []sample
}

// sample is what a process used at a time.
type sample struct {
	resident    int // bytes
	descriptors int
}

func (x *soak) start() {
	d := &soakDaemon{x: x, ended: make(chan struct{}), changed: make(chan struct{}), seen: map[string]int{}}
	d.process = x.run("run", "--repo", x.repo.dir, "--data", x.data(), "--poll", "2s", "--log-format", "json")
	stderr, err := d.process.StderrPipe()
	x.check(err)
	x.check(d.process.Start())
	go func() {
		defer close(d.ended)
		d.read(stderr)
		d.err = d.process.Wait()
	}()
	go d.sample()
	x.Cleanup(func() {
		_ = d.process.Process.Kill() // it has ended, unless the test has failed
		<-d.ended
	})
	x.daemon, x.lives = d, append(x.lives, d)
	d.awaitLog("daemon started", 1)
}

// expected are the reasons that a soak brings about.
var expected = map[string]bool{
	"InvalidBundle": true, "Missing": true, "PermissionDenied": true, "Corrupt": true, "Busy": true, "Drift": true,
	"DeletionGuard": true, "NoTenants": true, "Removed": true, "Suspended": true,
	"StalePlan":   true, // somebody changed the schema meanwhile
	"Interrupted": true, // the daemon was told to end
}

// read takes the log in, and looks for what should not be there.
func (d *soakDaemon) read(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var entry struct{ Level, Msg, Reason, Err string }
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			d.x.Errorf("the daemon said %s", lines.Bytes())
		}
		if entry.Msg == "tenant not synced" && !expected[entry.Reason] {
			d.x.Errorf("unexpected reason: %s", lines.Bytes())
		}
		d.mu.Lock()
		d.seen[entry.Msg]++
		if expected[entry.Reason] {
			d.seen[entry.Msg+" "+entry.Reason]++
		}
		d.last = append(d.last, lines.Text())
		if len(d.last) > 40 {
			d.last = slices.Clone(d.last[20:])
		}
		close(d.changed)
		d.changed = make(chan struct{})
		d.mu.Unlock()
	}
}

// awaitLog waits until the log has so many more lines with a message, a minute
// at most.
func (d *soakDaemon) awaitLog(message string, n int) {
	deadline := time.After(2 * time.Minute)
	d.mu.Lock()
	from := d.seen[message]
	if message == "daemon started" {
		from = 0
	}
	for d.seen[message] < from+n {
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-d.ended:
			d.x.Fatalf("the daemon ended: %v\n%s", d.err, d.tail())
		case <-deadline:
			return // what waits does not depend on it
		}
		d.mu.Lock()
	}
	d.mu.Unlock()
}

func (d *soakDaemon) tail() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.last, "\n")
}

func (d *soakDaemon) alive() error {
	select {
	case <-d.ended:
		return fmt.Errorf("the daemon ended by itself: %w\n%s", d.err, d.tail())
	default:
		return nil
	}
}

func (d *soakDaemon) kill() {
	d.x.check(d.process.Process.Kill())
	<-d.ended
}

// terminate ends the daemon as a service manager does.
func (d *soakDaemon) terminate() {
	d.x.check(d.process.Process.Signal(syscall.SIGTERM))
	<-d.ended
	if d.err != nil {
		d.x.Errorf("after SIGTERM the daemon ended badly: %v\n%s", d.err, d.tail())
	}
}

// sample looks at the process from outside, some hundred times.
func (d *soakDaemon) sample() {
	every := time.NewTicker(max(20*time.Millisecond, d.x.plan.time/2000))
	defer every.Stop()
	for {
		select {
		case <-d.ended:
			return
		case <-every.C:
		}
		now, err := usageOf(d.process.Process.Pid)
		if err != nil {
			continue // it is ending
		}
		d.mu.Lock()
		d.samples = append(d.samples, now)
		d.mu.Unlock()
	}
}

func usageOf(pid int) (sample, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	open, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return sample{}, err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return sample{}, err
	}
	_, after, found := bytes.Cut(status, []byte("VmRSS:"))
	if !found {
		return sample{}, os.ErrProcessDone
	}
	kib, err := strconv.Atoi(string(bytes.Fields(after)[0]))
	return sample{resident: kib << 10, descriptors: len(open)}, err
}

// usage says what a life used, from its beginning to its end.
func (d *soakDaemon) usage() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var text strings.Builder
	n := len(d.samples)
	for quarter := range 4 {
		middle := median(d.samples[n*quarter/4 : n*(quarter+1)/4])
		fmt.Fprintf(&text, "%d MiB %d fds, ", middle.resident>>20, middle.descriptors)
	}
	var said []string
	for _, message := range slices.Sorted(maps.Keys(d.seen)) {
		said = append(said, fmt.Sprintf("%s: %d", message, d.seen[message]))
	}
	return text.String() + strings.Join(said, ", ")
}

func median(samples []sample) sample {
	if len(samples) == 0 {
		return sample{}
	}
	var resident, descriptors []int
	for _, s := range samples {
		resident, descriptors = append(resident, s.resident), append(descriptors, s.descriptors)
	}
	slices.Sort(resident)
	slices.Sort(descriptors)
	return sample{resident[len(resident)/2], descriptors[len(descriptors)/2]}
}

// What a daemon may use, and what more it may use in the last quarter of a long
// life than in the second: what the collector of garbage leaves to chance.
const (
	mostMemory      = 256 << 20
	mostDescriptors = 1024
	moreMemory      = 24 << 20
	moreDescriptors = 32
)

func (x *soak) checkUsage() {
	var most sample
	for _, life := range x.lives {
		for _, s := range life.samples {
			most.resident, most.descriptors = max(most.resident, s.resident), max(most.descriptors, s.descriptors)
		}
	}
	last := x.lives[len(x.lives)-1]
	last.samples = last.samples[:x.sampled] // the end, which deploys everything at once, is no time like the others
	x.Logf("%d rows kept; %d lives; at most %d MiB and %d descriptors; the last life, by quarters: %s; %v",
		x.found, len(x.lives), most.resident>>20, most.descriptors, last.usage(), x.done)
	if most.resident > mostMemory || most.descriptors > mostDescriptors {
		x.Errorf("the daemon had %d MiB and %d descriptors", most.resident>>20, most.descriptors)
	}
	n := len(last.samples)
	second, fourth := median(last.samples[n/4:n/2]), median(last.samples[n*3/4:])
	if x.plan.long() && (fourth.resident > second.resident+moreMemory || fourth.descriptors > second.descriptors+moreDescriptors) {
		x.Errorf("it grows: %d MiB and %d descriptors in the second quarter of its life, %d and %d in the last",
			second.resident>>20, second.descriptors, fourth.resident>>20, fourth.descriptors)
	}
}
