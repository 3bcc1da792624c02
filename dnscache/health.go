package dnscache

import (
	"context"
	"slices"
	"time"
)

const (
	// maxMisses is how many questions in a row a server may leave without an answer before it counts
	// as down.
	maxMisses = 2
	// A server that is down is left in peace for minPause, and after each vain probe for twice as
	// long as before, up to maxPause.
	minPause = time.Second
	maxPause = 30 * time.Second
)

// upstream is one server. The pool's mutex guards all but addr.
type upstream struct {
	addr    string
	misses  int           // questions in a row without an answer
	counted time.Duration // when the last of them, or an answer, was counted
	pause   time.Duration // 0 while it is up
	probe   time.Duration // when it is down: not to be asked before others until then
}

// try is an attempt, and remembers what it tells about the server. An attempt that was broken off
// tells nothing, unless hedgeDelay with it had ended.
func (r *Resolver) track(ctx context.Context, u *upstream, q question) reply {
	began := r.now()
	got := r.negotiate(ctx, u.addr, q)
	f := got.failure()
	switch now := r.now(); {
	case f == nil || f.kind > timeout:
		r.pool.answered(u, now)
	case ctx.Err() == nil || now-began >= hedgeDelay:
		r.pool.unanswered(u, began, now)
	}
	return got
}

// probe is a try that goes on when ctx is canceled, since the server that answers first must not hide
// that the other one would answer too. It ends before the next probe of u may begin.
func (r *Resolver) probe(ctx context.Context, u *upstream, q question) reply {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), minPause)
	defer cancel()
	return r.track(ctx, u, q)
}

// turn returns the order in which to ask the servers: those that are down come last. Those of them
// whose pause is over are probes too, this once: to be asked at the same time as the first. When
// all are down, all are asked as if none were.
func (p *pool) order(now time.Duration) (o order, probes []*upstream) {
	p.reread(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.servers {
		if u.pause == 0 {
			o.queue = append(o.queue, u)
		}
	}
	if len(o.queue) == 0 {
		return order{queue: slices.Clone(p.servers)}, nil
	}
	for _, u := range p.servers {
		if u.pause == 0 {
			continue
		}
		o.down = append(o.down, u)
		if now >= u.probe {
			u.pause = min(2*u.pause, maxPause) // unless it answers
			u.probe = now + u.pause
			probes = append(probes, u)
		}
	}
	o.queue = append(o.queue, o.down...)
	return o, probes
}

// heard notes that u has answered, whatever it said.
func (p *pool) answered(u *upstream, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.misses, u.pause, u.counted = 0, 0, now
}

// lost notes that u has not answered an attempt that began then. What began before the last verdict
// is none of its own: many questions that are lost in one moment are one loss, and so are the tries
// of one question; and an answer meanwhile shows that it was the question, not the server.
func (p *pool) unanswered(u *upstream, began, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.pause > 0 || began < u.counted {
		return
	}
	u.counted = now
	if u.misses++; u.misses >= maxMisses {
		u.pause = minPause
		u.probe = now + minPause
	}
}

// allDown tells whether no server answers anything.
func (p *pool) allDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !slices.ContainsFunc(p.servers, func(u *upstream) bool { return u.pause == 0 })
}
