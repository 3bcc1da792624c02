package dnscache

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// values copies what the records say, in the form the cache keeps. It is nil where they say nothing:
// a record may come without data (RFC 2136 §2.4).
func values(records []dns.RR) any {
	switch records[0].Header().Rrtype { // all are of the type asked for
	case dns.TypeA, dns.TypeAAAA:
		return collect(records, address)
	case dns.TypePTR, dns.TypeNS, dns.TypeTXT:
		return collect(records, text)
	case dns.TypeMX:
		result := collect(records, exchanger)
		if mxs, ok := result.([]net.MX); ok {
			slices.SortStableFunc(mxs, func(a, b net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
		}
		return result
	}
	return nil
}

// collect reads the records into a T if there is one, else into a []T without room to spare. Nearly all
// answers are one address or one name, and a slice around it takes as much memory again.
func collect[T any](records []dns.RR, read func(dns.RR) (T, bool)) any {
	values := make([]T, 0, len(records))
	for _, rr := range records {
		if value, ok := read(rr); ok {
			values = append(values, value)
		}
	}
	switch len(values) {
	case 0:
		return nil
	case 1:
		return values[0]
	}
	return values
}

// list is the way back from collect. The slice belongs to the caller.
func list[T any](result any) []T {
	switch result := result.(type) {
	case T:
		return []T{result}
	case []T:
		return slices.Clone(result)
	case *stale:
		return list[T](result.values)
	}
	return nil
}

// address is what an A or AAAA record says. It reports false for a record without data.
func address(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA.To16())
	}
	return netip.Addr{}, false
}

// exchanger is what an MX record says. It reports false for a record without data.
func exchanger(rr dns.RR) (net.MX, bool) {
	if mx, ok := rr.(*dns.MX); ok {
		return net.MX{Host: mx.Mx, Pref: mx.Preference}, mx.Mx != ""
	}
	return net.MX{}, false
}

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
