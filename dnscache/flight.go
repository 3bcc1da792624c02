package dnscache

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

// join returns the channel on which the reply to q will be: that of the flight under way if there is one,
// else of a new one that calls fetch. A panic in it is a failure of q.
func (r *Resolver) join(q question, fetch func(question) reply) <-chan singleflight.Result {
	return r.flights.DoChan(q.String(), func() (any, error) {
		return r.recovered("", func() reply { return fetch(q) }), nil
	})
}

// fetchIfExpired is fetch unless the cache has a fresh answer by now: another flight may have landed since
// the caller looked there.
func (r *Resolver) fetchIfExpired(q question) reply {
	if kept, now := r.peek(q), r.now(); kept.fresh(now) {
		return kept.reply(now)
	}
	return r.fetch(q)
}

// fetch asks the servers, with a deadline of its own, and keeps what they say in the cache.
func (r *Resolver) fetch(q question) reply {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	got := r.limit(ctx, q)
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
		if got.ttl == 0 { // no server was asked: see limit
			return got
		}
	}
	got.expires = now + got.ttl
	if got.ttl <= 0 {
		r.cache.Invalidate(q) // what it has is outdated
		return got
	}
	q.name = strings.Clone(q.name) // it may be a substring of a large text of the caller's
	r.cache.Set(q, &entry{answer: got.answer, ttl: uint32(got.ttl / time.Second)})
	return got
}

// recovered returns what do returns, or a failure if it panics: in a goroutine of the resolver a panic would
// end the program.
func (r *Resolver) recovered(server string, do func() reply) (got reply) {
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
