package dnscache

import (
	"fmt"
	"net"
	"slices"

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
	_, err := parseServer(server)
	return err
}

// Servers returns the servers in use as in Config.Servers, in the order of preference.
func (r *Resolver) Servers() []string {
	return slices.Clone(r.servers)
}
