package dnscache

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/sync/semaphore"
)

const (
	// perDomain is how many questions about one organizational domain are in flight at a time, so that a
	// slow zone cannot hold all slots.
	perDomain = 8
	// waitersPerSlot bounds the questions that wait for a slot, for each slot that there is.
	waitersPerSlot = 10
)

// limit is failover within the limits, and records for the breaker whether it failed. A question that gets
// no slot in time fails with a TTL of 0: no server was asked, so the failure is neither kept nor recorded.
func (r *Resolver) limit(ctx context.Context, q question) reply {
	domain := orgDomain(q.name)
	if !r.limits.acquire(ctx, domain) {
		return reply{answer: answer{result: &failure{kind: unreachable, text: "too many questions"}}}
	}
	defer r.limits.release(domain)
	got := r.failover(ctx, q)
	f := got.failure()
	failed := f != nil && f.kind < filtered
	if f != nil && f.kind == filtered && r.onFilter != nil {
		r.onFilter(q.name, f.text)
	}
	if failed && r.pool.allDown() {
		domain = "" // no domain is to blame
	}
	r.breaker.record(r.now(), domain, failed)
	return got
}

// limits hands out slots, first come first served: one of the domain's own and then one of all, so that at
// most perDomain questions about a domain are in the way of the others.
type limits struct {
	slots *semaphore.Weighted
	most  int // questions that may have a slot or wait for one

	mu        sync.Mutex
	questions int
	domains   map[string]*domainSlots // with at least one question
}

type domainSlots struct {
	slots     *semaphore.Weighted
	questions int // that have a slot or wait for one
}

func newLimits(inFlight int) *limits {
	return &limits{
		slots:   semaphore.NewWeighted(int64(inFlight)),
		most:    (1 + waitersPerSlot) * inFlight,
		domains: map[string]*domainSlots{},
	}
}

// acquire waits for a slot for a question about domain, and reports whether it got one. It waits for half
// of the time that ctx leaves: the servers need the rest.
func (l *limits) acquire(ctx context.Context, domain string) bool {
	d := l.enter(domain)
	if d == nil {
		return false
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	if d.slots.Acquire(ctx, 1) == nil {
		if l.slots.Acquire(ctx, 1) == nil {
			return true
		}
		d.slots.Release(1)
	}
	l.leave(domain)
	return false
}

// release gives back what acquire got.
func (l *limits) release(domain string) {
	l.slots.Release(1)
	l.leave(domain).slots.Release(1)
}

// enter counts a question in. It returns nil if too many wait already.
func (l *limits) enter(domain string) *domainSlots {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.questions >= l.most {
		return nil
	}
	l.questions++
	d := l.domains[domain]
	if d == nil {
		d = &domainSlots{slots: semaphore.NewWeighted(perDomain)}
		l.domains[domain] = d
	}
	d.questions++
	return d
}

// leave counts a question out, and forgets the domain with its last one.
func (l *limits) leave(domain string) *domainSlots {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.questions--
	d := l.domains[domain]
	if d.questions--; d.questions == 0 {
		delete(l.domains, domain)
	}
	return d
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
