package checks

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// Names is a list of names in canonical form. "example.org" is that name alone, ".example.org" is every name
// under it.
type Names []string

// Match reports whether an entry of the list is about a name, which is in canonical form, too.
func (n Names) Match(name string) bool {
	for entry := range entriesFor(name) {
		if slices.Contains(n, entry) {
			return true
		}
	}
	return false
}

// under reports whether a name is one of the domains or is under one.
func under(name string, domains ...string) bool {
	for entry := range entriesFor(name) {
		if slices.Contains(domains, strings.TrimPrefix(entry, ".")) {
			return true
		}
	}
	return false
}

// entriesFor yields the entries of a list that are about a name: for mx.example.org these are
// "mx.example.org", ".example.org" and ".org".
func entriesFor(name string) iter.Seq[string] {
	return func(yield func(entry string) bool) {
		for rest := name; yield(rest); {
			dot := strings.IndexByte(rest[min(1, len(rest)):], '.')
			if dot < 0 {
				return
			}
			rest = rest[dot+1:]
		}
	}
}

// reverseName is the name that an address's PTR record has: RFC 1035 §3.5, RFC 3596 §2.5.
func reverseName(addr netip.Addr) string {
	var name strings.Builder
	for _, octet := range slices.Backward(addr.AsSlice()) {
		if addr.Is4() {
			fmt.Fprintf(&name, "%d.", octet)
		} else {
			fmt.Fprintf(&name, "%x.%x.", octet&15, octet>>4)
		}
	}
	if addr.Is4() {
		return name.String() + "in-addr.arpa."
	}
	return name.String() + "ip6.arpa."
}

// dotless is a PTR record whose final dot is missing: the name server takes its name for relative to the zone
// that it stands in (RFC 1035 §5.1).
type dotless struct {
	name string // the host name that was meant; "" where there is no such record
	zone string // what was appended, text from the network
}

// withoutDot takes such a PTR name apart: mail.example.org.113.0.203.in-addr.arpa is mail.example.org in
// 113.0.203.in-addr.arpa. The zone may be that of any network, or of a part of a /24, such as
// 0/25.113.0.203.in-addr.arpa (RFC 2317 §4).
func withoutDot(ptr string) dotless {
	at := max(strings.LastIndex(ptr, ".in-addr.arpa"), strings.LastIndex(ptr, ".ip6.arpa"))
	if at < 0 || !under(ptr, "in-addr.arpa", "ip6.arpa") {
		return dotless{}
	}
	for at > 0 {
		dot := strings.LastIndexByte(ptr[:at], '.')
		if couldBeTLD(ptr[dot+1 : at]) {
			break
		}
		at = dot
	}
	if at <= 0 || !isHostName(ptr[:at]) {
		return dotless{}
	}
	return dotless{ptr[:at], ptr[at+1:]}
}

// couldBeTLD reports whether a label in canonical form is spelled as TLDs are (RFC 3696 §2): in letters, two
// at least, or as an A-label. The labels of a reverse zone are not.
func couldBeTLD(label string) bool {
	return len(label) > 1 && strings.IndexFunc(label, notLetter) < 0 || strings.HasPrefix(label, "xn--")
}

// owner is the owner name of the record in its zone, where there are others for other addresses.
func (d dotless) owner(client netip.Addr) string {
	reverse := strings.TrimSuffix(reverseName(client), ".")
	if reverse == d.zone {
		return "@"
	}
	if owner, ok := strings.CutSuffix(reverse, "."+d.zone); ok {
		return owner
	}
	owner, _, _ := strings.Cut(reverse, ".") // in a zone of a part of the network
	return owner
}
