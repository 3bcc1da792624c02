package dnscache

import (
	"strings"

	"github.com/miekg/dns"
)

// question is what is asked and what is cached: a canonical name and a type, in class IN.
type question struct {
	name  string
	qtype uint16
}

func (q question) String() string {
	return q.name + " " + dns.TypeToString[q.qtype]
}

// ednsSize is the datagram in octets we offer to take: what passes every path in one piece, IPv6's
// least MTU of 1280 (RFC 8200 §5) less the headers.
const ednsSize = 1232

// query returns a new message that asks q, with a random ID: dns.Id reads crypto/rand, so that those of
// earlier queries tell nothing about it (RFC 5452 §9.2).
func (q question) query(edns bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(q.name, q.qtype)
	if edns {
		m.SetEdns0(ednsSize, false)
	}
	return m
}

// canonical returns the one spelling of a name that we ask, cache and compare: absolute, lower case,
// escaped as miekg/dns escapes names in answers. It reports false for what does not fit into a
// question: the empty text, labels over 63 octets, names over 255 (RFC 1035 §3.1), bad escapes.
func canonical(name string) (string, bool) {
	if name == "" {
		return "", false
	}
	name = dns.Fqdn(name)
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

// plain tells names that need no escaping. Nearly all do not.
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
