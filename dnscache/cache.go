package dnscache

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

const (
	// maxStale is how long after its end an answer may still be served (RFC 8767 §5: one to three days).
	maxStale = 24 * time.Hour
	// staleWait is how long a caller waits for the servers before it gets a stale answer: the client
	// response timer of RFC 8767 §5.
	staleWait = 1800 * time.Millisecond
	// maxStreak is where backoff ends: it has come to maxFailureTTL by then.
	maxStreak = 9
	// popular is how many hits make an entry worth to be refreshed before it expires.
	popular = 3
	// refreshing is the number of hits of an entry that was sent for: each is refreshed once.
	refreshing = popular + 1
)

// entry is what the cache keeps: an answer, which is not dropped when it expires. It may still be
// served when the servers fail, or tell how often they did.
type entry struct {
	answer
	life uint32        // how long it was to be kept, in seconds
	hits atomic.Uint32 // up to popular, then refreshing
}

// stale is what has become of values while their question fails: they are served, but not as the truth.
type stale struct {
	values  any
	until   time.Duration // when they end, on the resolver's clock
	failure *failure      // why there is nothing better; nil where the servers are only late
}

// newCache makes room for so many entries of weight 1. Expiry is ours, not the cache's: the cache would
// keep a goroutine for it, and an expired entry is still of use.
func newCache(entries int) (*otter.Cache[question, *entry], error) {
	if entries < 0 {
		return nil, errors.New("the number is negative")
	}
	return otter.New(&otter.Options[question, *entry]{
		MaximumWeight: uint64(entries),
		Weigher:       weight,
	})
}

// Sizes in octets: the room that one of Config.Entries gives to the name and the values of an answer,
// and what a value takes besides its text, as a netip.Addr or a net.MX does, or a failure.
const (
	unit        = 256
	overhead    = 24
	failureSize = 48
)

// weight is how many of Config.Entries an entry takes: one, and one more for each full unit of its name
// and values. The 64 KiB of a message are no bound that would do: they come to megabytes where each
// record repeats a long name in two octets (RFC 1035 §4.1.4).
func weight(q question, e *entry) uint32 {
	return 1 + uint32((len(q.name)+octets(e.result))/unit)
}

// octets is about what a result takes in memory.
func octets(result any) int {
	sum := 0
	switch result := result.(type) {
	case string:
		return overhead + len(result)
	case netip.Addr:
		return overhead
	case net.MX:
		return overhead + len(result.Host)
	case []string:
		for _, text := range result {
			sum += overhead + len(text)
		}
	case []netip.Addr:
		return overhead * len(result)
	case []net.MX:
		for _, mx := range result {
			sum += overhead + len(mx.Host)
		}
	case *failure:
		return failureSize + len(result.text)
	case *stale:
		return failureSize + octets(result.values) + octets(result.failure)
	}
	return sum
}

// find returns the answer to q from the cache or else from the servers, together with everybody
// who asks the same now. When ctx ends the caller leaves, and the query goes on for the others.
// Where there is a stale answer, nobody waits for longer than staleWait, and nobody at all for a
// question that failed last time.
func (r *Resolver) find(ctx context.Context, q question) reply {
	now := r.now()
	kept, _ := r.cache.GetIfPresent(q)
	if kept.fresh(now) {
		if kept.due(now) {
			r.fly(q, r.renew)
		}
		return kept.reply(now)
	}
	if ctx.Err() != nil {
		return left(ctx)
	}
	flight := r.fly(q, r.fetch)
	old := kept.stale(now)
	var late <-chan time.Time
	if old != nil {
		if old.failure != nil && now < kept.expires+maxFailureTTL {
			return old.reply()
		}
		late = time.After(staleWait)
	}
	select {
	case result := <-flight:
		return result.Val.(reply)
	case <-late:
	case <-ctx.Done():
		if old == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return left(ctx)
		}
	}
	return old.reply()
}

// fly finds the answer to q, once for all who want it at the same time.
func (r *Resolver) fly(q question, find func(question) reply) <-chan singleflight.Result {
	return r.flights.DoChan(q.String(), func() (any, error) {
		return r.survive("", func() reply { return find(q) }), nil
	})
}

// fetch asks the servers unless somebody has just done so.
func (r *Resolver) fetch(q question) reply {
	if kept, now := r.kept(q), r.now(); kept.fresh(now) { // by a flight that landed after this caller had looked
		return kept.reply(now)
	}
	return r.renew(q)
}

// kept returns the entry of q, or nil, without counting that as a use.
func (r *Resolver) kept(q question) *entry {
	found, _ := r.cache.GetEntryQuietly(q)
	return found.Value
}

// renew asks the servers, on a deadline of its own, and remembers what they say.
func (r *Resolver) renew(q question) reply {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	got := r.limited(ctx, q)
	now := r.now()
	if f := got.failure(); f != nil && f.kind == missing {
		shared, _ := r.missing.LoadOrStore(*f, f)
		got.result = shared
	} else if f != nil {
		kept := r.kept(q)
		if kept.fresh(now) { // it is better than a failure
			return kept.reply(now)
		}
		got = kept.fail(now, got, *f)
		if got.ttl == 0 { // says nothing about the question
			return got
		}
	}
	got.expires = now + got.ttl
	if got.ttl <= 0 {
		r.cache.Invalidate(q) // what we knew is no longer true
		return got
	}
	q.name = strings.Clone(q.name) // it may be a small part of the caller's large text
	r.cache.Set(q, &entry{answer: got.answer, life: uint32(got.ttl / time.Second)})
	return got
}

// fresh tells whether there is an entry and it has not expired.
func (e *entry) fresh(now time.Duration) bool {
	return e != nil && now < e.expires
}

// reply is what a fresh entry comes to.
func (e *entry) reply(now time.Duration) reply {
	got := reply{answer: e.answer, transport: "cache"}
	if s, ok := e.result.(*stale); ok {
		got.server = s.failure.server
		if now >= s.until {
			got.result = s.failure
		}
	}
	return got
}

// reply is of stale values that may be asked for anew at any time.
func (s *stale) reply() reply {
	got := reply{answer: answer{result: s}, transport: "cache"}
	if s.failure != nil {
		got.server = s.failure.server
	}
	return got
}

// due counts a hit, and tells whether it is the one that makes the entry be refreshed: in the last
// tenth of its life, when it has proved popular.
func (e *entry) due(now time.Duration) bool {
	hits := e.hits.Load()
	if hits < popular && e.hits.CompareAndSwap(hits, hits+1) {
		hits++
	}
	tenth := time.Duration(e.life) * time.Second / 10
	return hits == popular && e.expires-now <= tenth && e.failed() == nil &&
		e.hits.CompareAndSwap(popular, refreshing)
}

// failed is the failure that was kept, if there was one that may pass.
func (e *entry) failed() *failure {
	if e == nil {
		return nil
	}
	f := e.failure()
	if s, ok := e.result.(*stale); ok {
		f = s.failure
	}
	if f == nil || f.kind == missing {
		return nil
	}
	return f
}

// stale returns what an expired entry can still be served for, or nil: only values, and none that
// ended maxStale ago. To be told that there is nothing helps nobody who gets no answer.
func (e *entry) stale(now time.Duration) *stale {
	if e == nil || e.failure() != nil {
		return nil
	}
	old, ok := e.result.(*stale)
	if !ok {
		old = &stale{values: e.result, until: e.expires + maxStale}
	}
	if now >= old.until {
		return nil
	}
	return old
}

// fail returns what the failure f comes to after e, which may be nil: to e's values if they can still
// be served, and to a longer wait if e was a failure already, and not one of long ago. A failure with
// a TTL of 0 is nobody's but the caller's.
func (e *entry) fail(now time.Duration, got reply, f failure) reply {
	if last := e.failed(); last != nil && now < e.expires+maxFailureTTL {
		f.streak = min(last.streak+1, maxStreak)
	}
	got.ttl = min(got.ttl<<f.streak, maxFailureTTL)
	got.result = &f
	if old := e.stale(now); old != nil {
		got.transport = "cache"
		got.result = &stale{values: old.values, until: old.until, failure: &f}
	}
	return got
}

func (r *Resolver) now() time.Duration {
	return time.Since(r.start)
}
