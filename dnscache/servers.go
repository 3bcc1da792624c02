package dnscache

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/miekg/dns"
)

// systemServers reads the nameservers of a resolv.conf(5).
func systemServers(file string) ([]string, error) {
	conf, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("no DNS server configured, and no resolv.conf: %w", err)
	}
	if len(conf.Servers) == 0 {
		return nil, fmt.Errorf("no DNS server configured, and no nameserver line in %s", file)
	}
	var servers []string
	for _, host := range conf.Servers {
		servers = append(servers, net.JoinHostPort(host, conf.Port))
	}
	return servers, nil
}

// CheckServer tells what is wrong with a text as one of Config.Servers. It asks nobody.
func CheckServer(server string) error {
	host, port, err := net.SplitHostPort(server)
	if err != nil || host == "" {
		return fmt.Errorf("%q is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53", server)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: the port is not a number from 1 to 65535", server)
	}
	return nil
}

// Servers returns the servers in use as HOST:PORT, in the order of preference.
func (r *Resolver) Servers() []string {
	return slices.Clone(r.servers)
}
