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

// nat64 is the prefix in which translators show the IPv6 side an IPv4 host: RFC 6052 §2.1.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// ClientAddr returns the address by which a client is judged: an IPv4 client that a dual-stack socket
// (::ffff:a.b.c.d) or a translator in front of an MTA without IPv4 (64:ff9b::a.b.c.d, NAT64 and RFC 7755)
// shows as an IPv6 address is the IPv4 address, which is what its DNS is about. Of others, a zone is removed.
// RFC 6052 §3.1 has no address that is not global behind that prefix: such a one stays as it is, so that
// nobody is exempt by it.
//
// Nothing is known of the client behind an address of 6to4 (2002::/16) or Teredo (2001::/32): the IPv4
// address in it is a router's or that of a NAT. These are judged as any IPv6 address.
func ClientAddr(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if Translated(addr) {
		octets := addr.As16()
		if v4 := netip.AddrFrom4([4]byte(octets[12:])); Public(v4) {
			return v4
		}
	}
	return addr
}

// Translated reports whether an address is in the prefix in which translators show IPv4 hosts.
func Translated(addr netip.Addr) bool { return nat64.Contains(addr) }

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
