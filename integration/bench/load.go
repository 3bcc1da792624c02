package main

import (
	"cmp"
	"log"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"helo-milter/integration/rig"
)

// load is what sessions at a time did.
type load struct {
	took time.Duration
	// Sorted:
	times   []time.Duration // of each session
	greeted []time.Duration // of their beginning: connecting, negotiation, CONNECT and HELO

	failed int
	err    error // of one that failed
}

// enough fails unless sessions were played and at most one in a hundred failed: on a busy machine a milter
// hangs up on a few of a thousand that connect together, and an MTA lives with that.
func (l *load) enough(t rig.T, what string) {
	t.Helper()
	switch {
	case len(l.times) == 0 || 100*l.failed > len(l.times):
		t.Fatalf("%s: of %d sessions %d failed: %v", what, len(l.times)+l.failed, l.failed, l.err)
	case l.failed > 0:
		log.Printf("%s: of %d sessions %d failed: %v", what, len(l.times)+l.failed, l.failed, l.err)
	}
}

// picker returns the number of the next session's client, or false when there are no more. It is called from
// many goroutines.
type picker func() (int, bool)

// during lets a picker pick for a time.
func during(d time.Duration, next picker) picker {
	end := time.Now().Add(d)
	var picked atomic.Bool
	return func() (int, bool) {
		i, more := next()
		first := !picked.Swap(true) // it is played however late a loaded machine begins
		return i, more && (first || time.Now().Before(end))
	}
}

// paced lets a picker pick at most so often a second. Who was late does not hurry.
func paced(rate int, next picker) picker {
	every := time.Second / time.Duration(rate)
	var mu sync.Mutex
	due := time.Now()
	return func() (int, bool) {
		mu.Lock()
		due = due.Add(every)
		if now := time.Now(); due.Before(now) {
			due = now
		}
		wait := time.Until(due)
		mu.Unlock()
		time.Sleep(wait)
		return next()
	}
}

// anyOf picks clients at random.
func anyOf(clients int) picker { return func() (int, bool) { return rand.IntN(clients), true } }

// eachOnce picks each client of [from, to) once.
func eachOnce(from, to int) picker {
	var next atomic.Int64
	next.Store(int64(from))
	return func() (int, bool) {
		i := int(next.Add(1)) - 1
		return i, i < to
	}
}

// play plays sessions of the clients that next picks, so many at a time.
func (p pool) play(socket string, atATime int, allMacros bool, next picker) load {
	each := make([]load, atATime)
	var workers sync.WaitGroup
	begin := time.Now()
	for w := range each {
		l := &each[w]
		workers.Go(func() {
			for i, ok := next(); ok; i, ok = next() {
				c := p.client(i)
				m := mta{client: &c, all: allMacros}
				start := time.Now()
				if err := m.session(socket); err != nil {
					l.failed++
					l.err = err
					continue
				}
				l.times = append(l.times, time.Since(start))
				l.greeted = append(l.greeted, m.greeted.Sub(start))
			}
		})
	}
	workers.Wait()
	sum := load{took: time.Since(begin)}
	for _, l := range each {
		sum.times, sum.greeted = append(sum.times, l.times...), append(sum.greeted, l.greeted...)
		sum.failed += l.failed
		sum.err = cmp.Or(sum.err, l.err)
	}
	slices.Sort(sum.times)
	slices.Sort(sum.greeted)
	return sum
}

// quantile returns a quantile of sorted times.
func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[int(q*float64(len(times)-1)+0.5)]
}
