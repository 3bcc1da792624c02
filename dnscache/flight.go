package dnscache

import (
	"context"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// flights are the questions under way: one flight for each, for all callers that ask it. The mutex guards the
// limits, and of each flight all but what says otherwise.
type flights struct {
	mu     sync.Mutex
	open   map[question]*flight
	limits *limits
}

// flight is one question under way. While it waits for a place it is no goroutine, only this value and a
// timer.
type flight struct {
	q       question      // immutable
	began   time.Duration // on the resolver's clock
	callers int
	place   place
	expiry  *time.Timer   // ends the wait for a place
	landed  chan struct{} // closed once reply is there
	reply   reply         // for everybody, once landed is closed
}

// Why a question was not asked: the reasons that Config.OnRefused is called with, and the text of the error.
const (
	overBudget = "budget" // of the session
	noRoom     = "room"   // too many wait already
	tooLong    = "wait"   // no place became free in time
)

// join returns the flight of q, for one caller more, who must leave it or wait for its end. A flight that is
// under way costs the client nothing. A new one costs one of its budget and takes a place, or waits for one.
// A prefetch is not worth a wait, nor a word: join returns nil if there is no place or no budget for it.
func (r *Resolver) join(q question, prefetch bool) *flight {
	q.name = strings.Clone(q.name) // it may be a substring of a large text of the caller's
	own := &flight{q: q, callers: 1, place: placeFor(q.name, r.client), landed: make(chan struct{})}
	f, starts, why := r.board(own, prefetch)
	switch {
	case starts:
		go r.fly(f)
	case why != "" && !prefetch:
		return own.land(r.refused(q, why))
	}
	return f
}

// board is join with a new flight. It returns the flight that there was already, or the new one, and then
// whether that starts now. For a refusal it returns why and no flight. It holds the mutex no longer than need
// be: what can be made before or after it, is.
func (r *Resolver) board(own *flight, prefetch bool) (f *flight, starts bool, why string) {
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	l, q, p := r.flights.limits, own.q, &own.place
	if f := r.flights.open[q]; f != nil {
		f.callers++
		r.adopt(f, *p)
		return f, false, ""
	}
	now := r.now()
	if kept := r.peek(q); !prefetch && kept.fresh(now) { // another flight has landed since the caller looked
		return own.land(kept.reply(now)), false, ""
	}
	l.open(p)
	admitted := l.admits(p, now)
	switch {
	case !admitted && (prefetch || !l.hasRoom(p)):
		why = noRoom
	case r.budget != nil && !r.budget.Take():
		why = overBudget
	}
	if why != "" {
		l.close(p)
		return nil, false, why
	}
	r.flights.open[q], own.began = own, now
	if admitted {
		l.take(p, now)
		return own, true, ""
	}
	l.wait(own)
	own.expiry = time.AfterFunc(r.timeout/2, func() { r.expire(own) }) // the servers need the rest
	return own, false, ""
}

// land ends a flight, and returns it.
func (f *flight) land(got reply) *flight {
	f.reply = got
	close(f.landed)
	return f
}

// adopt lets a flight that waits for a place wait as that of the caller p if this one's network has fewer and
// may have one more wait: nobody is served later because somebody who floods us asked first. The caller holds
// mu.
func (r *resolver) adopt(f *flight, p place) {
	if !f.place.waits {
		return
	}
	l := r.flights.limits
	l.open(&p)
	if !l.hasRoom(&p) || p.ofNetwork.holds() >= f.place.ofNetwork.holds() {
		l.close(&p)
		return
	}
	l.unwait(f)
	l.close(&f.place)
	f.place, f.began = p, r.now()
	l.wait(f)
	f.expiry.Reset(r.timeout / 2)
	r.dispatch()
}

// leave is called by a caller who waits no longer. A flight that nobody waits for gives up its wait for a
// place; with the servers it goes on, for the cache.
func (r *resolver) leave(f *flight) {
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	if f.callers--; f.callers == 0 && f.place.waits {
		f.expiry.Stop()
		r.flights.drop(f)
	}
}

// drop forgets a flight that waits. The caller holds mu.
func (a *flights) drop(f *flight) {
	a.limits.unwait(f)
	a.limits.close(&f.place)
	delete(a.open, f.q)
}

// expire ends a flight that has waited too long. No server was asked, so the failure is neither kept nor
// recorded.
func (r *resolver) expire(f *flight) {
	r.flights.mu.Lock()
	waits := f.place.waits
	if waits {
		r.flights.drop(f)
	}
	r.flights.mu.Unlock()
	if waits {
		f.land(r.recovered("", func() reply { return r.refused(f.q, tooLong) })) // of OnRefused's panic
	}
}

// refused returns the reply to a question that was not asked: a stale answer if there is one.
func (r *resolver) refused(q question, why string) reply {
	if r.onRefused != nil {
		r.onRefused(why)
	}
	text := "too many questions"
	if why == overBudget {
		text = "budget of this session is used up"
	}
	f := &failure{kind: unreachable, text: text}
	return r.peek(q).fail(r.now(), reply{answer: answer{result: f}}, *f)
}

// fly is a flight that has a place, to its end. A panic in it is a failure of its question.
func (r *resolver) fly(f *flight) {
	got := r.recovered("", func() reply { return r.fetch(f) })
	r.flights.mu.Lock()
	delete(r.flights.open, f.q)
	r.flights.limits.release(&f.place)
	r.dispatch()
	r.flights.mu.Unlock()
	f.land(got)
}

// dispatch starts the flights that a place has become free for. The caller holds mu.
func (r *resolver) dispatch() {
	now := r.now()
	for f := r.flights.limits.next(now); f != nil; f = r.flights.limits.next(now) {
		f.expiry.Stop()
		go r.fly(f)
	}
}

// fetch asks the servers, with a deadline of its own, and keeps what they say in the cache.
func (r *resolver) fetch(f *flight) reply {
	q := f.q
	ctx, cancel := context.WithTimeout(context.Background(), f.began+r.timeout-r.now())
	defer cancel()
	got := r.watch(ctx, q, f.place)
	now := r.now()
	if f := got.failure(); f != nil && f.kind == missing {
		shared, _ := r.negatives.LoadOrStore(*f, f)
		got.result = shared
	} else if f != nil {
		kept := r.peek(q)
		if kept.fresh(now) { // a prefetch failed, and the old answer is still good
			return kept.reply(now)
		}
		got = kept.fail(now, got, *f)
	}
	got.expires = now + got.ttl
	if got.ttl <= 0 {
		r.cache.Invalidate(q) // what it has is outdated
		return got
	}
	r.cache.Set(q, &entry{answer: got.answer, ttl: uint32(got.ttl / time.Second)})
	return got
}

// watch is failover, and records for the breaker whether it failed.
func (r *resolver) watch(ctx context.Context, q question, p place) reply {
	began := r.now()
	got := r.failover(ctx, q)
	if r.onAsked != nil {
		a := got.asked(q, r.now()-began)
		a.Domain = p.domain
		r.onAsked(a)
	}
	f := got.failure()
	failed := f != nil && f.kind < filtered
	if f != nil && f.kind == filtered && r.onFilter != nil {
		r.onFilter(q.name, f.text)
	}
	from := asked{q: q, domain: p.domain, network: p.network}
	if failed && r.pool.allDown() {
		from = asked{} // no domain is to blame, and no network
	}
	r.breaker.record(r.now(), from, failed, f == nil)
	return got
}

// recovered returns what do returns, or a failure if it panics: in a goroutine of the resolver a panic would
// end the program.
func (r *resolver) recovered(server string, do func() reply) (got reply) {
	defer func() {
		if p := recover(); p != nil {
			f := &failure{kind: unusable, text: "internal error", server: server}
			got = reply{answer: answer{result: f}, ttl: failureTTL, server: server}
			if r.onPanic != nil {
				r.onPanic(p, debug.Stack())
			}
		}
	}()
	return do()
}

// networkOf returns the network that a client counts with, the /24 or the /48, and the zero Prefix for no
// client.
func networkOf(client netip.Addr) netip.Prefix { return prefixOf(client, 24, 48) }

// hostOf returns the addresses that count as one client: of IPv6 the /64, in which a host chooses its own.
func hostOf(client netip.Addr) netip.Prefix { return prefixOf(client, 32, 64) }

func prefixOf(client netip.Addr, v4, v6 int) netip.Prefix {
	bits := v6
	if client.Is4() {
		bits = v4
	}
	prefix, _ := client.Prefix(bits) // the zero Addr has the zero Prefix
	return prefix
}
