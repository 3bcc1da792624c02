package dnscache

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
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

// failure is why there are no values. It never changes once it is in a reply.
type failure struct {
	kind   kind
	streak uint8 // how many failures of the same question came before it in a row
	text   string
	server string
}

// kind sorts failures by how telling they are, where several servers fail.
type kind uint8

const (
	canceled    kind = iota // the caller did not wait
	unreachable             // the server could not be talked to
	timeout
	unusable // an answer that settles nothing, or that we cannot bear
	refused  // an answer with an rcode such as SERVFAIL or REFUSED
	missing  // NXDOMAIN or NODATA: final, and no server's fault
)

func (a answer) failure() *failure {
	f, _ := a.result.(*failure)
	return f
}

// error is the reply's as the caller gets it, who asked for the name; nil for values.
func (r reply) error(name string) error {
	switch result := r.result.(type) {
	case *failure:
		return result.error(name)
	case *stale:
		return &net.DNSError{Err: "stale", Name: name, Server: r.server, IsTemporary: true}
	}
	return nil
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

// survive is for a goroutine of ours, where a panic would end the program: it makes a failure of it.
func (r *Resolver) survive(server string, find func() reply) (got reply) {
	defer func() {
		if p := recover(); p != nil {
			f := &failure{kind: unusable, text: "internal error", server: server}
			got = reply{answer: answer{result: f}, ttl: failureTTL, server: server}
			if r.onPanic != nil {
				r.onPanic(p, debug.Stack())
			}
		}
	}()
	return find()
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
