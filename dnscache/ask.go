package dnscache

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// patience is how long we wait for an answer before we also ask the next server: what a lost
	// datagram costs.
	patience = 400 * time.Millisecond
	// triesPerServer bounds the queries for one question.
	triesPerServer = 3
)

// ask puts q to the servers in turn until one gives a usable answer or ctx ends. The next query goes
// out when patience with the last one ends, or at once when a server fails and there is one not yet
// asked; the earlier ones are still listened to. A server that failed is not asked again. If all
// fail, the reply is the most telling failure.
func (r *Resolver) ask(ctx context.Context, q question) reply {
	ctx, cancel := context.WithCancel(ctx)
	var attempts sync.WaitGroup
	defer attempts.Wait() // they end when ctx does
	defer cancel()

	queue := slices.Clone(r.servers) // those that have not failed, the longest unasked first
	replies := make(chan reply, triesPerServer*len(queue))
	next := time.NewTimer(0)
	defer next.Stop()
	var worst *failure
	var failed reply // with worst
	for tries := 0; len(queue) > 0; {
		select {
		case <-next.C:
			server := queue[0]
			queue = append(queue[1:], server)
			attempts.Go(func() { replies <- r.attempt(ctx, server, q) })
			if tries++; tries < cap(replies) {
				next.Reset(patience)
			}
		case got := <-replies:
			f := got.failure()
			if f == nil || f.kind == missing {
				return got
			}
			if worst == nil || f.kind > worst.kind {
				worst, failed = f, got
			}
			queue = slices.DeleteFunc(queue, func(server string) bool { return server == got.server })
			if tries < len(r.servers) {
				next.Reset(0)
			}
		}
	}
	return failed
}
