package dnscache

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

const (
	// canaryEvery is how long the word of a canary holds while most questions fail.
	canaryEvery = 5 * time.Second
	// canaryTimeout is how long it may take.
	canaryTimeout = 2 * time.Second
	// canaryAge is how long a question that was answered is good for a canary.
	canaryAge = time.Hour
	// canaries is how many such questions are kept, each of the client networks that have its number. Where
	// the clients of one network alone choose what is asked, they have one of them.
	canaries = 4
)

// canary finds out whether it is our resolver that fails, or what others have us ask. When most questions
// fail, a few are asked again that were answered lately, or that for the root's name servers: if one of them
// is answered, the DNS works. Which names fail is the choice of our clients; whether these do is not.
//
// The mutex of the breaker guards it.
type canary struct {
	send  func()            // asks in a goroutine, and calls breaker.hear
	known [canaries]success // by network
	out   bool              // it has been sent, and is not back
	heard time.Duration     // when its word came last
	died  bool              // its word: not one question was answered
	watch bool              // most questions failed when that was last computed
}

// success is a question that was answered, and when.
type success struct {
	q  question
	at time.Duration
}

// keep notes a question that was answered.
func (c *canary) keep(now time.Duration, from asked, network uint64) {
	c.known[network%canaries] = success{from.q, now}
}

// due reports whether a canary has to be sent, and notes that it is.
func (c *canary) due(now time.Duration, suspect bool) bool {
	old := now-c.heard >= canaryEvery
	if suspect && !c.watch && old {
		c.died = false // it was about another time
	}
	c.watch = suspect
	if !suspect || !old || c.out {
		return false
	}
	c.out = true
	return true
}

// hear takes the word of a canary.
func (b *breaker) hear(now time.Duration, answered bool) {
	b.mu.Lock()
	b.canary.out, b.canary.heard, b.canary.died = false, now, !answered
	b.mu.Unlock()
	b.degraded(now) // calls notify
}

// questions returns what a canary asks.
func (b *breaker) questions(now time.Duration) []question {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []question
	for _, a := range b.canary.known {
		if a.q.name != "" && now-a.at < canaryAge {
			list = append(list, a.q)
		}
	}
	if list == nil {
		list = []question{{".", dns.TypeNS}}
	}
	return list
}

// sendCanary asks the servers, past cache and limits. A panic in it counts as no answer.
func (r *resolver) sendCanary() {
	ctx, cancel := context.WithTimeout(context.Background(), min(r.timeout, canaryTimeout))
	questions := r.breaker.questions(r.now())
	answered := make(chan bool, len(questions))
	for _, q := range questions {
		go func() {
			got := r.recovered("", func() reply { return r.failover(ctx, q) })
			f := got.failure()
			answered <- f == nil || f.kind >= filtered
		}()
	}
	go func() {
		defer cancel()
		some := false
		for range questions {
			some = <-answered || some
		}
		r.recovered("", func() reply { // of OnDegraded's panic
			r.breaker.hear(r.now(), some)
			return reply{}
		})
	}()
}
