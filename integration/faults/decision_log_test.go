package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// outlet is where decisions are written to, and fails until it is healed.
type outlet struct {
	log     string          // decision_log
	wrap    []string        // what the milter is started with
	records func() []string // the lines that came out, but for one without its end
	heal    func()
}

// A decision log that cannot be written costs records, which are counted, and neither mail nor time. Healed,
// it goes on where it was.
func TestDecisionLogFails(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) outlet{
		"full disk":             fullDisk,
		"read-only directory":   readOnly,
		"pipe that nobody read": func(t *testing.T) outlet { return pipe(t, 0) },
		"reader that stopped":   func(t *testing.T) outlet { return pipe(t, 5) },
		"blocked stdout":        blockedStdout,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := open(t)
			p := newPlace(t, "unix", strict+fmt.Sprintf("decision_log = %q", out.log))
			p.milter.Wrap = out.wrap
			p.milter.Start(t)
			s := p.stream(accept)
			p.transactionsUntil(func() bool { return p.metric(dropped) > 0 })
			s.wait(5)
			p.milter.Signal(t, syscall.SIGHUP) // the log does not stand in the way of anything else
			awaitLog(t, p.milter, "msg=reloaded", 1)
			if messages, passed := s.end(); passed != messages || s.slowest > 4*10*time.Second {
				t.Errorf("%d messages came past the milter, the slowest took %v", messages-passed, s.slowest)
			}
			out.heal()
			before := len(wholeRecords(t, out.records()))
			p.transactionsUntil(func() bool { return len(wholeRecords(t, out.records())) > before+10 })
			rig.Eventually(t, func() error { return p.accounts(wholeRecords(t, out.records())) })
		})
	}
}

const dropped = "helo_milter_decision_log_dropped_total"

// transactionsUntil begins transactions until something has become true. Each has recipients for a record of
// 16 KiB: the sooner is full what may wait to be written.
func (p *place) transactionsUntil(true func() bool) {
	p.Helper()
	const rcpts = 16
	address := strings.Repeat("x", 1000) + "@example.net"
	transaction := rig.Frame('M', "<sender@example.org>\x00") +
		strings.Repeat(rig.Frame('R', "<"+address+">\x00"), rcpts)
	rig.Eventually(p, func() error {
		s := p.speakers(1, "")[0]
		defer s.Close()
		err := s.Greet("203.0.113.10", "mail.example.org")
		for range 40 {
			err = errors.Join(err, s.Say(transaction, "c"))
			for range rcpts - 1 {
				err = errors.Join(err, s.Say("", "c"))
			}
			err = errors.Join(err, s.Say(rig.Frame('A', ""), ""))
		}
		if err != nil {
			p.Fatal(err)
		}
		if !true() {
			return errors.New("transactions change nothing")
		}
		return nil
	})
}

// accounts compares the records with the decisions: each was written or counted as dropped.
func (p *place) accounts(records []string) error {
	values := rig.Metrics(p, p.http)
	decided := rig.Sum(values, "helo_milter_decisions_total")
	if written := float64(len(records)); written+values[dropped] != decided {
		return fmt.Errorf("%v decisions, but %v records and %v dropped", decided, written, values[dropped])
	}
	return nil
}

// wholeRecords are the lines that are records. One may be torn, where the trouble began; what follows has a
// line of its own.
func wholeRecords(t *testing.T, lines []string) (whole []string) {
	t.Helper()
	torn := 0
	for _, line := range lines {
		var record struct {
			V  int
			ID string
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.V == 1 && record.ID != "" {
			whole = append(whole, line)
		} else if torn++; torn > 1 || strings.Count(line, `{"v":1`) > 1 {
			t.Fatalf("%d torn lines, the last is %q", torn, line)
		}
	}
	return whole
}

// fullDisk is a tmpfs of 64 KiB.
func fullDisk(t *testing.T) outlet {
	dir := mount(t, 0, "size=64k")
	file := filepath.Join(dir, "decisions")
	return outlet{
		log:     file,
		records: func() []string { return endedLines(t, file) },
		heal:    func() { remount(t, dir, 0, "size=64m") },
	}
}

// readOnly is a directory nobody can write in: what a file system becomes when its disk fails.
func readOnly(t *testing.T) outlet {
	dir := mount(t, syscall.MS_RDONLY, "")
	file := filepath.Join(dir, "decisions")
	return outlet{
		log:     file,
		records: func() []string { return endedLines(t, file) },
		heal:    func() { remount(t, dir, 0, "") },
	}
}

// endedLines are those of a file, which may not be there yet.
func endedLines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	return lines[:len(lines)-1]
}

// mount makes a directory on a file system of its own, in the rig's private world.
func mount(t *testing.T, flags uintptr, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Fatalf("tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func remount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, options); err != nil {
		t.Fatalf("remount of a tmpfs: %v", err)
	}
}

// pipe is a FIFO whose reader comes when it is healed, or takes so many lines and stops until then.
func pipe(t *testing.T, lines int) outlet {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &reader{name: name, healed: make(chan struct{})}
	if lines > 0 {
		r.start(t, lines)
	}
	return outlet{
		log: name, records: r.lines,
		heal: func() {
			if lines == 0 {
				r.start(t, 0)
			}
			close(r.healed)
		},
	}
}

// blockedStdout is a standard output that somebody else reads, who has stopped.
func blockedStdout(t *testing.T) outlet {
	out := pipe(t, 5)
	out.wrap = []string{"sh", "-c", `fifo=$0; exec "$@" >"$fifo"`, out.log}
	out.log = "-"
	return out
}

// reader reads lines from a FIFO.
type reader struct {
	name   string
	healed chan struct{}
	mu     sync.Mutex
	read   []string
}

// start begins to read, and waits after so many lines until it is healed. It ends with the test. It opens the
// FIFO for writing too, which neither waits for the other end nor sees it go (fifo(7)).
func (r *reader) start(t *testing.T, stopAfter int) {
	t.Helper()
	fifo, err := os.OpenFile(r.name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fifo.Close() })
	go func() {
		in := bufio.NewReaderSize(fifo, 16)
		for n := 1; ; n++ {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			r.mu.Lock()
			r.read = append(r.read, line)
			r.mu.Unlock()
			if n == stopAfter {
				select {
				case <-r.healed:
				case <-t.Context().Done():
					return
				}
			}
		}
	}()
}

func (r *reader) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.read...)
}

// A decision log that can never be opened is a mistake in the configuration: at start, and at a reload, which
// then changes nothing.
func TestDecisionLogCannotBeOpened(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]string{
		"no such directory": filepath.Join(t.TempDir(), "gone", "decisions"),
		"directory":         t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, "unix", fmt.Sprintf("decision_log = %q", log))
			p.milter.Launch(t)
			if exit := p.milter.Exit(t); exit != 78 || !strings.Contains(p.milter.Log(), "decision_log") {
				t.Errorf("exit %d:\n%s", exit, p.milter.Log())
			}
			good := filepath.Join(t.TempDir(), "decisions")
			p = startPlace(t, "unix", fmt.Sprintf("decision_log = %q", good))
			p.milter.Configure(t, fmt.Sprintf("listen = [%q]\ndecision_log = %q\n", p.milter.Socket, log))
			p.milter.Signal(t, syscall.SIGHUP)
			rig.Eventually(t, func() error {
				if !strings.Contains(p.milter.Log(), "reload failed") {
					return errors.New("the milter does not say that the reload failed")
				}
				return nil
			})
			p.transactionsUntil(func() bool { return len(wholeRecords(t, endedLines(t, good))) >= 100 })
		})
	}
}

// A milter whose decision log is stuck ends when it is told to.
func TestStopWithStuckLog(t *testing.T) {
	t.Parallel()
	out := pipe(t, 0)
	p := startPlace(t, "unix", fmt.Sprintf("decision_log = %q", out.log))
	p.transactionsUntil(func() bool { return p.metric(dropped) > 0 })
	begin := time.Now()
	p.milter.Signal(t, syscall.SIGTERM)
	if exit := p.milter.Exit(t); exit != 0 {
		t.Errorf("exit %d:\n%s", exit, p.milter.Log())
	}
	t.Logf("it took %v", time.Since(begin))
}
