package dnscache

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

// Config says whom to ask and how much to remember. Its zero value is ready to use.
type Config struct {
	// Servers are the recursive servers as HOST:PORT, [IPv6%zone]:PORT included, or as
	// tls://HOST:PORT#NAME for DNS over TLS, in the order of preference. Empty means the nameservers
	// of ResolvConf.
	//
	// Over TLS (RFC 7858) a server must have a certificate for NAME, or for HOST where #NAME is left
	// out, and is never asked otherwise. A HOST that is a name is looked up as the system does it.
	Servers []string
	// ResolvConf is the resolv.conf(5) that names the servers where Servers is empty: all of them, and
	// again when the file changes, which is looked for at most once a second and only when there is
	// something to ask. Empty means /etc/resolv.conf.
	ResolvConf string
	// Entries bounds the number of cached answers, failures and stale ones included; 0 means 100000.
	// An answer counts once more for each 256 octets of its name and values, so that the cache takes
	// at most 512 octets times Entries, 51 MB by default, whatever people ask and publish. An answer
	// of one address takes less than 200.
	Entries int
	// Timeout bounds one question over all servers and tries; 0 means 5 s. A caller who wants to
	// wait less says so in its context.
	Timeout time.Duration
	// InFlight bounds the questions that are put to servers at the same time; 0 means 1000. Each may
	// have a few sockets open. At most 8 of them are about one organisational domain.
	InFlight int
	// OnDegraded, if not nil, is called with the new state whenever Degraded changes, once on each edge
	// and never by two goroutines at the same time. Lookups may wait for it.
	OnDegraded func(degraded bool)
	// OnPanic, if not nil, is told of each panic that has become the failure of a question, by several
	// goroutines at the same time.
	OnPanic func(value any, stack []byte)
	// CaseRandomization selects the servers that must repeat names in the random case in which they were
	// asked over UDP; "" means CaseAuto.
	CaseRandomization CaseRandomization
	// RootCAs are those who may sign the certificates of servers asked over TLS. Nil means whom the
	// system trusts.
	RootCAs *x509.CertPool
	// Exchange replaces the sockets, for tests. Nil means UDP, TCP and TLS.
	Exchange ExchangeFunc
}

// ExchangeFunc sends query to server, one of Config.Servers, over network ("udp" or "tcp", or "tls" to
// a server so written) and returns the reply to it. It returns when ctx ends, and only replies that
// belong to the query.
type ExchangeFunc func(ctx context.Context, network, server string, query *dns.Msg) (*dns.Msg, error)

// Resolver looks up names and remembers the answers. Its methods are safe for concurrent use.
//
// Their errors are always *net.DNSError. IsNotFound tells that there is nothing to be found (NXDOMAIN,
// NODATA, or a text that cannot be a DNS name). Everything else is IsTemporary: it says nothing
// about the name. Err is a word or two: "NXDOMAIN", "NODATA", "SERVFAIL", "timeout".
//
// One error comes with values: Err "stale", IsTemporary. The servers fail, and the values are those
// that they gave last, expired for a day at most (RFC 8767). A caller that needs the truth takes it for
// the failure it is; to a caller for whom good news of yesterday is good enough it brings them.
type Resolver struct {
	pool      *pool
	limits    *limits
	breaker   *breaker
	timeout   time.Duration
	exchange  ExchangeFunc
	onPanic   func(value any, stack []byte)
	start     time.Time // answers expire at a distance from it: 8 bytes, on the monotonic clock
	cache     *otter.Cache[question, *entry]
	negatives sync.Map // failure to *failure: one for all names that a server says are not there
	flights   singleflight.Group
}

// New returns a resolver. It fails when a server is none to CheckServer, when none is given and resolv.conf
// names none, when CaseRandomization is unknown, or when Entries or InFlight is negative.
func New(cfg Config) (*Resolver, error) {
	servers, err := newPool(cfg)
	if err != nil {
		return nil, err
	}
	cfg.CaseRandomization = cmp.Or(cfg.CaseRandomization, CaseAuto)
	if err := cfg.CaseRandomization.Check(); err != nil {
		return nil, fmt.Errorf("case randomization: %w", err)
	}
	if cfg.InFlight < 0 {
		return nil, fmt.Errorf("%d DNS questions in flight: the number is negative", cfg.InFlight)
	}
	r := &Resolver{
		pool:     servers,
		limits:   newLimits(cmp.Or(cfg.InFlight, 1000)),
		breaker:  newBreaker(cfg.OnDegraded),
		timeout:  cmp.Or(cfg.Timeout, 5*time.Second),
		exchange: cfg.Exchange,
		onPanic:  cfg.OnPanic,
		start:    time.Now(),
	}
	if r.exchange == nil {
		r.exchange = newWire(cfg).exchange
	}
	if r.cache, err = newCache(cmp.Or(cfg.Entries, 100_000)); err != nil {
		return nil, fmt.Errorf("DNS cache of %d entries: %w", cfg.Entries, err)
	}
	return r, nil
}

// LookupAddr returns all PTR names of an address, absolute and in presentation format, also those
// that are no valid host names. An IPv4-mapped address is looked up as the IPv4 address it carries,
// a zone is ignored.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, _ := netip.ParseAddr(addr) // what is no address has no reverse name, and "" is never asked
	name, _ := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	return lookup[string](ctx, r, question{name, dns.TypePTR}, addr)
}

// LookupNetIP returns the A records of host where network is "ip4", the AAAA records where it is
// "ip6". It knows no other network: one failure must not hide behind the other family's answer.
// An AAAA record with an IPv4-mapped address stays one.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var qtype uint16
	switch network {
	case "ip4":
		qtype = dns.TypeA
	case "ip6":
		qtype = dns.TypeAAAA
	default:
		return nil, &net.DNSError{Err: "unknown network " + network, Name: host}
	}
	return lookup[netip.Addr](ctx, r, question{host, qtype}, host)
}

// LookupMX returns the MX records of name, the most preferred first. The host of a null MX
// (RFC 7505) is ".".
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	found, err := lookup[net.MX](ctx, r, question{name, dns.TypeMX}, name)
	var records []*net.MX
	for _, mx := range found {
		records = append(records, &mx)
	}
	return records, err
}

// LookupNS returns the NS records of name in the order of the answer, their hosts absolute.
func (r *Resolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	hosts, err := lookup[string](ctx, r, question{name, dns.TypeNS}, name)
	var records []*net.NS
	for _, host := range hosts {
		records = append(records, &net.NS{Host: host})
	}
	return records, err
}

// LookupTXT returns a text for each TXT record of name: its character-strings joined without a
// separator (RFC 7208 §3.3), octet for octet as they are on the wire. All texts together are below
// 64 KiB, as the message is.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return lookup[string](ctx, r, question{name, dns.TypeTXT}, name)
}

// lookup returns the values of q, which belong to the caller, and calls the trace. An error carries
// the name as the caller asked for it.
func lookup[T any](ctx context.Context, r *Resolver, q question, asked string) ([]T, error) {
	trace := traceOf(ctx)
	var began time.Time
	if trace != nil {
		began = time.Now()
	}
	var found reply
	if name, ok := canonical(q.name); ok {
		q.name = name
		found = r.readThrough(ctx, q)
	} else {
		found.result = &failure{kind: missing, text: "not a DNS name"}
	}
	err := found.error(asked)
	if trace != nil {
		trace(found.trace(q, time.Since(began), found.expires-r.now(), err))
	}
	return list[T](found.result), err
}

func (r *Resolver) now() time.Duration {
	return time.Since(r.start)
}
