package dnscache

import (
	"context"
	"net/netip"
)

// Anew returns r as it answers somebody who has just changed the DNS: each question goes to the servers, past the cache,
// which keeps the answers as always. There is no stale answer and none from before; where the servers do not give one now,
// the question fails. It counts in the shares of the client and for the breaker as For does, but waits for no place, and
// gets none while half of them are taken: they are for mail.
func (r *Resolver) Anew(client netip.Addr, budget Budget) *Resolver {
	view := r.For(client, budget)
	view.anew = true
	return view
}

// askAnew returns the servers' answer to q, or a failure. As with a prefetch, what is fresh in the cache does not count,
// and a place is not waited for.
func (r *Resolver) askAnew(ctx context.Context, q question) reply {
	if r.crowded() {
		return reply{answer: answer{result: &failure{kind: unreachable, text: "too many questions"}}}
	}
	flight := r.join(q, true)
	if flight == nil {
		return reply{answer: answer{result: &failure{kind: unreachable, text: "too many questions"}}}
	}
	select {
	case <-flight.landed:
	case <-ctx.Done():
		r.leave(flight)
		return contextDone(ctx)
	}
	got := flight.reply
	if got.transport == "cache" { // the servers failed, and this is an earlier answer
		got.result = &failure{kind: unusable, text: "no server gave an answer now", server: got.server}
	}
	return got
}

// crowded reports whether half of the places are taken, so that nobody but mail gets one.
func (r *resolver) crowded() bool {
	inFlight, _ := r.load()
	return 2*inFlight >= r.flights.limits.places
}
