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
)

const (
	// DefaultInFlight is the default of Config.InFlight.
	DefaultInFlight = 1000
	// SocketsPerServer is how many sockets a question has open with one server, at most: one for each time
	// that it is asked. A server that was down may get one more.
	SocketsPerServer = triesPerServer
)

// Config selects the servers and bounds what is kept and how much is asked. Its zero value is ready to use.
type Config struct {
	// Servers are the recursive servers as HOST:PORT, [IPv6%zone]:PORT included, or as
	// tls://HOST:PORT#NAME for DNS over TLS, in order of preference. Empty means the nameservers of
	// ResolvConf.
	//
	// Over TLS (RFC 7858) a server must have a certificate for NAME, or for HOST if #NAME is left out, and
	// is never asked in plain text. A HOST that is a name is resolved by the system.
	Servers []string
	// ResolvConf is the resolv.conf(5) file whose nameservers are used, all of them, if Servers is empty.
	// It is read again after it has changed, which is checked when a question goes to the servers, at most
	// once a second. Empty means /etc/resolv.conf.
	ResolvConf string
	// Entries bounds the number of cached answers, including failures and stale answers; 0 means 100000.
	// An answer counts once more for each full 256 octets of its name and values, so that the cache takes
	// at most 512 octets times Entries (51 MB by default) whatever is asked and published. An answer with
	// one address takes less than 200 octets.
	Entries int
	// Timeout bounds one question over all servers and retries; 0 means 5 s. A caller that wants to wait
	// less sets a deadline on its context.
	Timeout time.Duration
	// InFlight is how many places there are: the questions that are with the servers at the same time; 0
	// means DefaultInFlight. Each may have SocketsPerServer sockets open with each of the servers. The names
	// of one organizational domain have at most an eighth as many as are free, or 8, and get no further ones
	// while 8 of their questions have been out for 400 ms. The clients of a network, a /24 or a /48, have at
	// most a quarter as many as are free, or 8. Twice as many questions may wait for a place, at most half of
	// Timeout; the network with the fewest places comes first.
	InFlight int
	// OnDegraded, if not nil, is called with the new state whenever Degraded changes, once for each change
	// and never concurrently. Lookups may wait for it.
	OnDegraded func(degraded bool)
	// OnPlain, if not nil, is called when one of Servers is found not to cope with random case, and names are
	// sent to it in lower case for an hour from now. It may be called concurrently, and delays an answer.
	OnPlain func(server string)
	// OnPanic, if not nil, is called with the value and the stack of each panic that was turned into the
	// failure of a question. It may be called concurrently.
	OnPanic func(value any, stack []byte)
	// OnFiltered, if not nil, is called when no server answers a question but one says, by RFC 8914's codes
	// or as Quad9 does, that it blocks the name. That is a failure, with an Err such as "filtered: Blocked",
	// but none of the DNS: Degraded does not count it. It may be called concurrently.
	OnFiltered func(name, answer string)
	// OnRefused, if not nil, is called when a question is not asked, with the reason: "budget" (see For),
	// "room" (too many wait already) or "wait" (it has waited too long). It may be called concurrently.
	OnRefused func(reason string)
	// OnRequest, if not nil, is called for each lookup of a name that can be asked, when it has its result. It
	// may be called concurrently, and delays the lookup.
	OnRequest func(CacheResult)
	// OnAsked, if not nil, is called when a question that went to the servers has ended. It may be called
	// concurrently, and delays the answer.
	OnAsked func(Asked)
	// OnTried, if not nil, is called when a server has answered a question or not: once for each time that it was
	// asked, probes and the questions that find out whether Degraded is over included, but not where the answer of
	// another server came first, unless this one had 400 ms. It may be called concurrently, and delays the answer.
	OnTried func(server string, try Asked)
	// OnPassedOver, if not nil, is called for each message from a server that is not the reply to the query:
	// "id" if its ID is another one, "case" if its name is in another case, "content" if it is about another
	// question or malformed. Over UDP, messages from other addresses than the server's do not reach the program.
	// It may be called concurrently.
	OnPassedOver func(why string)
	// CaseRandomization selects the servers that must repeat names in the random case in which they were
	// asked over UDP; "" means CaseAuto.
	CaseRandomization CaseRandomization
	// RootCAs verify the certificates of servers that are asked over TLS. Nil means the system's roots.
	RootCAs *x509.CertPool
	// Exchange replaces the sockets, for tests. Nil means UDP, TCP and TLS. With it the zero value of
	// CaseRandomization is CaseOff.
	Exchange ExchangeFunc
}

// ExchangeFunc sends query to server, one of Config.Servers, over network ("udp" or "tcp", or "tls" if the
// server is written with tls://) and returns the reply. It must return when ctx ends, and return only
// replies that belong to the query.
type ExchangeFunc func(ctx context.Context, network, server string, query *dns.Msg) (*dns.Msg, error)

// Resolver looks up names and caches the answers. Its methods are safe for concurrent use. It needs no
// Close: its goroutines end with the questions that they ask.
//
// The errors of lookups are always *net.DNSError. IsNotFound means that there is nothing to find: NXDOMAIN,
// NODATA, or a text that cannot be a DNS name. Every other failure is IsTemporary: it says nothing about
// the name. Err is a word or two, such as "NXDOMAIN", "NODATA", "SERVFAIL" or "timeout".
//
// One error comes with values: Err "stale", IsTemporary. The servers fail, and the values are those that
// they gave last, expired for at most a day (RFC 8767). A caller that needs a current answer treats it as
// the failure that it is; a caller that can do with yesterday's answer uses the values.
type Resolver struct {
	*resolver
	client  netip.Addr // for whom it asks, or the zero Addr
	budget  Budget     // or nil
	attempt *Attempt   // whose Resolver this is, or nil
	anew    bool       // past the cache, see Anew
}

// resolver is what all that For returns share.
type resolver struct {
	pool      *pool
	spelling  CaseRandomization
	breaker   *breaker
	timeout   time.Duration
	exchange  ExchangeFunc
	onPlain   func(server string)
	onPanic   func(value any, stack []byte)
	onFilter  func(name, answer string)
	onRefused func(reason string)
	onRequest func(CacheResult)
	onAsked   func(Asked)
	onTried   func(string, Asked)
	start     time.Time // of the resolver's clock: an expiry takes 8 bytes, and is monotonic
	cache     *otter.Cache[question, *entry]
	negatives sync.Map // failure to *failure: one is shared by all names that a server says are missing
	flights   flights
}

// New returns a resolver. It returns an error if CheckServer does for one of cfg.Servers, if they are empty
// and resolv.conf names none, if CaseRandomization is unknown, or if Entries or InFlight is negative. It
// sends no query.
func New(cfg Config) (*Resolver, error) {
	servers, err := newPool(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Exchange == nil {
		cfg.CaseRandomization = cmp.Or(cfg.CaseRandomization, CaseAuto)
	}
	cfg.CaseRandomization = cmp.Or(cfg.CaseRandomization, CaseOff)
	if err := cfg.CaseRandomization.Check(); err != nil {
		return nil, fmt.Errorf("case randomization: %w", err)
	}
	if cfg.InFlight < 0 {
		return nil, fmt.Errorf("%d DNS questions in flight: negative", cfg.InFlight)
	}
	r := &resolver{
		pool:      servers,
		spelling:  cfg.CaseRandomization,
		timeout:   cmp.Or(cfg.Timeout, 5*time.Second),
		exchange:  cfg.Exchange,
		onPlain:   cfg.OnPlain,
		onPanic:   cfg.OnPanic,
		onFilter:  cfg.OnFiltered,
		onRefused: cfg.OnRefused,
		onRequest: cfg.OnRequest,
		onAsked:   cfg.OnAsked,
		onTried:   cfg.OnTried,
		start:     time.Now(),
	}
	r.flights.open, r.flights.limits = map[question]*flight{}, newLimits(cmp.Or(cfg.InFlight, DefaultInFlight))
	r.breaker = newBreaker(cfg.OnDegraded, r.sendCanary)
	if r.exchange == nil {
		r.exchange = newWire(cfg).exchange
	}
	if r.cache, err = newCache(cmp.Or(cfg.Entries, 100_000)); err != nil {
		return nil, fmt.Errorf("DNS cache of %d entries: %w", cfg.Entries, err)
	}
	return &Resolver{resolver: r}, nil
}

// Budget says how many questions a session may still put to the servers. Take reports whether there is one
// more, and takes it. It is called by several goroutines, with a lock held: it must not wait.
type Budget interface{ Take() bool }

// For returns r as it answers one SMTP client, from the same cache. A question that has to go to the servers
// costs one of the budget, of which nil is without end, also to refresh an answer before it expires; what is
// cached or asked by somebody else already costs nothing. Beyond it questions fail, with Err "budget of this
// session is used up", or are answered stale. The client shares the places with the servers with all other
// clients: see Config.InFlight.
func (r *Resolver) For(client netip.Addr, budget Budget) *Resolver {
	return &Resolver{resolver: r.resolver, client: client.Unmap().WithZone(""), budget: budget}
}

// Load returns how many questions are with the servers, and how many wait for a place.
func (r *Resolver) Load() (inFlight, waiting int) { return r.load() }

func (r *resolver) load() (inFlight, waiting int) {
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	return r.flights.limits.held, len(r.flights.limits.waiting)
}

// LookupAddr returns all PTR names of addr, absolute and in presentation format, including those that are
// not valid host names. An IPv4-mapped address is looked up as the IPv4 address that it carries, and an
// IPv6 zone is ignored.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, _ := netip.ParseAddr(addr) // the reverse name of anything else is "", which is never asked
	return lookup[string](ctx, r, question{reverseName(ip.Unmap()), dns.TypePTR}, addr)
}

// LookupNetIP returns the addresses of host: its A records if network is "ip4", its AAAA records if it is
// "ip6". Any other network is an error, which is neither IsNotFound nor IsTemporary: "ip" would hide the
// failure of one family behind the answer of the other. The IPv4-mapped address of an AAAA record is
// returned as it is.
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

// LookupMX returns the MX records of name, the most preferred first. The host of a null MX (RFC 7505) is
// ".".
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

// LookupTXT returns one text for each TXT record of name: its character-strings joined without a separator
// (RFC 7208 §3.3), octet for octet as on the wire. All texts together are smaller than 64 KiB, the maximum
// of a DNS message.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return lookup[string](ctx, r, question{name, dns.TypeTXT}, name)
}

// lookup returns the values of q, which belong to the caller, and calls the trace of ctx. An error has the
// name as the caller wrote it.
func lookup[T any](ctx context.Context, r *Resolver, q question, asked string) ([]T, error) {
	trace := traceOf(ctx)
	if r.attempt != nil && trace != nil {
		r.attempt.Miss() // a trace shows the lookup that counts
		trace = nil
	}
	var began time.Time
	if trace != nil {
		began = time.Now()
	}
	var found reply
	name, ok := r.attempt.spell(q.name)
	switch {
	case !ok:
		found.result = &failure{kind: missing, text: "not a DNS name"}
	case r.attempt != nil:
		q.name = name
		found = r.attempt.recall(q)
	case r.anew:
		q.name = name
		found = r.askAnew(ctx, q)
	default:
		q.name = name
		found = r.readThrough(ctx, q)
		r.requested(found)
	}
	err := found.error(asked)
	if trace != nil {
		trace(found.trace(q, time.Since(began), found.expires-r.now(), err))
	}
	return list[T](found.result), err
}

// now is the time on the resolver's clock, which starts with the resolver and never jumps: time.Since is
// monotonic.
func (r *resolver) now() time.Duration {
	return time.Since(r.start)
}
