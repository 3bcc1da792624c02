package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// client is a client of the sessions: good, its reverse name confirmed, with a HELO name that resolves to it.
type client struct {
	addr       netip.Addr
	name, helo string
}

// pool is a numbered set of clients, which the name servers of this program know without a list. The
// addresses are of networks with room for a million of them, unlike those for documentation; nothing leaves
// the network namespace.
type pool struct {
	size  int
	one   bool // of one organisation, whose addresses follow each other; otherwise four hosts of each, in a /24
	mixed bool // half of the organisations have hosts that break a rule, see badHelos
}

// most is more than any pool has.
const most = 1 << 21

// hosts is how many clients an organisation has.
const hosts = 4

// The first octets of addresses: from firstOctet on those of many organisations, which is room for 2,621,440
// clients, and that of the one organisation.
const (
	firstOctet = 20
	oneOctet   = 30
)

// client returns a client. One in five says another name of its organisation at HELO than its reverse name.
func (p pool) client(i int) client {
	c := client{addr: p.addr(i), name: p.host("mx", i)}
	c.helo = c.name
	if otherHelo(i) {
		c.helo = p.host("out", i)
	}
	if kind := i / hosts % (2 * len(badHelos)); p.mixed && kind < len(badHelos) {
		c.helo = badHelos[kind]
		if kind%2 == 0 {
			c.addr = nameless(c.addr)
		}
	}
	return c
}

// badHelos are what bad clients say: an address, a name of this host, of nobody, of a provider, and of one label.
// Every other one has no reverse name.
var badHelos = []string{
	"192.0.2.7", "mx.example.net", "gone.sender.com", "mail.gmail.com", "localhost", "user-pc",
}

// nameless is an address in the same network that has no reverse name.
func nameless(addr netip.Addr) netip.Addr {
	a := addr.As4()
	a[3] += 100
	return netip.AddrFrom4(a)
}

func otherHelo(i int) bool { return i%5 == 0 }

func (p pool) host(prefix string, i int) string {
	if p.one {
		return fmt.Sprintf("%s%d.sender.com", prefix, i)
	}
	return fmt.Sprintf("%s%d.sender%d.com", prefix, i, i/hosts)
}

func (p pool) addr(i int) netip.Addr {
	a := binary.BigEndian.AppendUint32(nil, oneOctet<<24|uint32(i))
	if !p.one {
		a = binary.BigEndian.AppendUint32(a[:0], firstOctet<<24+uint32(i/hosts<<8|10+i%hosts))
	}
	return netip.AddrFrom4([4]byte(a))
}

// reverse returns the reverse name of an address, or "".
func reverse(addr netip.Addr) string {
	a := addr.As4()
	rest := binary.BigEndian.Uint32(a[:])
	switch octet, host := a[0], int(a[3])-10; {
	case octet == oneOctet:
		return pool{one: true}.host("mx", int(rest&0xffffff))
	case octet >= firstOctet && octet < oneOctet && host >= 0 && host < hosts:
		return pool{}.host("mx", int((rest-firstOctet<<24)>>8)*hosts+host)
	}
	return ""
}

// forward returns the address of a name that pools give to a client.
func forward(name string) (netip.Addr, bool) {
	label, domain, _ := strings.Cut(name, ".")
	i, err := strconv.Atoi(strings.TrimLeft(label, "mxout"))
	if err != nil || i < 0 || i >= most {
		return netip.Addr{}, false
	}
	p := pool{one: domain == "sender.com"}
	known := p.host("mx", i) == name || p.host("out", i) == name
	return p.addr(i), known
}

// unboundConf returns the configuration of an unbound that answers for all clients of a pool at address,
// without recursion. One organisation in ten has IPv6, too, and another one in ten an SPF record.
func (p pool) unboundConf(address, dir string) string {
	var conf strings.Builder
	fmt.Fprintf(&conf, "remote-control:\n  control-enable: no\nserver:\n  directory: %q\n  interface: %s\n"+
		"  access-control: 0.0.0.0/0 allow\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n"+
		"  use-syslog: no\n  do-ip6: no\n  module-config: \"iterator\"\n", dir, address)
	record := func(format string, args ...any) {
		fmt.Fprintf(&conf, "  local-data: '"+format+"'\n", args...)
	}
	const soa = "%[1]s 86400 SOA ns.%[1]s hostmaster.%[1]s 1 3600 600 86400 3600"
	for _, zone := range []string{"com.", "20.in-addr.arpa.", "net.", "org."} {
		fmt.Fprintf(&conf, "  local-zone: %q static\n", zone)
		record(soa, zone)
	}
	record("example.org. 86400 MX 10 mail.example.org.") // the sender's domain
	record("mail.example.org. 86400 A 203.0.113.10")
	for i := range p.size {
		c, octets := p.client(i), p.addr(i).As4()
		record("%d.%d.%d.%d.in-addr.arpa. 86400 PTR %s.", octets[3], octets[2], octets[1], octets[0], c.name)
		record("%s. 86400 A %v", c.name, c.addr)
		if c.helo != c.name {
			record("%s. 86400 A %v", c.helo, c.addr)
		}
		switch i / hosts % 10 {
		case 1:
			record("%s. 86400 AAAA 2001:db8::%x", c.name, i+1)
		case 2:
			record("%s. 86400 TXT \"v=spf1 ip4:%v -all\"", c.helo, c.addr)
		}
	}
	return conf.String()
}
