package main

import (
	"fmt"
	"strconv"
	"time"
)

// since is the beginning of a period: a length of time before now, or a moment. The zero since is that of all
// that there is.
type since struct {
	ago time.Duration
	at  time.Time
}

// UnmarshalText accepts a number with h, d or w, a date, which begins at midnight UTC as the report's days do,
// or a time of RFC 3339.
func (s *since) UnmarshalText(text []byte) error {
	word := string(text)
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, word); err == nil {
			*s = since{at: at}
			return nil
		}
	}
	if end := len(word) - 1; end > 0 {
		unit := map[byte]time.Duration{'h': time.Hour, 'd': day, 'w': 7 * day}[word[end]]
		if n, err := strconv.ParseUint(word[:end], 10, 16); err == nil && n > 0 && unit > 0 {
			*s = since{ago: time.Duration(n) * unit}
			return nil
		}
	}
	return fmt.Errorf("%q is neither a length of time (36h, 7d, 2w), nor a date (2026-11-21, which begins at "+
		"00:00 UTC), nor a time (2026-11-21T08:00:00+01:00)", word)
}

const day = 24 * time.Hour

// from returns when the period begins.
func (s since) from(now time.Time) time.Time {
	if s.ago > 0 {
		return now.Add(-s.ago)
	}
	return s.at
}
