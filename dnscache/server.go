package dnscache

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// tlsScheme comes before the address of a server that is asked over TLS.
const tlsScheme = "tls://"

// server is one of Config.Servers, parsed.
type server struct {
	network string // "udp", with TCP as the fallback; or "tls", and nothing else
	address string // HOST:PORT
	name    string // the name or address in its certificate, for "tls"
}

// CheckServer returns an error if server cannot be one of Config.Servers. It checks the text only, and
// sends no query.
func CheckServer(server string) error {
	_, err := parseServer(server)
	return err
}

// parseServer parses HOST:PORT, such as 192.0.2.53:53 or [fe80::1%eth0]:53, and tls://HOST:PORT#NAME for DNS
// over TLS (RFC 7858), where #NAME defaults to HOST. The port is a number from 1 to 65535 and is required.
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

// bare returns host without the zone of an IPv6 address, which no certificate has.
func bare(host string) string {
	host, _, _ = strings.Cut(host, "%")
	return host
}

// String returns the shortest text that parseServer parses as s.
func (s server) String() string {
	if s.network != "tls" {
		return s.address
	}
	if host, _, _ := net.SplitHostPort(s.address); bare(host) == s.name {
		return tlsScheme + s.address
	}
	return tlsScheme + s.address + "#" + s.name
}
