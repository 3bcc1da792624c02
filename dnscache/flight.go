package dnscache

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

// fly finds the answer to q, once for all who want it at the same time.
func (r *Resolver) join(q question, find func(question) reply) <-chan singleflight.Result {
	return r.flights.DoChan(q.String(), func() (any, error) {
		return r.recovered("", func() reply { return find(q) }), nil
	})
}

// fetch asks the servers unless somebody has just done so.
func (r *Resolver) fetchIfExpired(q question) reply {
	if kept, now := r.peek(q), r.now(); kept.fresh(now) { // by a flight that landed after this caller had looked
		return kept.reply(now)
	}
	return r.fetch(q)
}

// renew asks the servers, on a deadline of its own, and remembers what they say.
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

// survive is for a goroutine of ours, where a panic would end the program: it makes a failure of it.
func (r *Resolver) recovered(server string, find func() reply) (got reply) {
	defer func() {
		if p := recover(); p != nil {
			f := &failure{kind: unusable, text: "internal error", server: server}
			got = reply{answer: answer{result: f}, ttl: failureTTL, server: server}
			if r.onPanic != nil {
				r.onPanic(p, debug.Stack())
			}
		}
	}()
	return find()
}
