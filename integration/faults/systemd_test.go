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

// notifications are what a milter sends to the service manager, see sd_notify(3).
type notifications struct {
	*testing.T
	*net.UnixConn
}

// receiveNotifications receives the milter's notifications from its next start on.
func receiveNotifications(t *testing.T, m *rig.Milter) notifications {
	t.Helper()
	path := filepath.Join(m.Dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	m.Env = append(m.Env, "NOTIFY_SOCKET="+path)
	return notifications{t, conn}
}

// within returns the next notification, or nothing if there is none in that time.
func (n notifications) within(limit time.Duration) (lines []string) {
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

// await returns the next notification that is not about the watchdog. It must have that line.
func (n notifications) await(line string) []string {
	n.Helper()
	lines := n.within(rig.WaitTimeout)
	for slices.Contains(lines, "WATCHDOG=1") {
		lines = n.within(rig.WaitTimeout)
	}
	if !slices.Contains(lines, line) {
		n.Fatalf("the notification is %q instead of %s", lines, line)
	}
	return lines
}

// awaitWatchdog waits for WATCHDOG=1.
func (n notifications) awaitWatchdog() {
	n.Helper()
	if lines := n.within(rig.WaitTimeout); !slices.Contains(lines, "WATCHDOG=1") {
		n.Fatalf("the notification is %q instead of WATCHDOG=1", lines)
	}
}

// awaitSilence waits until there has been no notification for three seconds.
func (n notifications) awaitSilence() {
	n.Helper()
	for deadline := time.Now().Add(rig.WaitTimeout); n.within(3*time.Second) != nil; {
		if time.Now().After(deadline) {
			n.Fatal("it sends WATCHDOG=1 although it cannot serve")
		}
	}
}

// Each notification is sent when it is true: READY=1 once connections are accepted.
func TestNotifications(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	n := receiveNotifications(t, m)
	m.Launch(t)
	n.await("READY=1")
	checkServes(t, m.Socket)
	for _, config := range []string{"", "a mistake"} {
		m.Configure(t, fmt.Sprintf("listen = [%q]\n%s", m.Socket, config))
		before := monotonic(t)
		m.Signal(t, syscall.SIGHUP)
		lines := n.await("RELOADING=1") // sd_notify(3): with MONOTONIC_USEC, and READY=1 after it
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

// monotonic returns CLOCK_MONOTONIC in microseconds, as sd_notify(3) wants it.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// A service manager that does not read its notifications does not block the milter.
func TestNotificationsUnread(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	receiveNotifications(t, m)
	m.Start(t)
	awaitLog(t, m, "msg=serving", 1)
	for n := range 8 { // two notifications each, and the socket queues eleven: unix(7), max_dgram_qlen
		m.Signal(t, syscall.SIGHUP)
		awaitLog(t, m, "msg=reloaded", n+1)
	}
	checkServes(t, m.Socket)
}

// The watchdog is notified while sessions can be served, and only then.
func TestWatchdog(t *testing.T) {
	watched := func(t *testing.T) (*rig.Milter, notifications) {
		t.Parallel()
		m := rig.NewMilter(t, "unix", "")
		n := receiveNotifications(t, m)
		m.Env = append(m.Env, "WATCHDOG_USEC=1000000")
		m.Wrap = []string{"sh", "-c", `export WATCHDOG_PID=$$; exec "$@"`, "sh"}
		m.Launch(t)
		n.await("READY=1")
		for range 3 {
			n.awaitWatchdog()
		}
		return m, n
	}
	t.Run("flood", func(t *testing.T) {
		m, n := watched(t)
		limitFiles(t, m, 64)
		var flood []net.Conn
		for range 100 { // it may have 64 files
			conn, err := dial(m.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			flood = append(flood, conn)
			_, _ = conn.Write([]byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")) // OPTNEG
		}
		n.awaitSilence()
		for _, conn := range flood {
			_ = conn.Close()
		}
		n.awaitWatchdog()
		checkServes(t, m.Socket)
	})
	t.Run("socket gone", func(t *testing.T) {
		m, n := watched(t)
		if err := os.Remove(strings.TrimPrefix(m.Socket, "unix:")); err != nil {
			t.Fatal(err)
		}
		n.awaitSilence()
	})
}

// Sockets passed by systemd are served instead of those of the configuration, and are not removed.
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
			checkServes(t, m.Socket)
			m.Signal(t, syscall.SIGHUP)
			awaitLog(t, m, "msg=reloaded", 1)
			checkServes(t, m.Socket)
			if _, err := os.Lstat(own); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it has a socket of its own: %v", err)
			}
			m.Stop(t)
			if network == "unix" {
				checkUnchanged(t, address, before)
			}
		})
	}
}
