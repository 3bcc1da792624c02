package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"helo-milter/checks"
)

// Address is an address to listen on, for net.Listen.
type Address struct {
	Network, Address string // Network is unix, tcp, or tcp6
	Policy           bool   // a policy service listens there, not a milter

	text string
}

// String is the address as it was written.
func (a Address) String() string { return a.text }

// MarshalText implements encoding.TextMarshaler.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.text), nil }

// UnmarshalText reads an address in Postfix's notation (inet:HOST:PORT, unix:PATH) or in Sendmail's
// (inet:PORT@HOST, inet6:PORT@HOST, local:PATH), after "policy:" for a policy service.
func (a *Address) UnmarshalText(text []byte) (err error) {
	a.text = string(text)
	address := a.text
	address, a.Policy = strings.CutPrefix(address, "policy:")
	a.Network, a.Address, err = parseListen(address)
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
		if err := filePath(rest); err != nil {
			return "", "", err
		}
		return "unix", rest, nil
	case "inet", "inet6":
		if port, host, ok := strings.Cut(rest, "@"); ok {
			rest = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		host, _, err := net.SplitHostPort(rest)
		if err != nil || host == "" {
			break
		}
		network := map[string]string{"inet": "tcp", "inet6": "tcp6"}[family]
		if err := hostPort(network, rest); err != nil {
			return "", "", fmt.Errorf("%q: %w", s, err)
		}
		return network, rest, nil
	}
	return "", "", fmt.Errorf("%q is not an address to listen on, such as inet:127.0.0.1:8891 or unix:/path", s)
}

// hostPort checks an address of TCP, whose host may be empty.
func hostPort(network, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT, such as 127.0.0.1:9891", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port from 1 to 65535", port)
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && (network == "tcp" || addr.Is6()):
		return nil
	case err == nil:
		return fmt.Errorf("%s is an IPv4 address", host)
	case checks.ParseHelo(host).Form&checks.FormName == 0:
		return fmt.Errorf("%q is neither an address nor a host name", host)
	}
	return nil
}

// httpAddress is an Address of the HTTP server: HOST:PORT, unix:PATH, or none.
type httpAddress Address

// MarshalText implements encoding.TextMarshaler.
func (a httpAddress) MarshalText() ([]byte, error) { return []byte(a.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *httpAddress) UnmarshalText(text []byte) (err error) {
	*a = httpAddress{text: string(text)}
	switch {
	case a.text == "":
		return nil
	case strings.HasPrefix(a.text, "unix:"):
		a.Network, a.Address, err = parseListen(a.text)
		return err
	}
	a.Network, a.Address = "tcp", a.text
	return hostPort(a.Network, a.text)
}

// CheckPeers is an error when other hosts than this can connect to an address, and nothing says
// which. A milter believes whatever its MTA says.
func (c *Config) CheckPeers(network, address string) error {
	return checkPeers(Address{Network: network, Address: address}, c.Limits.Peers, "limits.peers")
}

func (c *Config) checkHTTP() error {
	switch address := c.HTTP.Listen; {
	case !c.HTTP.Console:
	case address.Network == "":
		return errors.New("is empty, and http.console needs it: \"127.0.0.1:9891\" or \"unix:/path\"")
	case !address.isLocal() && c.HTTP.TokenFile == "":
		return fmt.Errorf("other hosts can connect to %s: http.console needs a password in http.token_file, a loopback "+
			"address, or a unix socket", address.Address)
	}
	if c.HTTP.Pprof && !c.HTTP.Listen.isLocal() {
		return fmt.Errorf("other hosts can connect to %s: http.pprof needs a loopback address or a unix socket",
			c.HTTP.Listen.Address)
	}
	return checkPeers(c.HTTP.Listen, c.HTTP.Allow, "http.allow")
}

// isLocal reports whether only this host can connect to an address. What cannot be opened is local.
func (a Address) isLocal() bool {
	host, _, err := net.SplitHostPort(a.Address)
	if a.Network == "unix" || err != nil || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func checkPeers(a Address, peers []netip.Prefix, key string) error {
	if len(peers) > 0 || a.isLocal() {
		return nil
	}
	return fmt.Errorf("other hosts can connect to %s: list those that may in %s, as in [\"192.0.2.25\"]", a.Address,
		key)
}

// CheckListeners is an error when two of the addresses to listen on are the same, or one is a part of the
// other, so that only one can be opened.
func (c *Config) CheckListeners() error {
	all := slices.Clone(c.Listen)
	for _, page := range []struct {
		key     string
		address Address
	}{{"listen", Address{}}, {"http.listen", c.HTTP.Listen}, {"help.listen", c.Help.Listen}} {
		if page.address.Network != "" {
			all = append(all, page.address)
		}
		for i, a := range all {
			for _, b := range all[:i] {
				if a.overlaps(b) {
					return &KeyError{page.key, fmt.Errorf("%s: %s is listened on already", a, b)}
				}
			}
		}
	}
	return nil
}

// overlaps reports whether a kernel refuses to listen on both addresses. Of a host name nothing is known but
// that it is none of all addresses.
func (a Address) overlaps(b Address) bool {
	if a.Network == "unix" || b.Network == "unix" {
		return a.Network == b.Network && path.Clean(a.Address) == path.Clean(b.Address)
	}
	hostA, portA, errA := net.SplitHostPort(a.Address)
	hostB, portB, errB := net.SplitHostPort(b.Address)
	numA, _ := strconv.Atoi(portA)
	numB, _ := strconv.Atoi(portB)
	if errA != nil || errB != nil || numA != numB {
		return false
	}
	ipA, ipB := a.host(hostA), b.host(hostB)
	switch {
	case ipA.IsValid() && ipB.IsValid():
		return ipA == ipB || a.covers(ipA, b, ipB) || b.covers(ipB, a, ipA)
	case ipA.IsValid():
		return a.covers(ipA, b, ipB)
	case ipB.IsValid():
		return b.covers(ipB, a, ipA)
	}
	return a.Network == b.Network && strings.EqualFold(hostA, hostB)
}

// host is the address that net.Listen takes a host for, if that is known: :: for all addresses, of both
// families where the network is tcp.
func (a Address) host(host string) netip.Addr {
	ip, _ := netip.ParseAddr(host)
	switch {
	case host == "" || ip.IsUnspecified():
		return netip.IPv6Unspecified()
	case host == "localhost" && a.Network == "tcp":
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case host == "localhost":
		return netip.IPv6Loopback()
	}
	return ip.Unmap()
}

// covers reports whether a is all addresses, those of b among them.
func (a Address) covers(ip netip.Addr, b Address, other netip.Addr) bool {
	return ip.IsUnspecified() && (a.Network == "tcp" || other.Is6() || b.Network == "tcp6")
}
