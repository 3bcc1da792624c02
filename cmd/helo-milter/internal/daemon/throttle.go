package daemon

import (
	"maps"
	"sync"
	"time"
)

// maxKeys bounds the kinds of events that a throttle remembers.
const maxKeys = 1000

// throttle lets one event of a kind through in each interval, and counts those that it suppresses.
type throttle struct {
	every time.Duration

	mu   sync.Mutex
	last map[string]allowed // by kind
}

// allowed is when an event of a kind was let through last, and how many were suppressed since.
type allowed struct {
	at         time.Time
	suppressed int
}

func newThrottle(every time.Duration) *throttle {
	return &throttle{every: every, last: map[string]allowed{}}
}

// allow reports whether an event of a kind is let through, and how many of that kind were suppressed since
// the last one that was. Where there are more than maxKeys kinds in an interval, those that come last are
// suppressed without being counted.
func (t *throttle) allow(kind string) (ok bool, suppressed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	last, known := t.last[kind]
	if known && now.Sub(last.at) < t.every {
		last.suppressed++
		t.last[kind] = last
		return false, 0
	}
	if !known && len(t.last) >= maxKeys {
		maps.DeleteFunc(t.last, func(_ string, a allowed) bool { return now.Sub(a.at) >= t.every })
		if len(t.last) >= maxKeys {
			return false, 0
		}
	}
	t.last[kind] = allowed{at: now}
	return true, last.suppressed
}
