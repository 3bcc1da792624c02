package dnscache

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The longest times that answers are kept. An administrator who has fixed a zone should not have to wait
// much longer (RFC 2308 §5). A failure is kept for failureTTL at first, so that a short outage is soon
// forgotten, and twice as long each time that it recurs (see entry.fail), so that a broken domain is not
// asked for every connection (RFC 2308 §7, RFC 9520 §3.2).
const (
	maxTTL        = time.Hour
	maxNegTTL     = 30 * time.Minute
	failureTTL    = time.Second
	maxFailureTTL = 5 * time.Minute
)

// maxLinks is the longest CNAME chain that is followed. It also ends a loop.
const maxLinks = 8

// answer is the result of a question: values or a failure. It must not be modified once it is in the cache.
type answer struct {
	result  any           // one string, netip.Addr or net.MX, a slice of several, *failure or *stale
	expires time.Duration // on the resolver's clock
}

// reply is an answer and where this caller got it from.
type reply struct {
	answer
	ttl       time.Duration // how long it may be kept; 0 is not at all
	server    string        // as in Config.Servers
	transport string        // "udp", "tcp", "tls", "cache", or "" if no server was asked

	misspelled bool // the server's answer over UDP had the name in another case
}

// read returns the values or the failure that m, a reply to q, means, and how long that may be kept.
func read(m *dns.Msg, q question) (result any, ttl time.Duration) {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return &failure{kind: badRcode, text: cmp.Or(dns.RcodeToString[m.Rcode], "unknown rcode")}, failureTTL
	}
	if why := filters(m); why != "" {
		return &failure{kind: filtered, text: "filtered: " + why}, failureTTL
	}
	if m.Truncated {
		return &failure{kind: unusable, text: "truncated over TCP"}, failureTTL
	}
	owner, records, ttl, ok := follow(m.Answer, q)
	switch {
	case !ok:
		return &failure{kind: unusable, text: "CNAME chain too long"}, failureTTL
	case m.Rcode == dns.RcodeNameError: // of the chain's end (RFC 6604 §3)
		return &failure{kind: missing, text: "NXDOMAIN"}, negativeTTL(m, owner, ttl)
	case len(records) > 0:
		if values := values(records); values != nil {
			return values, ttl
		}
		return &failure{kind: unusable, text: "malformed records"}, failureTTL
	case lame(m, !strings.EqualFold(owner, q.name)):
		return &failure{kind: unusable, text: "lame"}, failureTTL
	}
	return &failure{kind: missing, text: "NODATA"}, negativeTTL(m, owner, ttl)
}

// follow follows the CNAME chain from the name of q through the records of section, in any order. It returns
// the end of the chain, the records there that q asks for, and the least TTL of all records used (at most
// maxTTL). It reports false if the chain is longer than maxLinks.
func follow(section []dns.RR, q question) (owner string, records []dns.RR, ttl time.Duration, ok bool) {
	owner, ttl = q.name, maxTTL
	for range maxLinks + 1 {
		var alias *dns.CNAME
		for _, rr := range section {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, owner) {
				continue
			}
			if h.Rrtype == q.qtype {
				records = append(records, rr)
				ttl = min(ttl, seconds(h.Ttl))
			} else if cname, ok := rr.(*dns.CNAME); ok && cname.Target != "" {
				alias = cname
			}
		}
		if len(records) > 0 || alias == nil {
			return owner, records, ttl, true
		}
		owner, ttl = alias.Target, min(ttl, seconds(alias.Hdr.Ttl))
	}
	return owner, nil, 0, false
}

// negativeTTL returns how long a negative answer about owner may be kept: as long as its SOA record says,
// and without one not at all (RFC 2308 §5). ttl is the bound of the CNAME chain.
func negativeTTL(m *dns.Msg, owner string, ttl time.Duration) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, owner) {
			return min(ttl, maxNegTTL, seconds(soa.Hdr.Ttl), seconds(soa.Minttl))
		}
	}
	return 0
}

// lame reports whether m, which has no data, proves nothing: it is a referral (RFC 2308 §2.2) or otherwise
// from a server that neither has the zone nor recurses, or that has the alias but not its target.
func lame(m *dns.Msg, aliased bool) bool {
	empty := aliased || !m.Authoritative && len(m.Answer) == 0
	return empty && !m.RecursionAvailable && !slices.ContainsFunc(m.Ns, isSOA)
}

// filters returns how m, a NOERROR or NXDOMAIN, shows that the server blocks the name, in a word or two, or "".
// RFC 8914 §4 has codes for that, which Pi-hole, Cloudflare and others send; Quad9 has no RA and no SOA record
// in an NXDOMAIN of its own. What other filters answer looks as if the name's owner had said so.
func filters(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			ede, ok := option.(*dns.EDNS0_EDE)
			if ok && slices.Contains(filterCodes, ede.InfoCode) {
				return dns.ExtendedErrorCodeToString[ede.InfoCode]
			}
		}
	}
	genuine := m.RecursionAvailable || m.Authoritative || slices.ContainsFunc(m.Ns, isSOA)
	if m.Rcode == dns.RcodeNameError && !genuine {
		return "NXDOMAIN without recursion"
	}
	return ""
}

// filterCodes: a response policy zone may send any of them (BIND's option ede).
var filterCodes = []uint16{
	dns.ExtendedErrorCodeForgedAnswer, dns.ExtendedErrorCodeBlocked, dns.ExtendedErrorCodeCensored,
	dns.ExtendedErrorCodeFiltered, dns.ExtendedErrorCodeProhibited,
}

func isSOA(rr dns.RR) bool {
	return rr.Header().Rrtype == dns.TypeSOA
}

// seconds returns a TTL as a duration. A TTL with the top bit set is zero (RFC 2181 §8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
