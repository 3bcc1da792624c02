package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxPath is how long the path of a unix socket may be, in bytes: unix(7).
const maxPath = 107

// parseListen reads an address to listen on, in Postfix's notation (inet:HOST:PORT, unix:PATH) or in
// Sendmail's (inet:PORT@HOST, inet6:PORT@HOST, local:PATH).
func parseListen(s string) (network, address string, err error) {
	family, rest, _ := strings.Cut(s, ":")
	switch family {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return "", "", fmt.Errorf("%q: the path must be absolute, as in unix:/run/helo-milter/sock", s)
		}
		if len(rest) > maxPath {
			return "", "", fmt.Errorf("%q: the path has %d bytes, at most %d fit", s, len(rest), maxPath)
		}
		return "unix", rest, nil
	case "inet", "inet6":
		if port, host, ok := strings.Cut(rest, "@"); ok {
			rest = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		host, port, err := net.SplitHostPort(rest)
		if err != nil || host == "" {
			break
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", fmt.Errorf("%q: %q is not a port from 1 to 65535", s, port)
		}
		network := map[string]string{"inet": "tcp", "inet6": "tcp6"}[family]
		return network, net.JoinHostPort(host, port), nil
	}
	return "", "", fmt.Errorf("%q is not an address to listen on, such as inet:127.0.0.1:8891 or unix:/path", s)
}

// sockets are the daemon's listeners, by their address in Postfix's notation.
type sockets map[string]net.Listener

// socketName is what an address is called there.
func socketName(network, address string) string {
	switch {
	case network == "unix":
		return "unix:" + address
	case network == "tcp6" || strings.HasPrefix(address, "["):
		return "inet6:" + address
	}
	return "inet:" + address
}

func (s sockets) names() []string { return slices.Sorted(maps.Keys(s)) }

// with returns the sockets of a configuration: those that are there, and new ones, which it opens and
// also returns by themselves.
func (s sockets) with(c *Config) (all sockets, opened []io.Closer, err error) {
	all = sockets{}
	for _, l := range c.Listen {
		network, address, err := parseListen(l)
		if err != nil {
			return nil, opened, err
		}
		name := socketName(network, address)
		if here := s[name]; here != nil && !isGone(here) {
			all[name] = here
			continue
		}
		if network == "unix" {
			all[name], err = listenUnix(address, c)
		} else {
			all[name], err = net.Listen(network, address)
		}
		if err != nil {
			if _, other := errors.AsType[*keyError](err); !other { // it may be the group's
				err = &keyError{"listen", fmt.Errorf("%s: %w", l, err)}
			}
			return nil, opened, err
		}
		opened = append(opened, all[name])
	}
	return all, opened, nil
}

// openToStrangers is an error when hosts can connect of which the configuration says nothing.
func (s sockets) openToStrangers(c *Config) error {
	for _, ln := range s {
		if err := c.openToStrangers(ln.Addr().Network(), ln.Addr().String()); err != nil {
			return err
		}
	}
	return nil
}

// openToStrangers is an error when other hosts than this can connect to an address, and nothing says
// which. A milter believes whatever its MTA says.
func (c *Config) openToStrangers(network, address string) error {
	host, _, err := net.SplitHostPort(address)
	if network == "unix" || err != nil || len(c.Limits.Peers) > 0 || host == "localhost" {
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() {
		return nil
	}
	return fmt.Errorf("other hosts can connect to %s: say in limits.peers which may, such as [\"192.0.2.25\"]",
		address)
}

// unixSocket removes its file when it is closed, unless another daemon has put its own there.
type unixSocket struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
}

// isGone tells whether nobody can find a socket of ours any more, because its file was removed.
func isGone(ln net.Listener) bool {
	s, ok := ln.(*unixSocket)
	if !ok {
		return false
	}
	now, err := os.Lstat(s.path)
	return err != nil || !os.SameFile(s.file, now)
}

// Close closes the socket and removes the file.
func (s *unixSocket) Close() error {
	s.once.Do(func() {
		now, err := os.Lstat(s.path)
		// A file system may give the number of a file that was removed to another's.
		if err == nil && os.SameFile(s.file, now) && now.ModTime().Equal(s.file.ModTime()) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}

// listenUnix makes a socket that nobody can connect to before it has its mode and its group. A socket
// that nobody answers at is what a killed daemon left, and is replaced; anything else is left alone.
func listenUnix(path string, c *Config) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// Linux makes the file with the mode that the socket has, and a umask would be that of all goroutines.
	shut := func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0) }), err)
	}
	ln, err := (&net.ListenConfig{Control: shut}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	s := &unixSocket{UnixListener: ln.(*net.UnixListener), path: path}
	s.SetUnlinkOnClose(false)
	if s.file, err = os.Lstat(path); err == nil {
		err = c.giveAccess(s)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// giveAccess sets who may connect to a unix socket of ours.
func (c *Config) giveAccess(ln net.Listener) error {
	s, ok := ln.(*unixSocket)
	if !ok {
		return nil
	}
	if c.SocketGroup != "" {
		group, err := user.LookupGroup(c.SocketGroup)
		if err != nil {
			return &keyError{"socket_group", err}
		}
		gid, err := strconv.Atoi(group.Gid)
		if err != nil {
			return &keyError{"socket_group", err}
		}
		if err := os.Chown(s.path, -1, gid); err != nil {
			return &keyError{"socket_group", err}
		}
	}
	return os.Chmod(s.path, fs.FileMode(c.SocketMode))
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is no socket: remove it or choose another path", path)
	}
	if info.Mode().Perm() == 0 { // killed before it had its mode: only root could ask it
		_ = os.Chmod(path, 0o600)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s is in use: another daemon answers there", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: cannot tell whether it is in use: %w", path, err)
	}
	return os.Remove(path)
}
