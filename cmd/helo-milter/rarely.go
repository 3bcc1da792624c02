package main

import (
	"maps"
	"sync"
	"time"
)

// maxKeys bounds what a rarely remembers.
const maxKeys = 1000

// rarely tells of one among many events of a kind.
type rarely struct {
	every time.Duration

	mu   sync.Mutex
	last map[string]occasion
}

// occasion is when a kind of event was told of, and how many there were since.
type occasion struct {
	at     time.Time
	untold int
}

func newRarely(every time.Duration) *rarely {
	return &rarely{every: every, last: map[string]occasion{}}
}

// allow tells whether an event is to be told of, and how many were not since the last one that was.
func (r *rarely) allow(key string) (ok bool, untold int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	last, known := r.last[key]
	if known && now.Sub(last.at) < r.every {
		last.untold++
		r.last[key] = last
		return false, 0
	}
	if !known && len(r.last) >= maxKeys {
		maps.DeleteFunc(r.last, func(_ string, o occasion) bool { return now.Sub(o.at) >= r.every })
		if len(r.last) >= maxKeys {
			return false, 0
		}
	}
	r.last[key] = occasion{at: now}
	return true, last.untold
}
