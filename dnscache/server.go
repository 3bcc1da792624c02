package dnscache

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// tlsScheme is what a server has before its address that is asked over TLS.
const tlsScheme = "tls://"

// server is one of Config.Servers, parsed.
type server struct {
	network string // "udp", and TCP where that does not do; or "tls", and nothing else
	address string // HOST:PORT
	name    string // whose certificate it must have, for "tls"
}

// CheckServer tells what is wrong with a text as one of Config.Servers. It asks nobody.
func CheckServer(server string) error {
	_, err := parseServer(server)
	return err
}

// parseServer reads HOST:PORT, such as 192.0.2.53:53 or [fe80::1%eth0]:53, or the same as in
// tls://HOST:PORT#NAME for DNS over TLS (RFC 7858). Without #NAME the certificate must be for HOST. The
// port is from 1 to 65535 and never left out.
func parseServer(text string) (server, error) {
	s := server{network: "udp", address: text}
	example := "HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53"
	named := false
	if rest, ok := strings.CutPrefix(text, tlsScheme); ok {
		s.network = "tls"
		s.address, s.name, named = strings.Cut(rest, "#")
		example = "tls://HOST:PORT#NAME, such as tls://192.0.2.53:853#dns.example.net"
	}
	host, port, err := net.SplitHostPort(s.address)
	if err != nil || host == "" {
		return server{}, fmt.Errorf("%q is not %s", text, example)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return server{}, fmt.Errorf("%q: the port is not a number from 1 to 65535", text)
	}
	switch {
	case s.network == "tls" && !named:
		s.name = bare(host)
	case named && s.name == "":
		return server{}, fmt.Errorf("%q: no name after #", text)
	}
	return s, nil
}

// bare returns host without the zone of an IPv6 address: no certificate has one.
func bare(host string) string {
	host, _, _ = strings.Cut(host, "%")
	return host
}

// String returns what parseServer reads.
func (s server) String() string {
	if s.network != "tls" {
		return s.address
	}
	if host, _, _ := net.SplitHostPort(s.address); bare(host) == s.name {
		return tlsScheme + s.address
	}
	return tlsScheme + s.address + "#" + s.name
}
