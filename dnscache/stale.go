package dnscache

import "time"

const (
	// maxStale is how long after its end an answer may still be served (RFC 8767 §5: one to three days).
	maxStale = 24 * time.Hour
	// staleWait is how long a caller waits for the servers before it gets a stale answer: the client
	// response timer of RFC 8767 §5.
	staleWait = 1800 * time.Millisecond
	// maxStreak is where backoff ends: it has come to maxFailureTTL by then.
	maxStreak = 9
)

// stale is what has become of values while their question fails: they are served, but not as the truth.
type stale struct {
	values  any
	until   time.Duration // when they end, on the resolver's clock
	failure *failure      // why there is nothing better; nil where the servers are only late
}

// stale returns what an expired entry can still be served for, or nil: only values, and none that
// ended maxStale ago. To be told that there is nothing helps nobody who gets no answer.
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

// reply is of stale values that may be asked for anew at any time.
func (s *stale) reply() reply {
	got := reply{answer: answer{result: s}, transport: "cache"}
	if s.failure != nil {
		got.server = s.failure.server
	}
	return got
}

// fail returns what the failure f comes to after e, which may be nil: to e's values if they can still
// be served, and to a longer wait if e was a failure already, and not one of long ago. A failure with
// a TTL of 0 is nobody's but the caller's.
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

// failed is the failure that was kept, if there was one that may pass.
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
