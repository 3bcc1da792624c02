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
