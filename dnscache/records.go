package dnscache

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// values returns the data of records of one type in the form that the cache keeps, or nil if there is none:
// a record may have empty data (RFC 2136 §2.4).
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

// collect reads the records into a T if there is one, else into a []T. Nearly all answers are one address
// or one name, and a slice of it would take as much memory again.
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

// list returns the values of type T that collect has put into result, stale ones too, or nil if they are of
// another type. The slice belongs to the caller.
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

// address returns the address of an A or AAAA record. It reports false for a record without data.
func address(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA.To16())
	}
	return netip.Addr{}, false
}

// exchanger returns the data of an MX record. It reports false for a record without data.
func exchanger(rr dns.RR) (net.MX, bool) {
	if mx, ok := rr.(*dns.MX); ok {
		return net.MX{Host: mx.Mx, Pref: mx.Preference}, mx.Mx != ""
	}
	return net.MX{}, false
}

// text returns the name of a PTR or NS record, or the joined strings of a TXT record. It reports false for a
// record without data. A TXT record of empty strings has data: the text "".
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

// appendOctets appends the octets that a character-string has on the wire. miekg/dns presents them with the
// escapes \DDD and \X (RFC 1035 §5.1). Malformed escapes, which it never makes of what is on the wire, are
// read as it would pack them: \DDD over 255 modulo 256, and a trailing \ as nothing.
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
