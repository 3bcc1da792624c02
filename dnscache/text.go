package dnscache

import (
	"strings"

	"github.com/miekg/dns"
)

// text is what a PTR, NS or TXT record says. It reports false for a record without data. A TXT record
// with nothing but empty strings has data, and says "".
func text(rr dns.RR) (string, bool) {
	switch rr := rr.(type) {
	case *dns.PTR:
		return rr.Ptr, rr.Ptr != ""
	case *dns.NS:
		return rr.Ns, rr.Ns != ""
	case *dns.TXT:
		var octets []byte
		for _, s := range rr.Txt {
			octets = appendOctets(octets, s)
		}
		return string(octets), len(rr.Txt) > 0
	}
	return "", false
}

// appendOctets appends the octets that a character-string has on the wire. miekg/dns presents them
// with the escapes \DDD and \X (RFC 1035 §5.1). What is no such escape, and does not come from the
// wire, is read as miekg/dns would pack it: \DDD over 255 without the bits above, and a \ at the end
// not at all.
func appendOctets(octets []byte, s string) []byte {
	for {
		plain, rest, escape := strings.Cut(s, `\`)
		octets = append(octets, plain...)
		switch {
		case !escape || rest == "":
			return octets
		case len(rest) >= 3 && digit(rest[0]) && digit(rest[1]) && digit(rest[2]):
			octets = append(octets, 100*(rest[0]-'0')+10*(rest[1]-'0')+rest[2]-'0')
			s = rest[3:]
		default:
			octets = append(octets, rest[0])
			s = rest[1:]
		}
	}
}

func digit(c byte) bool {
	return '0' <= c && c <= '9'
}
