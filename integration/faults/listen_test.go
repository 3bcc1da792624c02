package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"helo-milter/integration/rig"
)

const exitConfig = 78 // EX_CONFIG of sysexits.h

// Every notation of an address works, all of them at once.
func TestListenAddresses(t *testing.T) {
	t.Parallel()
	m := rig.NewMilter(t, "unix", "")
	sockets := []string{m.Socket}
	listen := fmt.Sprintf("%q", m.Socket)
	for _, tt := range []struct{ listen, socket string }{
		{"inet:127.0.0.1:PORT", "inet:127.0.0.1:PORT"},
		{"inet:PORT@127.0.0.1", "inet:127.0.0.1:PORT"},
		{"inet:localhost:PORT", "inet:127.0.0.1:PORT"},
		{"inet:PORT@localhost", "inet:127.0.0.1:PORT"},
		{"inet6:[::1]:PORT", "inet:[::1]:PORT"},
		{"inet6:PORT@::1", "inet:[::1]:PORT"},
		{"inet6:PORT@[::1]", "inet:[::1]:PORT"},
		{"unix:DIR/one", "unix:DIR/one"},
		{"local:DIR/two", "unix:DIR/two"},
	} {
		names := strings.NewReplacer("PORT", fmt.Sprint(rig.FreePort()), "DIR", m.Dir)
		listen += fmt.Sprintf(", %q", names.Replace(tt.listen))
		sockets = append(sockets, names.Replace(tt.socket))
	}
	m.Configure(t, fmt.Sprintf("listen = [%s]", listen))
	m.Start(t)
	awaitLog(t, m, "msg=serving", 1)
	for _, socket := range sockets {
		checkServes(t, socket)
	}
}

// A listener that other hosts can reach is not opened without limits.peers.
func TestPeersRequired(t *testing.T) {
	for _, listen := range []string{
		"inet:0.0.0.0:PORT", "inet6:[::]:PORT", "inet:PORT@198.51.100.9", "inet6:[2001:db8::9]:PORT",
		"inet:mx.example.net:PORT",
	} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			m := rig.NewMilter(t, "unix", "")
			port := fmt.Sprint(rig.FreePort())
			m.Configure(t, fmt.Sprintf("listen = [%q]", strings.Replace(listen, "PORT", port, 1)))
			m.Launch(t)
			if code := m.Exit(t); code != exitConfig {
				t.Errorf("exit %d", code)
			}
			if !regexp.MustCompile(`helo-milter\.toml:1:\d+: .*limits\.peers`).MatchString(m.Log()) {
				t.Errorf("it says %s", m.Log())
			}
		})
	}
}

// Peers outside limits.peers are refused, which is logged and counted.
func TestPeers(t *testing.T) {
	t.Parallel()
	port, http := rig.FreePort(), fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
	m := rig.NewMilter(t, "unix", "")
	m.Configure(t, fmt.Sprintf(`listen = [%q, "inet:198.51.100.9:%d", "inet6:[2001:db8::9]:%d"]
[limits]
peers = ["203.0.113.0/28", "2001:db8:0:1::/64"]
[http]
listen = %q`, m.Socket, port, port, http))
	m.Start(t)
	awaitLog(t, m, "msg=serving", 1)
	refused := 0.0
	for _, tt := range []struct {
		mta, host string
		served    bool
	}{
		{"203.0.113.10", "198.51.100.9", true},
		{"203.0.113.20", "198.51.100.9", false},
		{"192.0.2.9", "198.51.100.9", false},
		{"2001:db8:0:1::5", "[2001:db8::9]", true},
		{"2001:db8:0:2::5", "[2001:db8::9]", false},
	} {
		s, err := beginFrom(tt.mta, fmt.Sprintf("inet:%s:%d", tt.host, port), "mail.example.org")
		if (err == nil) != tt.served {
			t.Errorf("%s: %v", tt.mta, err)
		}
		if err == nil {
			_ = s.Close()
			continue
		}
		refused++
		awaitLog(t, m, "peer="+tt.mta, 1)
	}
	if got := rig.Metrics(t, http)[`helo_milter_guard_violations_total{kind="peer"}`]; got != refused {
		t.Errorf("%v violations, %v refused connections", got, refused)
	}
}

// Nobody can connect before the socket has its mode and its group: not in any of many starts, whatever the
// umask. The intruder has only the rights of the daemon's own group, which has none here.
func TestSocketAccess(t *testing.T) {
	for name, config := range map[string]string{
		"mode":  `socket_mode = "0600"`,
		"group": "socket_mode = \"0660\"\nsocket_group = \"postfix\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := rig.NewMilter(t, "unix", "")
			m.Configure(t, fmt.Sprintf("listen = [%q]\n%s", m.Socket, config))
			m.Plain = true // starts faster
			m.Wrap = []string{"sh", "-c", `umask 0; exec "$@"`, "sh"}
			path := strings.TrimPrefix(m.Socket, "unix:")
			denied, ended := tryConnecting(path)
			for range 25 {
				m.Start(t)
				select {
				case <-denied: // it is trying
				case err := <-ended:
					t.Fatalf("the intruder could connect, or reach the socket: %v", err)
				}
				m.Stop(t)
			}
			m.Start(t)
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("the intruder cannot connect to an open socket: %v", err)
			}
		})
	}
}

// tryConnecting tries to connect to a socket, as user nobody in group root, until that is not denied any
// more: a mode that admits it shows even before the socket listens (ECONNREFUSED).
func tryConnecting(path string) (denied <-chan struct{}, ended <-chan error) {
	told, end := make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread has lost its rights
		_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
		for {
			switch err := connect(path); {
			case errors.Is(err, syscall.EACCES):
				select {
				case told <- struct{}{}:
				default:
				}
			case !errors.Is(err, fs.ErrNotExist):
				end <- err
				return
			}
		}
	}()
	return told, end
}

// connect is net.Dial in the calling thread.
func connect(path string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	return syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
}

// A socket that a killed daemon left behind is replaced.
func TestSocketStale(t *testing.T) {
	t.Parallel()
	m := rig.StartMilter(t, "unix", "")
	m.Kill()
	if _, err := os.Lstat(strings.TrimPrefix(m.Socket, "unix:")); err != nil {
		t.Fatalf("no socket is left behind: %v", err)
	}
	m.Start(t)
	checkServes(t, m.Socket)
}

// Anything else at the socket's path is left as it is.
func TestSocketTaken(t *testing.T) {
	for name, occupy := range map[string]func(path string) error{
		"live":     func(path string) error { _, err := listenAt(path, syscall.SOCK_STREAM, 10); return err },
		"datagram": func(path string) error { _, err := listenAt(path, syscall.SOCK_DGRAM, 0); return err },
		"busy": func(path string) error { // its queue is full, so connecting blocks
			_, err := listenAt(path, syscall.SOCK_STREAM, 0)
			return errors.Join(err, connect(path))
		},
		"file":      func(path string) error { return os.WriteFile(path, []byte("mail"), 0o600) },
		"empty":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"fifo":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"symlink":   func(path string) error { return os.Symlink(filepath.Dir(path), path) },
		"nowhere":   func(path string) error { return os.Symlink("nowhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := rig.NewMilter(t, "unix", "")
			path := strings.TrimPrefix(m.Socket, "unix:")
			if err := occupy(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			m.Launch(t)
			if code := m.Exit(t); code != exitConfig || !strings.Contains(m.Log(), path) {
				t.Errorf("exit %d: %s", code, m.Log())
			}
			checkUnchanged(t, path, before)
		})
	}
}

// listenAt makes a listener that never accepts, with a queue of that length, until the test program ends.
func listenAt(path string, kind, queue int) (fd int, err error) {
	if fd, err = syscall.Socket(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil || kind == syscall.SOCK_DGRAM {
		return fd, err
	}
	return fd, syscall.Listen(fd, queue)
}

// checkUnchanged requires that a file is the same as before.
func checkUnchanged(t *testing.T, path string, before fs.FileInfo) {
	t.Helper()
	after, err := os.Lstat(path)
	if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() ||
		before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("%s was %v and is now %v (%v)", path, before, after, err)
	}
}

// The daemon removes its socket when it stops, unless another one has taken the path.
func TestSocketRemoved(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken %v", taken), func(t *testing.T) {
			t.Parallel()
			m := rig.StartMilter(t, "unix", "")
			path := strings.TrimPrefix(m.Socket, "unix:")
			if !taken {
				m.Stop(t)
				if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the socket is left behind: %v", err)
				}
				return
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			other, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			m.Stop(t)
			checkUnchanged(t, path, before)
		})
	}
}
