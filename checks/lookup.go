package checks

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Resolver asks the DNS: the part of *net.Resolver that is needed here, with its errors. Every method
// returns soon after its context ends.
type Resolver interface {
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

var _ Resolver = (*net.Resolver)(nil)

// maxGreetings is how many different greetings of a session are kept and looked up; from then on the
// newest replaces the last, so that a client cannot fill memory. That it changed its name is on record
// by then.
const maxGreetings = 20

// Lookups gathers the facts of one session. The lookups of the client start at CONNECT and those of a
// greeting at HELO, and none is waited for before Facts: the client's round trips hide the DNS's. The
// methods are for one goroutine.
type Lookups struct {
	resolver Resolver
	timeout  time.Duration
	ctx      context.Context
	cancel   context.CancelFunc
	client   netip.Addr
	site     Site
	running  sync.WaitGroup // whose goroutines write what follows, each its own part
	ptr      Answer[Host]
	ptrCount int
	greeted  []*Greeting
}

// NewLookups starts a session of a client and the lookup of its PTR names. Each lookup ends by itself
// after timeout, or with the context. A nil resolver looks nothing up. Close must be called.
func NewLookups(
	ctx context.Context, r Resolver, timeout time.Duration, client netip.Addr, site Site,
) *Lookups {
	ctx, cancel := context.WithCancel(ctx)
	client = client.Unmap().WithZone("")
	l := &Lookups{resolver: r, timeout: timeout, ctx: ctx, cancel: cancel, client: client, site: site}
	l.start(func(ctx context.Context) { l.ptr, l.ptrCount = lookupPTR(ctx, r, client) })
	return l
}

// Greet notes a greeting and starts the lookup of its name. The same greeting again is no news.
func (l *Lookups) Greet(h Helo) {
	if slices.ContainsFunc(l.greeted, func(g *Greeting) bool { return g.Helo.Same(h) }) {
		return
	}
	if len(l.greeted) == maxGreetings {
		l.greeted = l.greeted[:maxGreetings-1]
	}
	g := &Greeting{Helo: h}
	l.greeted = append(l.greeted, g)
	if h.Form&(FormPublic|FormUnknownTLD) != 0 {
		l.start(func(ctx context.Context) { lookupHelo(ctx, l.resolver, g) })
	}
}

func (l *Lookups) start(lookup func(context.Context)) {
	if l.resolver == nil {
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.timeout)
	l.running.Go(func() {
		defer cancel()
		lookup(ctx)
	})
}

// Facts waits for the lookups, at most until the last one's timeout, and returns what is known.
func (l *Lookups) Facts() *Facts {
	l.running.Wait()
	f := l.Unasked()
	f.PTR, f.PTRCount = l.ptr, l.ptrCount
	for i, g := range l.greeted {
		f.Greetings[i] = *g
	}
	return f
}

// Unasked returns what is known without the DNS, and waits for nothing.
func (l *Lookups) Unasked() *Facts {
	f := &Facts{Client: l.client, Site: l.site, Greetings: make([]Greeting, len(l.greeted))}
	for i, g := range l.greeted {
		f.Greetings[i].Helo = g.Helo
	}
	return f
}

// Close ends the lookups that are still running.
func (l *Lookups) Close() {
	l.cancel()
	l.running.Wait()
}

// lookupPTR asks for the PTR names of a client and, for the first MaxPTR of them, for the addresses of
// the client's family: RFC 8601 §2.7.3. It also returns how many names there are.
func lookupPTR(ctx context.Context, r Resolver, client netip.Addr) (Answer[Host], int) {
	names, err := r.LookupAddr(ctx, client.String())
	found := answer(names, err, Canonical)
	slices.Sort(found.Values)
	found.Values = slices.Compact(found.Values)
	ptr := Answer[Host]{Status: found.Status, Err: found.Err}
	for _, name := range found.Values[:min(len(found.Values), MaxPTR)] {
		ptr.Values = append(ptr.Values, Host{Name: name})
	}
	var lookups sync.WaitGroup
	for i := range ptr.Values {
		lookups.Go(func() { ptr.Values[i].Addrs = lookupAddrs(ctx, r, network(client), ptr.Values[i].Name) })
	}
	lookups.Wait()
	return ptr, len(found.Values)
}

// lookupHelo asks for the addresses of both families at once, and for the MX when there are none.
func lookupHelo(ctx context.Context, r Resolver, g *Greeting) {
	var lookup sync.WaitGroup
	lookup.Go(func() { g.A = lookupAddrs(ctx, r, "ip4", g.Helo.Name) })
	g.AAAA = lookupAddrs(ctx, r, "ip6", g.Helo.Name)
	lookup.Wait()
	if g.A.Status == Found || g.AAAA.Status == Found {
		return
	}
	mx, err := r.LookupMX(ctx, g.Helo.Name)
	// RFC 7505: the null MX says that there is none.
	mx = slices.DeleteFunc(slices.Clone(mx), func(x *net.MX) bool { return x.Host == "." })
	g.MX = answer(mx, err, func(x *net.MX) string { return Canonical(x.Host) })
}

func lookupAddrs(ctx context.Context, r Resolver, network, name string) Answer[netip.Addr] {
	addrs, err := r.LookupNetIP(ctx, network, name)
	return answer(addrs, err, netip.Addr.Unmap)
}

func network(client netip.Addr) string {
	if client.Is4() {
		return "ip4"
	}
	return "ip6"
}

// answer classifies what the resolver returned, each value in its canonical form. It is the only place
// that knows of DNS errors.
func answer[R, T any](values []R, err error, form func(R) T) Answer[T] {
	var dnsErr *net.DNSError
	switch {
	case len(values) > 0:
		a := Answer[T]{Status: Found, Values: make([]T, len(values))}
		for i, v := range values {
			a.Values[i] = form(v)
		}
		return a
	case err == nil || errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		return Answer[T]{Status: Missing}
	case dnsErr != nil:
		return Answer[T]{Status: Failed, Err: dnsErr.Err}
	default:
		return Answer[T]{Status: Failed, Err: err.Error()}
	}
}
