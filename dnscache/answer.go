package dnscache

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// How long we remember at most. An administrator who repaired his DNS should not have to wait much
// longer than that (RFC 2308 §5); a failure is kept just long enough that a broken domain is not
// asked anew for every connection (RFC 2308 §7, RFC 9520 §3.2).
const (
	maxTTL     = time.Hour
	maxNegTTL  = 30 * time.Minute
	failureTTL = 5 * time.Second
)

// maxLinks bounds a CNAME chain, and thereby ends a loop.
const maxLinks = 8

// answer is what a question came to. Its result is shared and never changes once it is cached.
type answer struct {
	result  any           // []string, []netip.Addr, []net.MX or *failure
	expires time.Duration // on the resolver's clock
}

// reply is an answer and how this caller came to it.
type reply struct {
	answer
	ttl       time.Duration // how long it may be kept; 0 for not at all
	server    string
	transport string // "udp", "tcp", "cache", or "" where nothing was asked
}

// failure is why there are no values.
type failure struct {
	kind   kind
	text   string
	server string
}

// kind sorts failures by how telling they are, where several servers fail.
type kind uint8

const (
	canceled    kind = iota // the caller did not wait
	unreachable             // the server could not be talked to
	timeout
	unusable // an answer that settles nothing
	refused  // an answer with an rcode such as SERVFAIL or REFUSED
	missing  // NXDOMAIN or NODATA: final, and no server's fault
)

func (a answer) failure() *failure {
	f, _ := a.result.(*failure)
	return f
}

// Sizes in octets: the room that one of Config.Entries gives to the values of an answer, and what a
// value takes besides its text, as a netip.Addr or a net.MX does.
const (
	unit     = 256
	overhead = 24
)

// weight is how many of Config.Entries an answer takes: one, and one more for each full unit of its
// values. The 64 KiB of a message are no bound that would do: they come to megabytes where each
// record repeats a long name in two octets (RFC 1035 §4.1.4).
func (a answer) weight() uint32 {
	octets := 0
	switch result := a.result.(type) {
	case []string:
		for _, text := range result {
			octets += overhead + len(text)
		}
	case []netip.Addr:
		octets = overhead * len(result)
	case []net.MX:
		for _, mx := range result {
			octets += overhead + len(mx.Host)
		}
	}
	return 1 + uint32(octets/unit)
}

func (f *failure) error(name string) *net.DNSError {
	e := &net.DNSError{
		Err:         f.text,
		Name:        name,
		Server:      f.server,
		IsTimeout:   f.kind == timeout,
		IsTemporary: f.kind != missing,
		IsNotFound:  f.kind == missing,
	}
	switch f.kind {
	case timeout:
		e.UnwrapErr = context.DeadlineExceeded
	case canceled:
		e.UnwrapErr = context.Canceled
	}
	return e
}

// left is the reply to a caller whose context ended. It is never cached.
func left(ctx context.Context) reply {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return reply{answer: answer{result: &failure{kind: timeout, text: "timeout"}}}
	}
	return reply{answer: answer{result: &failure{kind: canceled, text: "canceled"}}}
}

// read returns what m, a reply to q, comes to, and how long that may be kept.
func read(m *dns.Msg, q question) (result any, ttl time.Duration) {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return &failure{kind: refused, text: cmp.Or(dns.RcodeToString[m.Rcode], "unknown rcode")}, failureTTL
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
	case lame(m):
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

// values copies what the records say, in the form the cache keeps. It is nil where they say nothing:
// a record may come without data (RFC 2136 §2.4).
func values(records []dns.RR) any {
	var (
		addrs []netip.Addr
		texts []string
		mxs   []net.MX
	)
	for _, rr := range records {
		switch rr := rr.(type) {
		case *dns.A:
			if ip, ok := netip.AddrFromSlice(rr.A.To4()); ok {
				addrs = append(addrs, ip)
			}
		case *dns.AAAA:
			if ip, ok := netip.AddrFromSlice(rr.AAAA.To16()); ok {
				addrs = append(addrs, ip)
			}
		case *dns.PTR, *dns.NS, *dns.TXT:
			if text, ok := text(rr); ok {
				texts = append(texts, text)
			}
		case *dns.MX:
			if rr.Mx != "" {
				mxs = append(mxs, net.MX{Host: rr.Mx, Pref: rr.Preference})
			}
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs
	case len(texts) > 0:
		return texts
	case len(mxs) > 0:
		slices.SortStableFunc(mxs, func(a, b net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
		return mxs
	}
	return nil
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

// lame tells an empty answer that settles nothing: from a server that neither knows the zone nor
// recurses, a referral for instance (RFC 2308 §2.2).
func lame(m *dns.Msg) bool {
	return !m.Authoritative && !m.RecursionAvailable && len(m.Answer) == 0 && !slices.ContainsFunc(m.Ns, isSOA)
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
