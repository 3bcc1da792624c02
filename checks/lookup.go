package checks

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Resolver asks the DNS: the part of *net.Resolver that is needed here, with its errors. Every method returns
// soon after its context ends. Values belong to the caller; those that come with an error are stale ones (RFC
// 8767).
type Resolver interface {
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

var _ Resolver = (*net.Resolver)(nil)

// Attempt is a Resolver that answers from a cache, and asks nobody. What is not there is a failed lookup. It
// is for one goroutine.
type Attempt interface {
	Resolver
	// Miss gives it up.
	Miss()
	// Keep reports whether all answers were there, and counts them. If not, nothing of the attempt counts.
	Keep() bool
}

// DNS says whom to ask and what. It must not be modified once in use.
type DNS struct {
	Resolver Resolver
	// ForClient, if not nil, returns the Resolver for questions that a client causes. It takes from the
	// budget what it has to ask the servers, and fails beyond. Without it there is no limit.
	ForClient func(client netip.Addr, b *Budget) Resolver
	// Attempt, if not nil, returns a Resolver that answers from a cache. A lookup whose answers are all there
	// takes no goroutine and no budget.
	Attempt func() Attempt
	Timeout time.Duration // for all questions about a client, and for all about a greeting
	Lists   []string      // block lists of domains: zones in canonical form
	Hosts   bool          // whether to ask for the MX and NS hosts of HELO names, for a deny list
	Allowed Names         // PTR names that matter more than others, if there are more than MaxPTR
	// Degraded reports whether most of the resolver's lookups fail; nil is never.
	Degraded func() bool
	// Trouble, if not nil, is called by several goroutines when a block list gives an answer that is not
	// about the name: RFC 5782 §2.1 and the lists' own codes.
	Trouble func(list, answer string)
	// Filtered, if not nil, is called by several goroutines when the resolver answers a question for the
	// addresses of a name with nothing but such as filters make up: see MadeUp. That is a failed lookup. The
	// name is text from the network.
	Filtered func(name, answer string)
	// Census, if not nil, is asked beside the DNS. Its answers are waited for as long as those of the DNS, and Patience
	// longer: what has not come then is unasked.
	Census   Census
	Patience time.Duration
}

// maxGreetings is how many different greetings of a session are kept and looked up; from then on the newest
// replaces the last that is no claim, so that a client cannot fill memory. That it changed its name is on
// record by then.
const maxGreetings = 20

// lookups gathers the facts of one session. The lookups of the client start at CONNECT and those of a
// greeting at HELO, and none is waited for before wait: the client's round trips hide the DNS's. The
// methods are for one goroutine.
type lookups struct {
	dns      *DNS
	ctx      context.Context
	client   netip.Addr
	site     Site
	purses   purses
	running  group // whose goroutines write what follows, each its own part
	named    *run  // what looks up the client, or nil
	ptrNames Answer[string]
	ptr      []Host // as many of them as are looked up
	greeted  []*greeting
	claimed  map[*brand]bool // the brands in whose domains it has greeted, and nil for ours

	asked <-chan SeenClient // of the census; nil: not, or not any more
	seen  *SeenClient
}

// greeting is one with its lookup, and the budgets of that: nil where there is none.
type greeting struct {
	known [1]Greeting
	claim bool // the first in a brand's domain or in ours: see claimQuestions
	run   *run
	parts *struct{ rest, spf Budget }
	asked <-chan SeenHelo // of the census; nil: not, or not any more
}

func (g *greeting) helo() *Helo { return &g.known[0].Helo }

// Lookup gathers the facts of a client that connected to a site and greeted with these names, in their order.
// It waits for the DNS, at most for DNS.Timeout, and panics with a *Panic when a lookup did.
func Lookup(ctx context.Context, dns *DNS, client netip.Addr, site Site, helos ...Helo) *Facts {
	l := newLookups(ctx, dns, client, site)
	defer l.close()
	for _, h := range helos {
		l.greet(h)
	}
	return l.wait()
}

// newLookups starts the lookup of a client's PTR names. Each lookup ends by itself after the timeout, or with
// the context. With a nil DNS nothing is looked up. close must be called.
func newLookups(ctx context.Context, dns *DNS, client netip.Addr, site Site) *lookups {
	l := &lookups{dns: dns, ctx: ctx, client: client.Unmap().WithZone(""), site: site}
	l.purses.fill()
	if dns != nil && dns.Census != nil && l.client.IsValid() {
		l.asked = dns.Census.Client(l.client)
	}
	if !l.attempt(l.lookUpClient) {
		l.named = l.start(l.lookUpClient)
	}
	return l
}

// lookUpClient looks up the PTR names, but for those of a client with very many.
func (l *lookups) lookUpClient(ctx context.Context, try Attempt) {
	l.ptrNames, l.ptr = l.dns.asker(l.client, &l.purses.client, try).ptrNames(ctx, l.client), nil
	if names := l.ptrNames.Values; 0 < len(names) && len(names) <= MaxPTR {
		l.ptr = l.ptrHosts(ctx, names, try)
	}
}

// ptrHosts looks up PTR names.
func (l *lookups) ptrHosts(ctx context.Context, names []string, try Attempt) []Host {
	ask := l.dns.asker(l.client, &l.purses.client, try)
	lists := ask
	if len(l.dns.Lists) > 0 {
		b := new(Budget)
		b.partOf(&l.purses.greetings, l.purses.half())
		lists = l.dns.asker(l.client, b, try)
	}
	return ask.ptrHosts(ctx, names, l.client, lists)
}

// greet notes a greeting and starts the lookup of its name. The same greeting again starts none, but is the
// last one now.
func (l *lookups) greet(h Helo) {
	if i := slices.IndexFunc(l.greeted, func(g *greeting) bool { return g.helo().Same(h) }); i >= 0 {
		again := l.greeted[i]
		l.greeted = append(slices.Delete(l.greeted, i, i+1), again)
		return
	}
	if len(l.greeted) == maxGreetings {
		last := maxGreetings - 1
		for i, g := range l.greeted {
			if !g.claim {
				last = i
			}
		}
		l.greeted[last].run.stop() // or a client that goes on greeting fills memory with lookups
		l.greeted = slices.Delete(l.greeted, last, last+1)
	}
	g := &greeting{known: [1]Greeting{{Helo: h}}}
	l.greeted = append(l.greeted, g)
	if h.Form&FormLookedUp == 0 {
		return
	}
	g.claim = l.claims(h)
	if l.dns != nil && l.dns.Census != nil {
		g.asked = l.dns.Census.Helo(l.client, h.Name)
	}
	lookup := func(ctx context.Context, try Attempt) { l.lookUp(ctx, g, try) }
	if l.attempt(lookup) {
		return
	}
	g.parts = new(struct{ rest, spf Budget })
	g.parts.rest.partOf(&l.purses.greetings, l.purses.half())
	g.parts.spf.partOf(&g.parts.rest, l.purses.half()-basics)
	g.run = l.start(lookup)
}

// claims reports whether a greeting is the first in a brand's domain, or in ours.
func (l *lookups) claims(h Helo) bool {
	of := brandOf(h.Name)
	if of == nil && !l.site.owns(h.Name) || l.claimed[of] {
		return false
	}
	if l.claimed == nil {
		l.claimed = map[*brand]bool{}
	}
	l.claimed[of] = true
	return true
}

// lookUp looks up the name of a greeting.
func (l *lookups) lookUp(ctx context.Context, g *greeting, try Attempt) {
	var ask askers
	switch {
	case try != nil:
		ask.rest = l.dns.asker(l.client, nil, try)
		ask.addrs, ask.spf = ask.rest, ask.rest
	case g.claim:
		ask.rest = l.dns.asker(l.client, &g.parts.rest, nil)
		ask.addrs = l.dns.asker(l.client, &l.purses.claims, nil)
		ask.spf = ask.addrs
	default:
		ask.rest = l.dns.asker(l.client, &g.parts.rest, nil)
		ask.addrs, ask.spf = ask.rest, l.dns.asker(l.client, &g.parts.spf, nil)
	}
	ask.greeting(ctx, &g.known[0], l.client)
}

// run is a lookup in a goroutine. It holds nothing more once that has ended: most sessions wait for their client
// then, and many at a time. A nil *run has ended.
type run struct {
	cancel atomic.Pointer[context.CancelFunc]
	ended  sync.WaitGroup
}

// end has the lookup end soon.
func (r *run) end() {
	if r == nil {
		return
	}
	if cancel := r.cancel.Load(); cancel != nil {
		(*cancel)()
	}
}

// stop ends the lookup, and waits for that.
func (r *run) stop() {
	if r != nil {
		r.end()
		r.ended.Wait()
	}
}

// start begins a lookup.
func (l *lookups) start(lookup func(context.Context, Attempt)) *run {
	r := new(run)
	ctx, cancel := context.WithCancel(l.ctx)
	r.cancel.Store(&cancel)
	r.ended.Add(1)
	l.running.Go(func() {
		defer r.ended.Done()
		defer cancel()
		defer r.cancel.Store(nil)
		// The timer is made here: made by the session's goroutine it would double the stack that that one
		// keeps while its connection is idle, to 8 KiB.
		ctx, cancel := context.WithTimeout(ctx, l.dns.Timeout)
		defer cancel()
		lookup(ctx, nil)
	})
	return r
}

// attempt does a lookup by what is in the cache, and reports whether that was enough, or there is no DNS to
// ask. If not, what it found is worth nothing: the lookup begins anew.
func (l *lookups) attempt(lookup func(context.Context, Attempt)) bool {
	switch {
	case l.dns == nil:
		return true
	case l.dns.Attempt == nil:
		return false
	}
	try := l.dns.Attempt()
	var caught *Panic
	ctx := l.ctx
	elsewhere(func() { caught = catch(func() { lookup(ctx, try) }) })
	if !try.Keep() {
		return false
	}
	if caught != nil {
		l.running.keep(caught)
	}
	return true
}

// wait waits for the lookups, at most until the last one's timeout, and returns what is known. It panics
// with a *Panic, each time, when a lookup did: what is known then is not enough to judge.
func (l *lookups) wait() *Facts {
	l.running.Wait()
	l.lookUpForemost()
	l.hear()
	f := &Facts{Client: l.client, Site: l.site, Seen: l.seen}
	f.PTR = Answer[Host]{Status: l.ptrNames.Status, Err: l.ptrNames.Err, Stale: l.ptrNames.Stale, Values: l.ptr}
	f.PTRCount = len(l.ptrNames.Values)
	if l.dns != nil {
		f.Degraded = l.dns.Degraded != nil && l.dns.Degraded()
		f.Lists = l.dns.Lists
	}
	if len(l.greeted) == 1 {
		f.Greetings = l.greeted[0].known[:] // which is written no more
		return f
	}
	f.Greetings = make([]Greeting, len(l.greeted))
	for i, g := range l.greeted {
		f.Greetings[i] = g.known[0]
	}
	return f
}

// lookUpForemost looks up the PTR names of a client with very many: not before it has greeted, and again if
// it has said another name since.
func (l *lookups) lookUpForemost() {
	if len(l.ptrNames.Values) <= MaxPTR {
		return
	}
	names := l.dns.foremost(l.ptrNames.Values, l.greeted)
	if slices.EqualFunc(l.ptr, names, func(h Host, name string) bool { return h.Name == name }) {
		return
	}
	if l.ptr != nil && !l.purses.again() {
		return // those that were looked up before have to do: others would fail, and that may help a liar
	}
	lookup := func(ctx context.Context, try Attempt) { l.ptr = l.ptrHosts(ctx, names, try) }
	if !l.attempt(lookup) {
		l.start(lookup)
	}
	l.running.Wait()
}

// withoutDNS returns what is known without the DNS, and waits for nothing.
func (l *lookups) withoutDNS() *Facts {
	f := &Facts{Client: l.client, Site: l.site, Greetings: make([]Greeting, len(l.greeted))}
	for i, g := range l.greeted {
		f.Greetings[i].Helo = *g.helo()
	}
	return f
}

// close ends the lookups that are still running. It panics as wait does, unless wait has.
func (l *lookups) close() {
	l.named.end()
	for _, g := range l.greeted {
		g.run.end()
	}
	l.running.close()
}
