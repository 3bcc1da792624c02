package dnscache

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// windowSeconds is the window of the breaker: this many whole seconds up to now.
	windowSeconds = 30
	// minQuestions is the least number of questions in the window for a degraded state.
	minQuestions = 20
	// maxFailures is how many failures of one organizational domain in the window count. Further ones count
	// neither as failures nor as questions: an attacker who causes questions about a broken zone of his own,
	// to switch the rules off for everybody, needs five such zones and half of all questions.
	maxFailures = 4
	// maxDomains bounds the failing domains that are counted apart within a second. If there are more, they
	// are not the doing of one attacker.
	maxDomains = 1000
)

// breaker is the circuit breaker: it decides whether the DNS as a whole fails. It has no timer: what is
// older than the window is left out when the state is read. Its size is bounded: about 1 MB if 1000 domains
// fail in each second.
type breaker struct {
	notify func(degraded bool) // may be nil
	seed   maphash.Seed        // random, so that nobody can choose domains that collide

	mu        sync.Mutex
	seconds   [windowSeconds]second
	state     bool // degraded, when it was last computed
	notified  bool // the state that notify was last called with
	notifying bool // a goroutine calls notify, without mu
}

// second counts the questions that ended in one second.
type second struct {
	at        int64 // on the resolver's clock
	questions int
	failures  int              // of these questions
	domains   map[uint64]uint8 // failures by the hash of their domain
}

func newBreaker(notify func(degraded bool)) *breaker {
	if notify == nil {
		notify = func(bool) {}
	}
	return &breaker{notify: notify, seed: maphash.MakeSeed()}
}

// Degraded reports whether the DNS as a whole fails, so that what is missing in it proves nothing: at
// least 20 questions went to the servers in the last 30 s, and more than half of them got no usable answer
// from any server. NXDOMAIN and NODATA are usable. Only the first 4 failures of each organizational domain
// count, unless all servers are down: then the domain is not to blame. The state ends by itself when this
// is no longer so.
func (r *Resolver) Degraded() bool {
	return r.breaker.degraded(r.now())
}

// record counts a question about domain that went to the servers; "" is a failure that no domain is to blame
// for.
func (b *breaker) record(now time.Duration, domain string, failed bool) {
	b.mu.Lock()
	s := &b.seconds[seconds64(now)%windowSeconds]
	if s.at != seconds64(now) {
		*s = second{at: seconds64(now)}
	}
	switch {
	case !failed:
		s.questions++
	case domain == "", b.admit(s, maphash.String(b.seed, domain)):
		s.questions++
		s.failures++
	}
	b.mu.Unlock()
	b.degraded(now) // calls notify
}

// admit reports whether one more failure of a domain counts in s, the present second.
func (b *breaker) admit(s *second, domain uint64) bool {
	failures := 0
	for i := range b.seconds {
		if b.seconds[i].within(s.at) {
			failures += int(b.seconds[i].domains[domain])
		}
	}
	if failures >= maxFailures {
		return false
	}
	if s.domains == nil {
		s.domains = map[uint64]uint8{}
	}
	if s.domains[domain] > 0 || len(s.domains) < maxDomains {
		s.domains[domain]++
	}
	return true
}

// degraded computes the state from the window, and calls notify if it has changed.
func (b *breaker) degraded(now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	questions, failures := 0, 0
	for i := range b.seconds {
		if b.seconds[i].within(seconds64(now)) {
			questions += b.seconds[i].questions
			failures += b.seconds[i].failures
		}
	}
	b.state = questions >= minQuestions && 2*failures > questions
	degraded := b.state
	for b.notified != b.state && !b.notifying { // it may change again during the call
		news := b.state
		b.notified, b.notifying = news, true
		b.deliver(news)
	}
	return degraded
}

// deliver calls notify without the lock, and holds it again even if notify panics.
func (b *breaker) deliver(degraded bool) {
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.notifying = false
	}()
	b.notify(degraded)
}

// within reports whether s belongs to the window that ends with the second now.
func (s *second) within(now int64) bool {
	return s.at > now-windowSeconds
}

func seconds64(d time.Duration) int64 {
	return int64(d / time.Second)
}
