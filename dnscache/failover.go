package dnscache

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// hedgeDelay is how long one server is waited for before the next one is asked too: what a lost datagram
	// costs.
	hedgeDelay = 400 * time.Millisecond
	// triesPerServer, times the number of servers, bounds the tries of one question.
	triesPerServer = 3
)

// failover asks the servers in order, and again from the first one, until one gives a usable answer or ctx
// ends. The next one is asked hedgeDelay after the last, or at once when a server fails and another has not
// been asked yet; earlier queries are still waited for. A server that failed is not asked again. If all
// fail, the reply is the most telling failure. Servers that are due for a probe are asked beside the first
// one, and failover does not wait for them once it has an answer.
func (r *resolver) failover(ctx context.Context, q question) reply {
	ctx, cancel := context.WithCancel(ctx)
	var attempts sync.WaitGroup
	defer attempts.Wait() // they end when ctx does
	defer cancel()

	order, probes := r.pool.order(r.now())
	servers, most := len(order.queue), triesPerServer*len(order.queue)
	replies := make(chan reply, most+len(probes))
	for _, server := range probes {
		go func() { replies <- r.recovered(server.addr, func() reply { return r.probe(ctx, server, q) }) }()
	}
	tries, next := 0, time.NewTimer(hedgeDelay)
	defer next.Stop()
	try := func() {
		server, wait := order.next()
		attempts.Go(func() {
			replies <- r.recovered(server.addr, func() reply { return r.track(ctx, server, q) })
		})
		if tries++; tries < most {
			next.Reset(wait)
		} else {
			next.Stop()
		}
	}
	try()
	var failed reply // with the most telling failure
	for len(order.queue) > 0 {
		select {
		case <-next.C:
			try()
		case got := <-replies:
			f := got.failure()
			if f == nil || f.kind == missing {
				return got
			}
			if before := failed.failure(); before == nil || f.kind > before.kind {
				failed = got
			}
			if order.drop(got.server); tries < servers && len(order.queue) > 0 {
				try()
			}
		}
	}
	return failed
}

// order is the order in which the servers are asked one question.
type order struct {
	queue []*upstream // those that have not failed, the least recently asked first
	down  []*upstream // those of them that are down; nil if all are
}

// next returns the server to ask now, and how long to wait until the next one: not at all after one that is
// down, if there is one that is up. So a lost datagram costs hedgeDelay once, not once for each server.
func (o *order) next() (server *upstream, wait time.Duration) {
	server, wait = o.queue[0], hedgeDelay
	o.queue = append(o.queue[1:], server)
	up := func(u *upstream) bool { return !slices.Contains(o.down, u) }
	if !up(server) && slices.ContainsFunc(o.queue, up) {
		wait = 0
	}
	return server, wait
}

// drop takes out the server that failed.
func (o *order) drop(addr string) {
	o.queue = slices.DeleteFunc(o.queue, func(u *upstream) bool { return u.addr == addr })
}
