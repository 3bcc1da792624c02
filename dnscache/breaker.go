package dnscache

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// The window of the breaker: so many whole seconds up to now.
	windowSeconds = 30
	// minQuestions is how many questions in the window it takes to say anything.
	minQuestions = 20
	// maxFailures is how many failures of one organisational domain in the window count. The next ones
	// count neither as failures nor as questions: who asks on and on for names in a broken zone of his
	// own, to switch the rules off for everybody, needs five such zones and half of all questions.
	maxFailures = 4
	// maxDomains bounds the failing domains that are notified apart within a second. Where there are more,
	// they are not the doing of one.
	maxDomains = 1000
)

// breaker knows whether the DNS as a whole works for us. It has no clock of its own: what is old is
// left out when somebody looks. Its size is bounded: about 1 MB if 1000 domains fail in each second.
type breaker struct {
	notify func(degraded bool) // may be nil
	seed   maphash.Seed        // nobody can choose names that are taken for another's

	mu        sync.Mutex
	seconds   [windowSeconds]second
	state     bool // degraded, when somebody looked last
	notified  bool // the state that tell knows
	notifying bool // by somebody, who has let go of mu
}

// second is what came to an end in one second.
type second struct {
	at        int64 // on the resolver's clock
	questions int
	failures  int              // of them
	domains   map[uint64]uint8 // failures by the hash of their domain
}

func newBreaker(notify func(degraded bool)) *breaker {
	if notify == nil {
		notify = func(bool) {}
	}
	return &breaker{notify: notify, seed: maphash.MakeSeed()}
}

// Degraded tells whether the DNS as a whole fails, so that what is missing in it proves nothing: of
// the questions that were put to servers in the last 30 s there are at least 20, and more than half
// got no usable answer from any server. NXDOMAIN and NODATA are usable. Of each organisational domain
// only the first 4 failures count, unless no server answers anything: then it is not the domain's doing. It
// ends by itself when that is no longer so.
func (r *Resolver) Degraded() bool {
	return r.breaker.degraded(r.now())
}

// record counts a question about domain that was put to servers; a failure of no domain in particular is "".
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
	b.degraded(now) // calls tell
}

// admit tells whether one more failure of a domain counts in s, the present second.
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

// degraded looks at the window, and calls tell when the state is another than tell knows.
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
	for b.notified != b.state && !b.notifying { // it may change again while it is notified
		news := b.state
		b.notified, b.notifying = news, true
		b.deliver(news)
	}
	return degraded
}

// say calls tell without the lock, and holds it again even when tell panics.
func (b *breaker) deliver(degraded bool) {
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.notifying = false
	}()
	b.notify(degraded)
}

// within tells whether s belongs to the window that ends with the second now.
func (s *second) within(now int64) bool {
	return s.at > now-windowSeconds
}

func seconds64(d time.Duration) int64 {
	return int64(d / time.Second)
}
