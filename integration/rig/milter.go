package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Milter is `helo-milter serve` with a configuration file, which a test may start, kill and start again.
type Milter struct {
	Socket string   // unix:PATH or inet:HOST:PORT, as in smtpd_milters; policy: before it for the policy service
	Dir    string   // its working directory
	Env    []string // added to the test's own, from the next Start on
	Wrap   []string // a command that runs it, such as prlimit; from the next Start on
	Plain  bool     // built without the race detector, for measurements

	proc  *process
	ended bool // the test has seen it end
	mark  int  // the offset at which Log starts
}

// ports counts the ports that were handed out.
var ports atomic.Uint32

// FreePort returns a port of 127.0.0.1 that is handed out only once, below the kernel's ephemeral ports.
func FreePort() uint32 { return 10000 + ports.Add(1)%20000 }

// StartMilter starts the milter on a unix socket or on TCP ("unix", "inet"), or as a policy service
// ("policy:unix", "policy:inet"), with the given TOML, top-level keys first. At the end of the test it must
// stop on SIGTERM, and its log must have neither a race nor a panic.
func StartMilter(t T, network, config string) *Milter {
	t.Helper()
	m := NewMilter(t, network, config)
	m.Start(t)
	return m
}

// NewMilter is StartMilter without starting it.
func NewMilter(t T, network, config string) *Milter {
	t.Helper()
	m := &Milter{Dir: workDir(t, "milter")}
	m.Socket = network + ":" + filepath.Join(m.Dir, "socket")
	if strings.HasSuffix(network, "inet") {
		m.Socket = fmt.Sprintf("%s:127.0.0.1:%d", network, FreePort())
	}
	m.Configure(t, m.AtSocket(config))
	t.Cleanup(func() { m.Stop(t) })
	return m
}

// AtSocket returns a complete configuration: one without listen, and the milter's socket.
func (m *Milter) AtSocket(config string) string {
	if m.IsFilter() {
		return config
	}
	return fmt.Sprintf("listen = [%q]\nsocket_mode = \"0666\"\n%s", m.Socket, config)
}

// Reload sends SIGHUP and waits until the configuration has been reloaded.
func (m *Milter) Reload(t T) {
	t.Helper()
	const reloaded = "msg=reloaded"
	times := strings.Count(m.Log(), reloaded)
	m.Signal(t, syscall.SIGHUP)
	err := within(func() error {
		if strings.Count(m.Log(), reloaded) == times {
			return errors.New("it has not logged a reload")
		}
		return m.proc.running()
	})
	if err != nil {
		t.Fatalf("milter: %v\n%s", err, m.Log())
	}
}

// Configure writes a complete configuration, listen included, for the next Start or SIGHUP.
func (m *Milter) Configure(t T, config string) {
	t.Helper()
	if err := os.WriteFile(m.file(), []byte(config), 0o644); err != nil {
		t.Fatalf("milter: %v", err)
	}
}

func (m *Milter) file() string { return filepath.Join(m.Dir, "helo-milter.toml") }

// Start starts the milter, for the first time or again, and waits until it accepts connections.
func (m *Milter) Start(t T) {
	t.Helper()
	m.Launch(t)
	if m.IsFilter() {
		return
	}
	err := within(func() error {
		if err := m.proc.running(); err != nil {
			return err
		}
		conn, err := m.dial()
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("milter: %v\n%s", err, m.Log())
	}
}

// Launch is Start without waiting.
func (m *Milter) Launch(t T) {
	t.Helper()
	m.ended = false
	if m.IsFilter() {
		if err := m.launchFilter(); err != nil {
			t.Fatalf("milter: %v", err)
		}
		return
	}
	binary, err := Binary(), error(nil)
	if m.Plain {
		binary, err = plainMilter()
	}
	if err == nil {
		args := append(slices.Clone(m.Wrap), binary, "serve", "--config", m.file())
		m.proc, err = startWith(m.Env, m.Dir, args[0], args[1:]...)
	}
	if err != nil {
		t.Fatalf("milter: %v", err)
	}
	m.ended = false
}

// Shipped returns the path of a milter as it is shipped: static, and without the race detector.
func Shipped(t T) string {
	t.Helper()
	binary, err := plainMilter()
	if err != nil {
		t.Fatalf("milter: %v", err)
	}
	return binary
}

// plainMilter builds the milter without the race detector.
var plainMilter = sync.OnceValues(func() (string, error) {
	if given := os.Getenv(plainVar); given != "" {
		return given, nil
	}
	return milterBinary(os.TempDir(), nil)
})

// Log returns what the milter has logged since the last ResetLog.
func (m *Milter) Log() string {
	log := m.proc.output()
	return log[min(m.mark, len(log)):]
}

// ResetLog makes Log start at the current end of the log, for another session.
func (m *Milter) ResetLog() { m.mark += len(m.Log()) }

// Pid returns the process id of the milter, or of the command that runs it.
func (m *Milter) Pid() int { return m.proc.cmd.Process.Pid }

// Signal sends it a signal.
func (m *Milter) Signal(t T, s os.Signal) {
	t.Helper()
	process, err := m.process()
	if err == nil {
		err = process.Signal(s)
	}
	if err != nil {
		t.Fatalf("milter: %v", err)
	}
}

// Kill ends the milter with SIGKILL. It may be started again.
func (m *Milter) Kill() {
	_ = m.proc.cmd.Process.Kill()
	<-m.proc.done
	m.ended = true
}

// Exit waits until the milter ends by itself, for at most StopTimeout, and returns its exit code.
func (m *Milter) Exit(t T) int {
	t.Helper()
	select {
	case <-m.proc.done:
		m.ended = true
		return m.proc.cmd.ProcessState.ExitCode()
	case <-time.After(StopTimeout):
		t.Fatalf("milter: did not end in %v\n%s", StopTimeout, m.Log())
		return -1
	}
}

// Stop ends the milter with SIGTERM and checks its log. It may be started again.
func (m *Milter) Stop(t T) {
	t.Helper()
	if m.proc == nil || m.ended {
		return
	}
	end := m.proc.stop
	if m.IsFilter() {
		end = m.filterEnd
	}
	err := end()
	log := m.proc.output() // also what is before ResetLog
	m.ended = true
	// Without the colon, the letters may occur in a session id.
	trouble := max(strings.Index(log, "DATA RACE"), strings.Index(log, "panic:"), strings.Index(log, "panic="))
	if err != nil || trouble >= 0 {
		const most = 20_000 // bytes, of perhaps 100,000 lines
		from := trouble
		if trouble < 0 {
			from = max(0, len(log)-most)
		}
		t.Errorf("milter: %v\n%s", err, log[from:min(len(log), from+most)])
	}
}

func (m *Milter) dial() (net.Conn, error) {
	network, address, _ := strings.Cut(strings.TrimPrefix(m.Socket, "policy:"), ":")
	return net.Dial(map[string]string{"unix": "unix", "inet": "tcp"}[network], address)
}

// Send connects to the milter, sends bytes and waits until the milter hangs up.
func (m *Milter) Send(t T, bytes string) {
	t.Helper()
	conn, err := m.dial()
	if err != nil {
		t.Fatalf("milter: %v\n%s", err, m.Log())
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(WaitTimeout))
	if _, err := io.WriteString(conn, bytes); err != nil {
		t.Fatalf("milter: %v", err)
	}
	if tcp, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = tcp.CloseWrite()
	}
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("milter: %v after %q", err, bytes)
	}
}

// Binary returns the path of the milter, which may have been built with the race detector.
func Binary() string { return os.Getenv(milterVar) }

// Command returns a command of the milter, built without the race detector: that would take most of the time,
// and the unit tests run with it.
func Command(ctx context.Context, t T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(ctx, Shipped(t), args...)
}

// RunMilter runs a command of the milter and returns its output and its exit code.
func RunMilter(t T, args ...string) (output string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), WaitTimeout)
	defer cancel()
	text, err := Command(ctx, t, args...).CombinedOutput()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return string(text), exit.ExitCode()
	} else if err != nil {
		t.Fatalf("milter: %v", err)
	}
	return string(text), 0
}
