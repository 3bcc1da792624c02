package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
)

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
func (s sockets) with(c *config.Config) (all sockets, opened []io.Closer, err error) {
	all = sockets{}
	for _, a := range c.Listen {
		name := socketName(a.Network, a.Address)
		if here := s[name]; here != nil && !isGone(here) {
			all[name] = here
			continue
		}
		if a.Network == "unix" {
			all[name], err = listenUnix(a.Address, c)
		} else {
			all[name], err = net.Listen(a.Network, a.Address)
		}
		if err != nil {
			if _, other := errors.AsType[*config.KeyError](err); !other { // it may be the group's
				err = &config.KeyError{Key: "listen", Err: fmt.Errorf("%s: %w", a, err)}
			}
			return nil, opened, err
		}
		opened = append(opened, all[name])
	}
	return all, opened, nil
}

// checkPeers is an error when hosts can connect of which the configuration says nothing.
func (s sockets) checkPeers(c *config.Config) error {
	for _, ln := range s {
		if err := c.CheckPeers(ln.Addr().Network(), ln.Addr().String()); err != nil {
			return err
		}
	}
	return nil
}

// unixSocket removes its file when it is closed, unless another daemon has put its own there.
type unixSocket struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
}

// isGone reports whether the file of a socket of ours was removed, so that it cannot be connected to.
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
func listenUnix(path string, c *config.Config) (net.Listener, error) {
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
		err = giveAccess(s, c)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// giveAccess sets who may connect to a unix socket of ours.
func giveAccess(ln net.Listener, c *config.Config) error {
	s, ok := ln.(*unixSocket)
	if !ok {
		return nil
	}
	if c.SocketGroup != "" {
		group, err := user.LookupGroup(c.SocketGroup)
		if err != nil {
			return &config.KeyError{Key: "socket_group", Err: err}
		}
		gid, err := strconv.Atoi(group.Gid)
		if err != nil {
			return &config.KeyError{Key: "socket_group", Err: err}
		}
		if err := os.Chown(s.path, -1, gid); err != nil {
			return &config.KeyError{Key: "socket_group", Err: err}
		}
	}
	return os.Chmod(s.path, c.SocketMode)
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket: remove it or choose another path", path)
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
		return fmt.Errorf("%s: cannot report whether it is in use: %w", path, err)
	}
	return os.Remove(path)
}
