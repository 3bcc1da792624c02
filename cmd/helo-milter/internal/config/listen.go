package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Address is an address to listen on, for net.Listen.
type Address struct {
	Network, Address string // Network is unix, tcp, or tcp6

	text string
}

// String is the address as it was written.
func (a Address) String() string { return a.text }

// MarshalText implements encoding.TextMarshaler.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.text), nil }

// UnmarshalText reads an address in Postfix's notation (inet:HOST:PORT, unix:PATH) or in Sendmail's
// (inet:PORT@HOST, inet6:PORT@HOST, local:PATH).
func (a *Address) UnmarshalText(text []byte) (err error) {
	a.text = string(text)
	a.Network, a.Address, err = parseListen(a.text)
	return err
}

// maxPath is how long the path of a unix socket may be, in bytes: unix(7).
const maxPath = 107

func parseListen(s string) (network, address string, err error) {
	family, rest, _ := strings.Cut(s, ":")
	switch family {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return "", "", fmt.Errorf("%q: the path must be absolute, as in unix:/run/helo-milter/sock", s)
		}
		if len(rest) > maxPath {
			return "", "", fmt.Errorf("%q: the path is %d bytes long, the limit is %d", s, len(rest), maxPath)
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

// CheckPeers is an error when other hosts than this can connect to an address, and nothing says
// which. A milter believes whatever its MTA says.
func (c *Config) CheckPeers(network, address string) error {
	host, _, err := net.SplitHostPort(address)
	if network == "unix" || err != nil || len(c.Limits.Peers) > 0 || host == "localhost" {
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() {
		return nil
	}
	return fmt.Errorf("other hosts can connect to %s: list those that may in limits.peers, as in [\"192.0.2.25\"]",
		address)
}
