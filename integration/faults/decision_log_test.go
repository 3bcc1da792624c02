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

// logTarget is a decision log that cannot be written until it is repaired.
type logTarget struct {
	log     string          // decision_log
	wrap    []string        // the command that runs the milter
	records func() []string // the complete lines that were written
	repair  func()
}

// While the decision log cannot be written, records are dropped and counted, and mail is neither lost nor
// delayed. Once it is repaired, records are written again.
func TestDecisionLogFails(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) logTarget{
		"full disk":             fullDisk,
		"read-only directory":   readOnly,
		"pipe without a reader": func(t *testing.T) logTarget { return pipe(t, 0) },
		"reader that stopped":   func(t *testing.T) logTarget { return pipe(t, 5) },
		"blocked stdout":        blockedStdout,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := open(t)
			l := newLoadTest(t, "unix", strict+fmt.Sprintf("decision_log = %q", out.log))
			l.milter.Wrap = out.wrap
			l.milter.Start(t)
			s := l.stream(accept)
			l.transactionsUntil(func() bool { return l.metric(dropped) > 0 })
			s.wait(5)
			l.milter.Signal(t, syscall.SIGHUP) // the log does not block a reload
			awaitLog(t, l.milter, "msg=reloaded", 1)
			if messages, passed := s.end(); passed != messages || s.slowest > 4*10*time.Second {
				t.Errorf("%d messages bypassed the milter, the slowest took %v", messages-passed, s.slowest)
			}
			out.repair()
			before := len(validRecords(t, out.records()))
			l.transactionsUntil(func() bool { return len(validRecords(t, out.records())) > before+10 })
			rig.Eventually(t, func() error { return l.checkCounts(validRecords(t, out.records())) })
		})
	}
}

const dropped = "helo_milter_decision_log_dropped_total"

// transactionsUntil runs transactions until a condition holds. The recipients of each make a record of 16
// KiB, which fills the queue of the log soon.
func (l *loadTest) transactionsUntil(done func() bool) {
	l.Helper()
	const rcpts = 16
	address := strings.Repeat("x", 1000) + "@example.net"
	transaction := rig.Frame('M', "<sender@example.org>\x00") +
		strings.Repeat(rig.Frame('R', "<"+address+">\x00"), rcpts)
	rig.Eventually(l, func() error {
		s := l.dialFrames(1, "")[0]
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
			l.Fatal(err)
		}
		if !done() {
			return errors.New("the condition does not hold after these transactions")
		}
		return nil
	})
}

// checkCounts requires that each decision was written or counted as dropped.
func (l *loadTest) checkCounts(records []string) error {
	values := rig.Metrics(l, l.http)
	decided := rig.Sum(values, "helo_milter_decisions_total")
	if written := float64(len(records)); written+values[dropped] != decided {
		return fmt.Errorf("%v decisions, but %v records and %v dropped", decided, written, values[dropped])
	}
	return nil
}

// validRecords returns the lines that are records. One line may be torn, where writing failed; the next
// record must start on a line of its own.
func validRecords(t *testing.T, lines []string) (valid []string) {
	t.Helper()
	torn := 0
	for _, line := range lines {
		var record struct {
			V  int
			ID string
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.V == 1 && record.ID != "" {
			valid = append(valid, line)
		} else if torn++; torn > 1 || strings.Count(line, `{"v":1`) > 1 {
			t.Fatalf("%d torn lines, the last is %q", torn, line)
		}
	}
	return valid
}

// fullDisk is a tmpfs of 64 KiB.
func fullDisk(t *testing.T) logTarget {
	dir := mount(t, 0, "size=64k")
	file := filepath.Join(dir, "decisions")
	return logTarget{
		log:     file,
		records: func() []string { return completeLines(t, file) },
		repair:  func() { remount(t, dir, 0, "size=64m") },
	}
}

// readOnly is a read-only file system, as after a disk error.
func readOnly(t *testing.T) logTarget {
	dir := mount(t, syscall.MS_RDONLY, "")
	file := filepath.Join(dir, "decisions")
	return logTarget{
		log:     file,
		records: func() []string { return completeLines(t, file) },
		repair:  func() { remount(t, dir, 0, "") },
	}
}

// completeLines returns the lines of a file that end in a newline. The file need not exist yet.
func completeLines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	return lines[:len(lines)-1]
}

// mount makes a directory with a file system of its own, in the rig's mount namespace.
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

// pipe is a FIFO without a reader until it is repaired, or whose reader stops after a number of lines until
// then.
func pipe(t *testing.T, lines int) logTarget {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &reader{name: name, repaired: make(chan struct{})}
	if lines > 0 {
		r.start(t, lines)
	}
	return logTarget{
		log: name, records: r.lines,
		repair: func() {
			if lines == 0 {
				r.start(t, 0)
			}
			close(r.repaired)
		},
	}
}

// blockedStdout is a standard output whose reader has stopped.
func blockedStdout(t *testing.T) logTarget {
	out := pipe(t, 5)
	out.wrap = []string{"sh", "-c", `fifo=$0; exec "$@" >"$fifo"`, out.log}
	out.log = "-"
	return out
}

// reader reads lines from a FIFO.
type reader struct {
	name     string
	repaired chan struct{}
	mu       sync.Mutex
	read     []string
}

// start reads, pausing after a number of lines until repaired is closed. It ends with the test. It opens the
// FIFO for writing as well, so that it neither waits for a writer nor gets an EOF (fifo(7)).
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
				case <-r.repaired:
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

// A decision log that cannot be opened is a mistake in the configuration: the milter does not start, and a
// reload changes nothing.
func TestDecisionLogCannotBeOpened(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]string{
		"no such directory": filepath.Join(t.TempDir(), "gone", "decisions"),
		"directory":         t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLoadTest(t, "unix", fmt.Sprintf("decision_log = %q", log))
			l.milter.Launch(t)
			if exit := l.milter.Exit(t); exit != 78 || !strings.Contains(l.milter.Log(), "decision_log") {
				t.Errorf("exit %d:\n%s", exit, l.milter.Log())
			}
			good := filepath.Join(t.TempDir(), "decisions")
			l = startLoadTest(t, "unix", fmt.Sprintf("decision_log = %q", good))
			l.milter.Configure(t, fmt.Sprintf("listen = [%q]\ndecision_log = %q\n", l.milter.Socket, log))
			l.milter.Signal(t, syscall.SIGHUP)
			rig.Eventually(t, func() error {
				if !strings.Contains(l.milter.Log(), "reload failed") {
					return errors.New("the milter does not log that the reload failed")
				}
				return nil
			})
			l.transactionsUntil(func() bool { return len(validRecords(t, completeLines(t, good))) >= 100 })
		})
	}
}

// A milter whose decision log is blocked still stops on SIGTERM.
func TestShutdownWithStuckLog(t *testing.T) {
	t.Parallel()
	out := pipe(t, 0)
	l := startLoadTest(t, "unix", fmt.Sprintf("decision_log = %q", out.log))
	l.transactionsUntil(func() bool { return l.metric(dropped) > 0 })
	begin := time.Now()
	l.milter.Signal(t, syscall.SIGTERM)
	if exit := l.milter.Exit(t); exit != 0 {
		t.Errorf("exit %d:\n%s", exit, l.milter.Log())
	}
	t.Logf("it took %v", time.Since(begin))
}
