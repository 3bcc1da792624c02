package dnscache

import (
	"context"
	"slices"
	"time"
)

const (
	// maxMisses is how many questions in a row a server leaves unanswered until it counts as down.
	maxMisses = 2
	// A server that is down is not probed for minPause, and after each probe that fails for twice as long as
	// before, up to maxPause.
	minPause = time.Second
	maxPause = 30 * time.Second
)

// upstream is one server and its health. The mutex of the pool guards all but addr.
type upstream struct {
	addr    string
	misses  int           // questions in a row without an answer
	counted time.Duration // when the last of them, or an answer, was counted
	pause   time.Duration // between probes; 0 while it is up
	probe   time.Duration // when the next probe is due, if it is down
	copes   time.Duration // until when it counts as one that copes with random case
	plain   time.Duration // until when it is asked plainly: see spell
}

// track is spell, and records whether u answered. What was canceled is not recorded, unless u had at
// least hedgeDelay to answer.
func (r *resolver) track(ctx context.Context, u *upstream, q question) reply {
	began := r.now()
	got := r.spell(ctx, u, q)
	f, now := got.failure(), r.now()
	answered := f == nil || f.kind > timeout
	switch {
	case answered:
		r.pool.answered(u, now)
	case ctx.Err() == nil || now-began >= hedgeDelay:
		r.pool.unanswered(u, began, now)
	default:
		return got
	}
	if r.onTried != nil {
		try := got.asked(q, now-began)
		if !answered && ctx.Err() != nil { // however the exchange failed then
			try.Result = kindWords[timeout]
		}
		r.onTried(u.addr, try)
	}
	return got
}

// probe is track that goes on when ctx is canceled: the answer of another server must not hide that u is up
// again. It ends before the next probe of u can begin.
func (r *resolver) probe(ctx context.Context, u *upstream, q question) reply {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), minPause)
	defer cancel()
	return r.track(ctx, u, q)
}

// order returns the order in which to ask the servers one question: those that are down come last. Those of
// them that are due for a probe are also returned as probes, to be asked beside the first one. If all are
// down, all are asked as if they were up.
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

// answered records that u has answered, whatever it said.
func (p *pool) answered(u *upstream, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.misses, u.pause, u.counted = 0, 0, now
}

// unanswered records that u has not answered a query that began at that time. Queries that began before the
// last one that was counted are not counted: many questions that are lost in the same moment are one miss,
// and so are the retries of one question; and an answer since then shows that the server is up.
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

// allDown reports whether all servers are down.
func (p *pool) allDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !slices.ContainsFunc(p.servers, func(u *upstream) bool { return u.pause == 0 })
}
