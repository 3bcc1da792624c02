package dnscache

import "time"

const (
	// maxStale is how long after its end an answer may still be served (RFC 8767 §5: one to three days).
	maxStale = 24 * time.Hour
	// staleWait is how long a caller waits for the servers before it gets a stale answer: the client
	// response timer of RFC 8767 §5.
	staleWait = 1800 * time.Millisecond
	// maxStreak is where doubling ends: the TTL of a failure has reached maxFailureTTL by then.
	maxStreak = 9
)

// stale is expired values whose question fails now: they are served, but as the error "stale".
type stale struct {
	values  any
	until   time.Duration // when they end, on the resolver's clock
	failure *failure      // why there is nothing better; nil if the servers are only late
}

// stale returns the values for which an expired entry can still be served, or nil if it has none or they
// expired maxStale ago. A negative answer is never served stale: it helps no caller more than the failure.
func (e *entry) stale(now time.Duration) *stale {
	if e == nil || e.failure() != nil {
		return nil
	}
	old, ok := e.result.(*stale)
	if !ok {
		old = &stale{values: e.result, until: e.expires + maxStale}
	}
	if now >= old.until {
		return nil
	}
	return old
}

// reply returns stale values as a reply that is not to be kept.
func (s *stale) reply() reply {
	got := reply{answer: answer{result: s}, transport: "cache"}
	if s.failure != nil {
		got.server = s.failure.server
	}
	return got
}

// fail returns the reply to keep when the question of e, which may be nil, fails with f. Its result is e's
// values if they can still be served, else f. Its TTL doubles with each failure in a row; one that expired
// maxFailureTTL ago no longer counts. A TTL of 0 stays 0.
func (e *entry) fail(now time.Duration, got reply, f failure) reply {
	if last := e.failed(); last != nil && now < e.expires+maxFailureTTL {
		f.streak = min(last.streak+1, maxStreak)
	}
	got.ttl = min(got.ttl<<f.streak, maxFailureTTL)
	got.result = &f
	if old := e.stale(now); old != nil {
		got.transport = "cache"
		got.result = &stale{values: old.values, until: old.until, failure: &f}
	}
	return got
}

// failed returns the temporary failure in e, or nil if there is none. An entry that is nil has none.
func (e *entry) failed() *failure {
	if e == nil {
		return nil
	}
	f := e.failure()
	if s, ok := e.result.(*stale); ok {
		f = s.failure
	}
	if f == nil || f.kind == missing {
		return nil
	}
	return f
}
