package dnscache

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	// windowSeconds is the window of the breaker: this many whole seconds up to now.
	windowSeconds = 30
	// minQuestions is the least number of questions in the window for a degraded state.
	minQuestions = 20
	// maxFailures is how many failures of one organizational domain, and of one client network, in the window
	// count. Further ones count neither as failures nor as questions. An attacker who wants us to look
	// degraded needs five broken zones and clients in five networks, and then the canary still sings: see
	// canary.go.
	maxFailures = 4
	// maxParties bounds the failing domains and networks that are counted apart within a second. If there are
	// more, they are not the doing of one attacker.
	maxParties = 2000
)

// breaker is the circuit breaker: it decides whether the DNS as a whole fails. It has no timer: what is
// older than the window is left out when the state is read. Its size is bounded: about 2 MB if 1000 domains
// fail in each second.
type breaker struct {
	notify func(degraded bool) // may be nil
	seed   maphash.Seed        // random, so that nobody can choose domains that collide

	mu        sync.Mutex
	seconds   [windowSeconds]second
	canary    canary
	state     bool // degraded, when it was last computed
	notified  bool // the state that notify was last called with
	notifying bool // a goroutine calls notify, without mu
}

// second counts the questions that ended in one second.
type second struct {
	at        int64 // on the resolver's clock
	questions int
	failures  int              // of these questions
	parties   map[uint64]uint8 // failures by the hash of their domain or network
}

// asked is what the breaker knows of a question. A failure that no domain and no network is to blame for has
// none.
type asked struct {
	q       question
	domain  string
	network netip.Prefix // of the client; the zero Prefix if there is none
}

// newBreaker returns a breaker that sends a canary with send: see canary.
func newBreaker(notify func(degraded bool), send func()) *breaker {
	if notify == nil {
		notify = func(bool) {}
	}
	return &breaker{notify: notify, seed: maphash.MakeSeed(), canary: canary{send: send, heard: -canaryEvery}}
}

// Degraded reports whether the DNS as a whole fails: at least 20 questions went to the servers in the last 30
// s, more than half of them got no usable answer from any server, and neither did a question that was
// answered within the last hour, or the root's name servers if there was none, when it was asked once more.
// NXDOMAIN and NODATA are usable. Only the first 4 failures of each organizational domain and of each client
// network count, unless all servers are down: then nobody else is to blame. The state ends by itself when
// this is no longer so. It says nothing about an answer that was given: that is as good as at any time.
func (r *Resolver) Degraded() bool {
	return r.breaker.degraded(r.now())
}

// record counts a question that went to the servers. found is whether it found something.
func (b *breaker) record(now time.Duration, from asked, failed, found bool) {
	b.mu.Lock()
	s := &b.seconds[seconds64(now)%windowSeconds]
	if s.at != seconds64(now) {
		*s = second{at: seconds64(now)}
	}
	switch {
	case !failed:
		s.questions++
	case b.admit(s, from):
		s.questions++
		s.failures++
	}
	if found {
		b.canary.keep(now, from, maphash.Comparable(b.seed, from.network))
	}
	b.mu.Unlock()
	b.degraded(now) // calls notify
}

// admit reports whether one more failure of a domain and a network counts in s, the present second.
func (b *breaker) admit(s *second, from asked) bool {
	var parties []uint64
	if from.domain != "" {
		parties = append(parties, maphash.String(b.seed, from.domain))
	}
	if from.network.IsValid() {
		parties = append(parties, maphash.Comparable(b.seed, from.network))
	}
	for _, party := range parties {
		failures := 0
		for i := range b.seconds {
			if b.seconds[i].within(s.at) {
				failures += int(b.seconds[i].parties[party])
			}
		}
		if failures >= maxFailures {
			return false
		}
	}
	if s.parties == nil {
		s.parties = map[uint64]uint8{}
	}
	for _, party := range parties {
		if s.parties[party] > 0 || len(s.parties) < maxParties {
			s.parties[party]++
		}
	}
	return true
}

// degraded computes the state from the window and the canary, and calls notify if it has changed.
func (b *breaker) degraded(now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.canary.due(now, b.suspect(now)) {
		b.unlocked(b.canary.send)
	}
	b.state = b.suspect(now) && b.canary.died
	degraded := b.state
	for b.notified != b.state && !b.notifying { // it may change again during the call
		news := b.state
		b.notified, b.notifying = news, true
		b.deliver(news)
	}
	return degraded
}

// suspect reports whether most questions in the window failed.
func (b *breaker) suspect(now time.Duration) bool {
	questions, failures := 0, 0
	for i := range b.seconds {
		if b.seconds[i].within(seconds64(now)) {
			questions += b.seconds[i].questions
			failures += b.seconds[i].failures
		}
	}
	return questions >= minQuestions && 2*failures > questions
}

// deliver calls notify without the lock.
func (b *breaker) deliver(degraded bool) {
	defer func() { b.notifying = false }()
	b.unlocked(func() { b.notify(degraded) })
}

// unlocked calls do without the lock, and holds it again even if do panics.
func (b *breaker) unlocked(do func()) {
	b.mu.Unlock()
	defer b.mu.Lock()
	do()
}

// within reports whether s belongs to the window that ends with the second now.
func (s *second) within(now int64) bool {
	return s.at > now-windowSeconds
}

func seconds64(d time.Duration) int64 {
	return int64(d / time.Second)
}
