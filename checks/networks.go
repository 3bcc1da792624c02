package checks

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// privateNetworks: loopback, link-local, RFC 1918, RFC 6598 (CGNAT) and RFC 4193 (ULA). The
// documentation networks of RFC 5737 and RFC 3849 are not among them.
var privateNetworks = networks("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10", "10.0.0.0/8",
	"172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

// unroutable are the networks beside the private ones in which no mail server can be: RFC 6890,
// multicast and what is reserved.
var unroutable = networks("0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3", "::/128",
	"100::/64", "fec0::/10", "ff00::/8")

func networks(texts ...string) *bart.Lite {
	set := new(bart.Lite)
	for _, t := range texts {
		set.Insert(netip.MustParsePrefix(t))
	}
	return set
}

// Private reports whether an address is in a network that has no place in the public DNS.
func Private(addr netip.Addr) bool { return privateNetworks.Contains(addr) }

// Public reports whether a host of that address can be reached over the public Internet.
func Public(addr netip.Addr) bool {
	return !Private(addr) && !unroutable.Contains(addr)
}
