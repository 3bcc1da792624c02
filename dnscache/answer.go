package dnscache

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// How long we remember at most. An administrator who repaired his DNS should not have to wait much
// longer than that (RFC 2308 §5). A failure is kept for failureTTL at first, so that what came of a
// lost second is soon forgotten, and for longer and longer while it goes on (see entry.fail), so that a
// broken domain is not asked anew for every connection (RFC 2308 §7, RFC 9520 §3.2).
const (
	maxTTL        = time.Hour
	maxNegTTL     = 30 * time.Minute
	failureTTL    = time.Second
	maxFailureTTL = 5 * time.Minute
)

// maxLinks bounds a CNAME chain, and thereby ends a loop.
const maxLinks = 8

// answer is what a question came to. Its result is shared and never changes once it is cached.
type answer struct {
	result  any           // string, netip.Addr or net.MX, a slice of several, *failure or *stale
	expires time.Duration // on the resolver's clock
}

// reply is an answer and how this caller came to it.
type reply struct {
	answer
	ttl       time.Duration // how long it may be kept; 0 for not at all
	server    string
	transport string // "udp", "tcp", "cache", or "" where nothing was asked
}

// read returns what m, a reply to q, comes to, and how long that may be kept.
func read(m *dns.Msg, q question) (result any, ttl time.Duration) {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return &failure{kind: badRcode, text: cmp.Or(dns.RcodeToString[m.Rcode], "unknown rcode")}, failureTTL
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

// follow walks the CNAME chain from the name of q through records in any order. It returns the
// chain's end, the records there that q asks for, and the least TTL of all that was used (at most
// maxTTL). It reports false for a chain of more than maxLinks.
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

// negativeTTL is how long the absence of owner may be kept: the SOA record says so, and without
// one not at all (RFC 2308 §5).
func negativeTTL(m *dns.Msg, owner string, ttl time.Duration) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, owner) {
			return min(ttl, maxNegTTL, seconds(soa.Hdr.Ttl), seconds(soa.Minttl))
		}
	}
	return 0
}

// lame tells an answer without data that settles nothing: from a server that neither knows the zone nor
// recurses, a referral for instance (RFC 2308 §2.2), or that knows the alias and not whom it stands for.
func lame(m *dns.Msg, aliased bool) bool {
	empty := aliased || !m.Authoritative && len(m.Answer) == 0
	return empty && !m.RecursionAvailable && !slices.ContainsFunc(m.Ns, isSOA)
}

func isSOA(rr dns.RR) bool {
	return rr.Header().Rrtype == dns.TypeSOA
}

// seconds reads a TTL. The top bit set means zero (RFC 2181 §8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
