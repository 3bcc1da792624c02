// Package dnscache is a caching stub resolver with the shape of *net.Resolver.
//
// It asks the configured recursive servers and nobody else: no hosts file, no search list, every
// name is absolute. Each question goes upstream once however many callers ask it at the same time,
// and its answer, good or bad, is kept for as long as the DNS allows.
package dnscache

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

// Config says whom to ask and how much to remember. Its zero value is ready to use.
type Config struct {
	// Servers are the recursive servers as HOST:PORT, [IPv6%zone]:PORT included, or as
	// tls://HOST:PORT#NAME for DNS over TLS, in the order of preference. Empty means the nameservers
	// of /etc/resolv.conf.
	//
	// Over TLS (RFC 7858) a server must have a certificate for NAME, or for HOST where #NAME is left
	// out, and is never asked otherwise. A HOST that is a name is looked up as the system does it.
	Servers []string
	// Entries bounds the number of cached answers; 0 means 100000. An answer counts once more for
	// each 256 octets of values, so that all values together take about 256 octets times Entries at
	// most, 26 MB by default, whatever people publish.
	Entries int
	// Timeout bounds one question over all servers and tries; 0 means 5 s. A caller who wants to
	// wait less says so in its context.
	Timeout time.Duration
	// CaseRandomization says which servers must repeat names in the case they were asked in, over
	// UDP; the zero value means all but those on loopback addresses.
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
type Resolver struct {
	servers  []string
	timeout  time.Duration
	exchange ExchangeFunc
	start    time.Time // answers expire at a distance from it: 8 bytes, on the monotonic clock
	cache    *otter.Cache[question, answer]
	flights  singleflight.Group
}

// New returns a resolver. It fails when a server is none to CheckServer, when none is given and resolv.conf
// names none, or when Entries is negative.
func New(cfg Config) (*Resolver, error) {
	servers := cfg.Servers
	if len(servers) == 0 {
		var err error
		if servers, err = systemServers("/etc/resolv.conf"); err != nil {
			return nil, err
		}
	}
	r := &Resolver{
		timeout:  cmp.Or(cfg.Timeout, 5*time.Second),
		exchange: cfg.Exchange,
		start:    time.Now(),
	}
	for _, server := range servers {
		if err := CheckServer(server); err != nil {
			return nil, err
		}
		if !slices.Contains(r.servers, server) {
			r.servers = append(r.servers, server)
		}
	}
	if r.exchange == nil {
		r.exchange = newWire(cfg).exchange
	}
	var err error
	if r.cache, err = newCache(cmp.Or(cfg.Entries, 100_000)); err != nil {
		return nil, fmt.Errorf("DNS cache of %d entries: %w", cfg.Entries, err)
	}
	return r, nil
}

// newCache makes room for so many entries of weight 1. Expiry is ours, not the cache's: the cache would
// keep a goroutine for it, and a later reader may still want an expired answer.
func newCache(entries int) (*otter.Cache[question, answer], error) {
	if entries < 0 {
		return nil, errors.New("the number is negative")
	}
	return otter.New(&otter.Options[question, answer]{
		MaximumWeight: uint64(entries),
		Weigher:       func(_ question, a answer) uint32 { return a.weight() },
	})
}

// LookupAddr returns all PTR names of an address, absolute and in presentation format, also those
// that are no valid host names. An IPv4-mapped address is looked up as the IPv4 address it carries,
// a zone is ignored.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, _ := netip.ParseAddr(addr) // what is no address has no reverse name, and "" is never asked
	name, _ := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	names, err := lookup[string](ctx, r, question{name, dns.TypePTR}, addr)
	return slices.Clone(names), err
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
	addrs, err := lookup[netip.Addr](ctx, r, question{host, qtype}, host)
	return slices.Clone(addrs), err
}

// LookupMX returns the MX records of name, the most preferred first. The host of a null MX
// (RFC 7505) is ".".
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	cached, err := lookup[net.MX](ctx, r, question{name, dns.TypeMX}, name)
	var records []*net.MX
	for _, mx := range cached {
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
	texts, err := lookup[string](ctx, r, question{name, dns.TypeTXT}, name)
	return slices.Clone(texts), err
}

// lookup returns the values of q, which belong to the cache, and calls the trace. An error carries
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
		found = r.find(ctx, q)
	} else {
		found.result = &failure{kind: missing, text: "not a DNS name"}
	}
	var err error // stays nil: a nil *net.DNSError in it would not be
	if f := found.failure(); f != nil {
		err = f.error(asked)
	}
	if trace != nil {
		trace(found.trace(q, time.Since(began), found.expires-r.now(), err))
	}
	values, _ := found.result.([]T)
	return values, err
}

// find returns the answer to q from the cache or else from the servers, together with everybody
// who asks the same now. When ctx ends the caller leaves, and the query goes on for the others.
func (r *Resolver) find(ctx context.Context, q question) reply {
	if a, ok := r.cached(q); ok {
		return reply{answer: a, transport: "cache"}
	}
	if ctx.Err() != nil {
		return left(ctx)
	}
	flight := r.flights.DoChan(q.String(), func() (any, error) { return r.fetch(q), nil })
	select {
	case result := <-flight:
		return result.Val.(reply)
	case <-ctx.Done():
		return left(ctx)
	}
}

// fetch asks the servers, on a deadline of its own, and remembers what they say.
func (r *Resolver) fetch(q question) reply {
	if a, ok := r.cached(q); ok { // by a flight that landed after this caller had looked
		return reply{answer: a, transport: "cache"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	got := r.ask(ctx, q)
	got.expires = r.now() + got.ttl
	if got.ttl > 0 {
		r.cache.Set(q, got.answer)
	}
	return got
}

func (r *Resolver) cached(q question) (answer, bool) {
	a, ok := r.cache.GetIfPresent(q)
	return a, ok && a.expires > r.now()
}

func (r *Resolver) now() time.Duration {
	return time.Since(r.start)
}
