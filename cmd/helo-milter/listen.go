package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// parseListen reads an address to listen on, in Postfix's notation (inet:HOST:PORT, unix:PATH) or in
// Sendmail's (inet:PORT@HOST, inet6:PORT@HOST, local:PATH).
func parseListen(s string) (network, address string, err error) {
	family, rest, _ := strings.Cut(s, ":")
	switch family {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return "", "", fmt.Errorf("%q: the path must be absolute, as in unix:/run/helo-milter/sock", s)
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

// listen opens the listeners of a configuration: all of them, or none.
func listen(c *Config) ([]net.Listener, error) {
	var open []net.Listener
	for _, l := range c.Listen {
		ln, err := listenOn(l, c)
		if err != nil {
			for _, o := range open {
				o.Close()
			}
			return nil, fmt.Errorf("listen %s: %w", l, err)
		}
		open = append(open, ln)
	}
	return open, nil
}

func listenOn(l string, c *Config) (net.Listener, error) {
	network, address, err := parseListen(l)
	switch {
	case err != nil:
		return nil, err
	case network == "unix":
		return listenUnix(address, c)
	default:
		return net.Listen(network, address)
	}
}

// listenUnix makes a socket that nobody can connect to before it has its mode and its group. A socket
// that nobody answers at is what a killed daemon left, and is replaced; anything else is left alone.
func listenUnix(path string, c *Config) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	old := syscall.Umask(0o777)
	ln, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	if err := setAccess(path, c); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

func setAccess(path string, c *Config) error {
	if c.SocketGroup != "" {
		group, err := user.LookupGroup(c.SocketGroup)
		if err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
		gid, err := strconv.Atoi(group.Gid)
		if err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
	}
	return os.Chmod(path, fs.FileMode(c.SocketMode))
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
