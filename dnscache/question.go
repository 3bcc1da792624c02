package dnscache

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// question is a canonical name and a type, in class IN: what is asked, and the key of the cache. Below spell
// the name may be in random case.
type question struct {
	name  string
	qtype uint16
}

func (q question) String() string {
	return q.name + " " + dns.TypeToString[q.qtype]
}

// ednsSize is the largest UDP message in octets that we accept: what passes every path unfragmented, IPv6's
// minimum MTU of 1280 (RFC 8200 §5) less the headers.
const ednsSize = 1232

// query returns a new message that asks q, with a random ID: dns.Id reads crypto/rand, so that it cannot be
// predicted from earlier queries (RFC 5452 §9.2).
func (q question) query(edns bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(q.name, q.qtype)
	if edns {
		m.SetEdns0(ednsSize, false)
	}
	return m
}

// canonical returns the one spelling of a name that is asked, cached and compared: absolute, lower case,
// escaped as miekg/dns escapes names in answers. It reports false if name cannot be asked: it is empty, has
// a label over 63 octets or more than 255 octets (RFC 1035 §3.1), or a bad escape.
func canonical(name string) (string, bool) {
	if name == "" {
		return "", false
	}
	name = dns.Fqdn(name)
	if ready(name) {
		return name, true
	}
	var wire [255]byte
	end, err := dns.PackDomainName(name, wire[:], 0, nil, false)
	if err != nil {
		return "", false
	}
	if !plain(name) {
		if name, _, err = dns.UnpackDomainName(wire[:end], 0); err != nil {
			return "", false
		}
	}
	return strings.ToLower(name), true
}

// ready reports whether name is canonical as it is, but for the final dot that it has: nearly every name is.
func ready(name string) bool {
	label := 0
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && 0 < label && label <= 63:
			label = 0
		default:
			return false
		}
	}
	return label == 0 && len(name) <= 254
}

// reverseName returns the owner name of the PTR records of addr (RFC 1035 §3.5, RFC 3596 §2.5), or "" for the
// zero Addr.
func reverseName(addr netip.Addr) string {
	const hex = "0123456789abcdef"
	var room [72]byte
	name := room[:0]
	switch {
	case addr.Is4():
		for _, octet := range slices.Backward(addr.AsSlice()) {
			name = append(strconv.AppendUint(name, uint64(octet), 10), '.')
		}
		name = append(name, "in-addr.arpa."...)
	case addr.Is6():
		for _, octet := range slices.Backward(addr.AsSlice()) {
			name = append(name, hex[octet&15], '.', hex[octet>>4], '.')
		}
		name = append(name, "ip6.arpa."...)
	}
	return string(name)
}

// plain reports whether name needs no escaping. Nearly no name does.
func plain(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}
