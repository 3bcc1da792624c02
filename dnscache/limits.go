package dnscache

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
)

const (
	// slowPerDomain is how many questions about one organizational domain may have been in flight for
	// hedgeDelay or longer: while there are as many, no other one gets a place, so that a slow zone cannot
	// hold all of them. A zone that answers sooner is bounded by domainPart alone, so that the hosts of a big
	// sender do not queue.
	slowPerDomain = 8
	// domainPart is what a zone can take by surprise, before it shows that it is slow: a domain may have an
	// eighth as many places as are free, but always leastShare. What it has answered earns it nothing.
	domainPart = 8
	// waitersPerPlace bounds the questions that wait, for each place that there is.
	waitersPerPlace = 2
	// networkPart and hostPart: a network may have a quarter as many places as are free, and one client in it
	// an eighth, but always leastShare. So it takes about 20 networks to fill 1000 places, whatever each of
	// them does, and a network alone gets 200. The room to wait is shared in the same way.
	networkPart = 4
	hostPart    = 8
	leastShare  = 8
)

// limits hands out places with the servers, and room to wait for one. It is no more than its counters:
// flights guards it.
type limits struct {
	places  int // that there are
	held    int
	waiting []*flight // in the order in which they came
	domains map[string]*account
	clients map[netip.Prefix]*account // hosts and networks, which are never of the same length
}

// account counts the questions of a domain, a host or a network. It is forgotten when there are none.
type account struct {
	held, waiting int
	since         []time.Duration // of a domain: when those that it holds got their places, the first one first
}

// place is what a question has: a place with the servers, or one among those that wait.
type place struct {
	domain        string       // organizational
	host, network netip.Prefix // of the client; zero if it shares with nobody
	waits         bool
	since         time.Duration // when it got its place, on the resolver's clock
	// The accounts while it is open: it has a place, or waits, or is about to.
	ofDomain, ofHost, ofNetwork *account
}

// placeFor returns the place of a question about a canonical name, which a client causes, or for the zero
// Addr nobody.
func placeFor(name string, client netip.Addr) place {
	return place{domain: orgDomain(name), host: hostOf(client), network: networkOf(client)}
}

func newLimits(places int) *limits {
	return &limits{places: places, domains: map[string]*account{}, clients: map[netip.Prefix]*account{}}
}

// admits reports whether there is a place for p, which is open. No flight that waits could have it: see next.
// With time alone, and no place given back, there never comes to be one.
func (l *limits) admits(p *place, now time.Duration) bool {
	free := l.places - l.held
	return free > 0 && p.ofDomain.held < share(free, domainPart) && !p.ofDomain.slow(now) &&
		(p.ofHost == nil || p.ofHost.held < share(free, hostPart)) &&
		(p.ofNetwork == nil || p.ofNetwork.held < share(free, networkPart))
}

// hasRoom reports whether p, which is open, may wait.
func (l *limits) hasRoom(p *place) bool {
	free := waitersPerPlace*l.places - len(l.waiting)
	return free > 0 && (p.ofHost == nil || p.ofHost.waiting < share(free, hostPart)) &&
		(p.ofNetwork == nil || p.ofNetwork.waiting < share(free, networkPart))
}

func share(free, part int) int { return max(leastShare, free/part) }

// slow reports whether a domain has as many slow questions as it may.
func (a *account) slow(now time.Duration) bool {
	return len(a.since) >= slowPerDomain && now-a.since[slowPerDomain-1] >= hedgeDelay
}

// take gives p, which is open, a place. The time never goes back from one call to the next.
func (l *limits) take(p *place, now time.Duration) {
	l.count(p, 1, 0)
	p.since = now
	p.ofDomain.since = append(p.ofDomain.since, now)
}

// release gives back what take got.
func (l *limits) release(p *place) {
	l.count(p, -1, 0)
	i, _ := slices.BinarySearch(p.ofDomain.since, p.since)
	p.ofDomain.since = slices.Delete(p.ofDomain.since, i, i+1)
	l.close(p)
}

// wait puts a flight, whose place is open, last in line.
func (l *limits) wait(f *flight) {
	l.count(&f.place, 0, 1)
	f.place.waits = true
	l.waiting = append(l.waiting, f)
}

// unwait takes a flight out of the line. Its place stays open.
func (l *limits) unwait(f *flight) {
	i := slices.Index(l.waiting, f)
	l.waiting = slices.Delete(l.waiting, i, i+1)
	f.place.waits = false
	l.count(&f.place, 0, -1)
}

// next gives a place to the flight in line whose network has the fewest, then to that whose host has, then to
// the first one, and returns it; nil if there is no place for any. It is called until then whenever a place
// is given back.
func (l *limits) next(now time.Duration) *flight {
	if l.held == l.places { // as is usual for the second call, if many wait
		return nil
	}
	var best *flight
	for _, f := range l.waiting {
		p := &f.place
		if l.admits(p, now) && (best == nil || p.before(&best.place)) {
			best = f
		}
	}
	if best != nil {
		l.unwait(best)
		l.take(&best.place, now)
	}
	return best
}

// before reports whether p is to be served before other, which came earlier.
func (p *place) before(other *place) bool {
	if mine, theirs := p.ofNetwork.holds(), other.ofNetwork.holds(); mine != theirs {
		return mine < theirs
	}
	return p.ofHost.holds() < other.ofHost.holds()
}

func (a *account) holds() int {
	if a == nil {
		return 0
	}
	return a.held
}

func (a *account) empty() bool { return a.held == 0 && a.waiting == 0 }

// open finds the accounts of p, or makes them.
func (l *limits) open(p *place) {
	p.ofDomain = accountOf(l.domains, p.domain)
	if p.host.IsValid() {
		p.ofHost = accountOf(l.clients, p.host)
		p.ofNetwork = accountOf(l.clients, p.network)
	}
}

func accountOf[K comparable](all map[K]*account, key K) *account {
	a := all[key]
	if a == nil {
		a = new(account)
		all[key] = a
	}
	return a
}

// close forgets those accounts of p that count nothing any more.
func (l *limits) close(p *place) {
	if p.ofDomain.empty() {
		delete(l.domains, p.domain)
	}
	if p.ofHost != nil && p.ofHost.empty() {
		delete(l.clients, p.host)
	}
	if p.ofNetwork != nil && p.ofNetwork.empty() {
		delete(l.clients, p.network)
	}
	p.ofDomain, p.ofHost, p.ofNetwork = nil, nil, nil
}

func (l *limits) count(p *place, held, waiting int) {
	l.held += held
	for _, a := range []*account{p.ofDomain, p.ofHost, p.ofNetwork} {
		if a != nil {
			a.held += held
			a.waiting += waiting
		}
	}
}

// orgDomain returns the organizational domain of a canonical name (RFC 7489 §3.2): its public suffix and one
// label more, or, of the reverse name of an address, the part for the /24 or the /48. Names above that are
// returned as they are.
func orgDomain(name string) string {
	labels := 0
	switch {
	case dns.IsSubDomain("in-addr.arpa.", name):
		labels = 2 + 24/8
	case dns.IsSubDomain("ip6.arpa.", name):
		labels = 2 + 48/4
	}
	if labels > 0 {
		at, _ := dns.PrevLabel(name, labels)
		return name[at:]
	}
	if org, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimSuffix(name, ".")); err == nil {
		return org + "."
	}
	return name
}
