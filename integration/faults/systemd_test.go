package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"helo-milter/integration/rig"
)

// notices are what a milter tells the service manager: sd_notify(3).
type notices struct {
	*testing.T
	*net.UnixConn
}

// listenNotices has the milter's notices come here from its next start on.
func listenNotices(t *testing.T, m *rig.Milter) notices {
	t.Helper()
	path := filepath.Join(m.Dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	m.Env = append(m.Env, "NOTIFY_SOCKET="+path)
	return notices{t, conn}
}

// within is the next notice, or none in that time.
func (n notices) within(limit time.Duration) (lines []string) {
	n.Helper()
	buf := make([]byte, 4096)
	_ = n.SetReadDeadline(time.Now().Add(limit))
	size, err := n.Read(buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		n.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(buf[:size])), "\n")
}

// await is the next notice that is not about the watchdog. It has to have a line.
func (n notices) await(line string) []string {
	n.Helper()
	lines := n.within(rig.Patience)
	for slices.Contains(lines, "WATCHDOG=1") {
		lines = n.within(rig.Patience)
	}
	if !slices.Contains(lines, line) {
		n.Fatalf("the notice is %q instead of %s", lines, line)
	}
	return lines
}

// ping waits for a sign of life.
func (n notices) ping() {
	n.Helper()
	if lines := n.within(rig.Patience); !slices.Contains(lines, "WATCHDOG=1") {
		n.Fatalf("the notice is %q instead of WATCHDOG=1", lines)
	}
}

// silence waits until there has been none for three seconds.
func (n notices) silence() {
	n.Helper()
	for deadline := time.Now().Add(rig.Patience); n.within(3*time.Second) != nil; {
		if time.Now().After(deadline) {
			n.Fatal("it says that it serves, and it cannot")
		}
	}
}

// Each notice comes when it is true: the first when a connection is taken.
func TestNotices(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	n := listenNotices(t, m)
	m.Launch(t)
	n.await("READY=1")
	serves(t, m.Socket)
	for _, config := range []string{"", "a mistake"} {
		m.Configure(t, fmt.Sprintf("listen = [%q]\n%s", m.Socket, config))
		before := monotonic(t)
		m.Signal(t, syscall.SIGHUP)
		lines := n.await("RELOADING=1") // sd_notify(3): with the time, and READY=1 after it
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "MONOTONIC_USEC=") })
		if i < 0 {
			t.Fatalf("no time in %q", lines)
		}
		at, err := strconv.ParseInt(strings.TrimPrefix(lines[i], "MONOTONIC_USEC="), 10, 64)
		if now := monotonic(t); err != nil || at < before || at > now {
			t.Errorf("%s is not between %d and %d", lines[i], before, now)
		}
		n.await("READY=1")
	}
	m.Signal(t, syscall.SIGTERM)
	n.await("STOPPING=1")
	if code := m.Exit(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// monotonic is the time that systemd goes by, in microseconds.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// A service manager that hangs does not hang the milter.
func TestNoticesUnread(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	listenNotices(t, m)
	m.Start(t)
	awaitLog(t, m, "msg=serving", 1)
	for n := range 8 { // two notices each, and the socket takes eleven: unix(7), max_dgram_qlen
		m.Signal(t, syscall.SIGHUP)
		awaitLog(t, m, "msg=reloaded", n+1)
	}
	serves(t, m.Socket)
}

// The watchdog is fed while sessions can be served, and only then.
func TestWatchdog(t *testing.T) {
	watched := func(t *testing.T) (*rig.Milter, notices) {
		t.Parallel()
		m := rig.NewMilter(t, "unix", "")
		n := listenNotices(t, m)
		m.Env = append(m.Env, "WATCHDOG_USEC=1000000")
		m.Wrap = []string{"prlimit", "--nofile=64", "sh", "-c", `export WATCHDOG_PID=$$; exec "$@"`, "sh"}
		m.Launch(t)
		n.await("READY=1")
		for range 3 {
			n.ping()
		}
		return m, n
	}
	t.Run("flood", func(t *testing.T) {
		m, n := watched(t)
		var flood []net.Conn
		for range 100 { // 64 files are all it may have
			conn, err := dial(m.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			flood = append(flood, conn)
			_, _ = conn.Write([]byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")) // OPTNEG
		}
		n.silence()
		for _, conn := range flood {
			_ = conn.Close()
		}
		n.ping()
		serves(t, m.Socket)
	})
	t.Run("socket gone", func(t *testing.T) {
		m, n := watched(t)
		if err := os.Remove(strings.TrimPrefix(m.Socket, "unix:")); err != nil {
			t.Fatal(err)
		}
		n.silence()
	})
}

// Sockets that systemd opened are served instead of those of the configuration, and stay systemd's.
func TestSocketActivation(t *testing.T) {
	for _, network := range []string{"unix", "inet"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			m := rig.NewMilter(t, network, "")
			own := filepath.Join(m.Dir, "own")
			m.Configure(t, fmt.Sprintf("listen = [%q]\nsocket_mode = \"0600\"", "unix:"+own))
			_, address := endpoint(m.Socket)
			m.Wrap = []string{"systemd-socket-activate", "-l", address}
			m.Start(t)
			awaitLog(t, m, "msg=serving", 1)
			before, err := os.Lstat(address)
			if network == "unix" && err != nil {
				t.Fatal(err)
			}
			serves(t, m.Socket)
			m.Signal(t, syscall.SIGHUP)
			awaitLog(t, m, "msg=reloaded", 1)
			serves(t, m.Socket)
			if _, err := os.Lstat(own); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it listens for itself: %v", err)
			}
			m.Stop(t)
			if network == "unix" {
				unchanged(t, address, before)
			}
		})
	}
}
