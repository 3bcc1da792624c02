package daemon

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A script is events by their letter, and pauses. The result: what is let through, and how many were
// suppressed before it.
func TestThrottle(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"a", "a0"},
		{"a a a", "a0"},
		{"a b a b", "a0 b0"},
		{"a a a 1m a", "a0 a2"},
		{"a 59s a 1s a", "a0 a1"},
		{"a 1m a a 1m a", "a0 a0 a1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newThrottle(time.Minute)
			var got []string
			for word := range strings.FieldsSeq(tt.script) {
				if pause, err := time.ParseDuration(word); err == nil {
					time.Sleep(pause)
				} else if ok, suppressed := r.allow(word); ok {
					got = append(got, fmt.Sprint(word, suppressed))
				}
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.script, got, tt.want)
			}
		})
	}
}

// However many kinds there are, memory is bounded; there is room again when they are old.
func TestThrottleFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, allowed := newThrottle(time.Minute), 0
		for range 2 {
			for n := range 2 * maxKeys {
				if ok, _ := r.allow(fmt.Sprint(n)); ok {
					allowed++
				}
			}
			time.Sleep(time.Minute)
		}
		if allowed != 2*maxKeys || len(r.last) > maxKeys {
			t.Errorf("%d let through, %d remembered", allowed, len(r.last))
		}
	})
}
