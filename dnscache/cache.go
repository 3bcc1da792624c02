package dnscache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	// prefetchHits is how many hits make an entry worth fetching again before it expires.
	prefetchHits = 3
	// prefetched, as a number of hits, marks an entry whose prefetch has begun: there is one for each.
	prefetched = prefetchHits + 1
)

// entry is what the cache keeps: an answer, which stays when it expires. It may still be served when the
// servers fail, and a failure has the number of failures before it.
type entry struct {
	answer
	ttl  uint32        // its TTL when it was stored, in seconds
	hits atomic.Uint32 // up to prefetchHits, then prefetched
}

// newCache returns a cache for this many entries of weight 1. It does not expire them: that would take a
// goroutine, and an expired entry is still useful.
func newCache(entries int) (*otter.Cache[question, *entry], error) {
	if entries < 0 {
		return nil, errors.New("negative")
	}
	return otter.New(&otter.Options[question, *entry]{
		MaximumWeight: uint64(entries),
		Weigher:       weight,
	})
}

// readThrough returns the answer to q from the cache, or else from the servers by a flight that is shared
// with all callers of the same question. When ctx ends this caller stops waiting; the flight goes on if it is
// with the servers already.
// If there is a stale answer, no caller waits longer than staleWait for a better one, and none waits if
// the question failed lately.
func (r *Resolver) readThrough(ctx context.Context, q question) reply {
	now := r.now()
	kept, _ := r.cache.GetIfPresent(q)
	if kept.fresh(now) {
		due := kept.prefetchDue(now)
		kept.hit()
		if due && kept.hits.CompareAndSwap(prefetchHits, prefetched) {
			r.join(q, true)
		}
		return kept.reply(now)
	}
	if ctx.Err() != nil {
		return contextDone(ctx)
	}
	flight := r.join(q, false)
	old := kept.stale(now)
	var late <-chan time.Time
	if old != nil {
		if old.failure != nil && now < kept.expires+maxFailureTTL {
			r.leave(flight)
			return old.reply()
		}
		late = time.After(staleWait)
	}
	select {
	case <-flight.landed:
		return flight.reply
	case <-late:
	case <-ctx.Done():
	}
	r.leave(flight)
	if old == nil || errors.Is(ctx.Err(), context.Canceled) {
		return contextDone(ctx)
	}
	return old.reply()
}

// fresh reports whether there is an entry and it has not expired.
func (e *entry) fresh(now time.Duration) bool {
	return e != nil && now < e.expires
}

// reply returns the reply that a fresh entry is.
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

// hit counts a hit.
func (e *entry) hit() {
	if hits := e.hits.Load(); hits < prefetchHits {
		e.hits.CompareAndSwap(hits, hits+1)
	}
}

// prefetchDue reports whether one hit more is to start the prefetch: in the last tenth of the TTL, when that
// makes prefetchHits. There is one for each entry.
func (e *entry) prefetchDue(now time.Duration) bool {
	hits, tenth := e.hits.Load(), time.Duration(e.ttl)*time.Second/10
	return hits >= prefetchHits-1 && hits != prefetched && e.expires-now <= tenth && e.failed() == nil
}

// peek returns the entry of q, or nil, without counting as a use of it.
func (r *resolver) peek(q question) *entry {
	found, _ := r.cache.GetEntryQuietly(q)
	return found.Value
}
