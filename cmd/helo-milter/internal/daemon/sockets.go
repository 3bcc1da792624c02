package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/milter/gate"
)

// sockets are the daemon's listeners, by their address in Postfix's notation, after forPolicy for those of the policy
// service.
type sockets map[string]net.Listener

const forPolicy = "policy:"

// policyName is what the socket of an address is called that has another name for the milter, or the other way
// round.
func policyName(name string, policy bool) string {
	name = strings.TrimPrefix(name, forPolicy)
	if policy {
		return forPolicy + name
	}
	return name
}

// socketName is what an address is called for the milter.
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
func (s sockets) with(c *change) (all sockets, opened []io.Closer, err error) {
	all = sockets{}
	for _, a := range c.cfg.Listen {
		name := policyName(socketName(a.Network, a.Address), a.Policy)
		here := cmp.Or(s[name], s[policyName(name, !a.Policy)])
		if here != nil && !isGone(here) {
			all[name] = here
			continue
		}
		if all[name], err = c.listen(a); err != nil {
			return nil, opened, keyError("listen", fmt.Errorf("%s: %w", a, err))
		}
		opened = append(opened, all[name])
	}
	return all, opened, nil
}

// listen opens an address.
func (c *change) listen(a config.Address) (net.Listener, error) {
	if a.Network == "unix" {
		return listenUnix(a.Address, c.access())
	}
	return gate.Listen(a.Network, a.Address)
}

// keyError is an error about a key, unless it is known to be about another one.
func keyError(key string, err error) error {
	if other, ok := errors.AsType[*config.KeyError](err); ok {
		return other
	}
	return &config.KeyError{Key: key, Err: err}
}

// checkListeners is an error when not all addresses can be listened on at a time, or a file is in the place
// of a socket.
func checkListeners(c *change) error {
	if err := c.cfg.CheckListeners(); err != nil {
		return err
	}
	for _, a := range c.cfg.Listen {
		if err := checkSocketFile(a); err != nil {
			return &config.KeyError{Key: "listen", Err: err}
		}
	}
	if err := checkSocketFile(c.cfg.HTTP.Listen); err != nil {
		return &config.KeyError{Key: "http.listen", Err: err}
	}
	return nil
}

func checkSocketFile(a config.Address) error {
	if a.Network != "unix" {
		return nil
	}
	if info, err := os.Lstat(a.Address); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket: remove it or choose another path", a.Address)
	}
	return nil
}

// findGroup looks the group of the unix sockets up, if there are any.
func findGroup(c *change) error {
	c.gid = -1
	isUnix := func(a config.Address) bool { return a.Network == "unix" }
	if c.cfg.SocketGroup == "" || !isUnix(c.cfg.HTTP.Listen) && !slices.ContainsFunc(c.cfg.Listen, isUnix) {
		return nil
	}
	group, err := user.LookupGroup(c.cfg.SocketGroup)
	if err == nil {
		c.gid, err = strconv.Atoi(group.Gid)
	}
	if err != nil {
		return &config.KeyError{Key: "socket_group", Err: err}
	}
	return nil
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
func listenUnix(path string, a access) (net.Listener, error) {
	defer lock(filepath.Dir(path))()
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
		err = a.give(s)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// access is who may connect to a unix socket.
type access struct {
	mode fs.FileMode
	gid  int // -1 is the daemon's own
}

func (c *change) access() access { return access{c.cfg.SocketMode, c.gid} }

// give sets who may connect to a unix socket of ours.
func (a access) give(ln net.Listener) error {
	s, ok := ln.(*unixSocket)
	if !ok {
		return nil
	}
	if a.gid >= 0 {
		if err := os.Chown(s.path, -1, a.gid); err != nil {
			return &config.KeyError{Key: "socket_group", Err: err}
		}
	}
	return os.Chmod(s.path, a.mode)
}

// lockTime is how long a daemon waits for another that opens its sockets: that one takes no longer for each.
const lockTime = 2 * time.Second

// lock keeps other daemons from opening sockets in a directory until unlock is called: of two that start at the
// same moment, the second would take the socket that the first has just made for a stale one. The lock is
// flock(2) on the directory itself, so that nothing is left behind. Where that is not possible, and while a
// user holds it who may read the directory, it does without: that must not keep a daemon from starting.
func lock(dir string) (unlock func()) {
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(lockTime); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != syscall.EWOULDBLOCK {
			break
		}
	}
	return func() { d.Close() }
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := checkSocketFile(config.Address{Network: "unix", Address: path}); err != nil {
		return err
	}
	if info.Mode().Perm() == 0 { // killed before it had its mode: only root could ask it
		_ = os.Chmod(path, 0o600)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("%s is in use: another daemon answers there", path)
	case errors.Is(err, fs.ErrNotExist): // the other daemon has just stopped
		return nil
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: cannot report whether it is in use: %w", path, err)
	}
	return os.Remove(path)
}
