package dnscache

import (
	"net"
	"net/netip"
)

// Sizes in octets.
const (
	unit        = 256 // of name and values, for which an answer counts as one more of Config.Entries
	overhead    = 24  // of a value besides its text: a string header, a netip.Addr or a net.MX
	failureSize = 48  // of a failure besides its text
)

// weight returns how many of Config.Entries an entry takes: one, and one more for each full unit of its name
// and values. The 64 KiB of a message are too weak a bound: they become megabytes if each record repeats a
// long name in two octets (RFC 1035 §4.1.4).
func weight(q question, e *entry) uint32 {
	return 1 + uint32((len(q.name)+octets(e.result))/unit)
}

// octets returns about how much memory the result of an answer takes.
func octets(result any) int {
	sum := 0
	switch result := result.(type) {
	case string:
		return overhead + len(result)
	case netip.Addr:
		return overhead
	case net.MX:
		return overhead + len(result.Host)
	case []string:
		for _, text := range result {
			sum += overhead + len(text)
		}
	case []netip.Addr:
		return overhead * len(result)
	case []net.MX:
		for _, mx := range result {
			sum += overhead + len(mx.Host)
		}
	case *failure:
		return failureSize + len(result.text)
	case *stale:
		return failureSize + octets(result.values) + octets(result.failure)
	}
	return sum
}
