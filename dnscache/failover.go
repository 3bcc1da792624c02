package dnscache

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// hedgeDelay is how long we wait for an answer before we also ask the next server: what a lost
	// datagram costs.
	hedgeDelay = 400 * time.Millisecond
	// triesPerServer bounds the queries for one question.
	triesPerServer = 3
)

// ask puts q to the servers in turn until one gives a usable answer or ctx ends. The next query goes
// out when hedgeDelay with the last one ends, or at once when a server fails and there is one not yet
// asked; the earlier ones are still listened to. A server that failed is not asked again. If all
// fail, the reply is the most telling failure. A server that is due for a probe is asked beside the
// first one, and ask does not wait for it when it has an answer.
func (r *Resolver) failover(ctx context.Context, q question) reply {
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
	next := time.NewTimer(0)
	defer next.Stop()
	var failed reply // with the worst failure
	for tries := 0; len(order.queue) > 0; {
		select {
		case <-next.C:
			server, wait := order.next()
			attempts.Go(func() {
				replies <- r.recovered(server.addr, func() reply { return r.track(ctx, server, q) })
			})
			if tries++; tries < most {
				next.Reset(wait)
			}
		case got := <-replies:
			f := got.failure()
			if f == nil || f.kind == missing {
				return got
			}
			if worst := failed.failure(); worst == nil || f.kind > worst.kind {
				failed = got
			}
			order.drop(got.server)
			if tries < servers {
				next.Reset(0)
			}
		}
	}
	return failed
}

// order is whom to ask next for one question.
type order struct {
	queue []*upstream // those that have not failed, the longest unasked first
	down  []*upstream // those of them that hardly answer; nil where none is better
}

// next returns the server to ask now, and how long to wait for it alone: not at all for one that is
// down, where there is one that is up. So a lost datagram costs hedgeDelay once, and no more.
func (o *order) next() (server *upstream, wait time.Duration) {
	server, wait = o.queue[0], hedgeDelay
	o.queue = append(o.queue[1:], server)
	up := func(u *upstream) bool { return !slices.Contains(o.down, u) }
	if !up(server) && slices.ContainsFunc(o.queue, up) {
		wait = 0
	}
	return server, wait
}

func (o *order) drop(addr string) {
	o.queue = slices.DeleteFunc(o.queue, func(u *upstream) bool { return u.addr == addr })
}
