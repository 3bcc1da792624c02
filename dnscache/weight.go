package dnscache

import (
	"net"
	"net/netip"
)

// Sizes in octets: the room that one of Config.Entries gives to the name and the values of an answer,
// and what a value takes besides its text, as a netip.Addr or a net.MX does, or a failure.
const (
	unit        = 256
	overhead    = 24
	failureSize = 48
)

// weight is how many of Config.Entries an entry takes: one, and one more for each full unit of its name
// and values. The 64 KiB of a message are no bound that would do: they come to megabytes where each
// record repeats a long name in two octets (RFC 1035 §4.1.4).
func weight(q question, e *entry) uint32 {
	return 1 + uint32((len(q.name)+octets(e.result))/unit)
}

// octets is about what a result takes in memory.
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
