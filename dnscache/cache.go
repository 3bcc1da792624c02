package dnscache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	// popular is how many hits make an entry worth to be refreshed before it expires.
	prefetchHits = 3
	// prefetched is the number of hits of an entry that was sent for: each is refreshed once.
	prefetched = prefetchHits + 1
)

// entry is what the cache keeps: an answer, which is not dropped when it expires. It may still be
// served when the servers fail, or tell how often they did.
type entry struct {
	answer
	life uint32        // how long it was to be kept, in seconds
	hits atomic.Uint32 // up to popular, then prefetched
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

// find returns the answer to q from the cache or else from the servers, together with everybody
// who asks the same now. When ctx ends the caller leaves, and the query goes on for the others.
// Where there is a stale answer, nobody waits for longer than staleWait, and nobody at all for a
// question that failed last time.
func (r *Resolver) readThrough(ctx context.Context, q question) reply {
	now := r.now()
	kept, _ := r.cache.GetIfPresent(q)
	if kept.fresh(now) {
		if kept.prefetchDue(now) {
			r.join(q, r.fetch)
		}
		return kept.reply(now)
	}
	if ctx.Err() != nil {
		return contextDone(ctx)
	}
	flight := r.join(q, r.fetchIfExpired)
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
			return contextDone(ctx)
		}
	}
	return old.reply()
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

// due counts a hit, and tells whether it is the one that makes the entry be refreshed: in the last
// tenth of its life, when it has proved popular.
func (e *entry) prefetchDue(now time.Duration) bool {
	hits := e.hits.Load()
	if hits < prefetchHits && e.hits.CompareAndSwap(hits, hits+1) {
		hits++
	}
	tenth := time.Duration(e.life) * time.Second / 10
	return hits == prefetchHits && e.expires-now <= tenth && e.failed() == nil &&
		e.hits.CompareAndSwap(prefetchHits, prefetched)
}

// kept returns the entry of q, or nil, without counting that as a use.
func (r *Resolver) peek(q question) *entry {
	found, _ := r.cache.GetEntryQuietly(q)
	return found.Value
}
