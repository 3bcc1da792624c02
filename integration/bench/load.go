package main

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is what sessions at a time did.
type load struct {
	took time.Duration
	// Sorted:
	times   []time.Duration // of each session
	greeted []time.Duration // of their beginning: connecting, negotiation, CONNECT and HELO
}

// picker returns the number of the next session's client, or false when there are no more. It is called from
// many goroutines.
type picker func() (int, bool)

// during lets a picker pick for a time.
func during(d time.Duration, next picker) picker {
	end := time.Now().Add(d)
	return func() (int, bool) {
		i, more := next()
		return i, more && time.Now().Before(end)
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
func (p pool) play(socket string, atATime int, allMacros bool, next picker) (load, error) {
	times, greeted := make([][]time.Duration, atATime), make([][]time.Duration, atATime)
	errs := make([]error, atATime)
	var workers sync.WaitGroup
	begin := time.Now()
	for w := range atATime {
		workers.Go(func() {
			for i, ok := next(); ok && errs[w] == nil; i, ok = next() {
				c := p.client(i)
				m := mta{client: &c, all: allMacros}
				start := time.Now()
				errs[w] = m.session(socket)
				times[w] = append(times[w], time.Since(start))
				greeted[w] = append(greeted[w], m.greeted.Sub(start))
			}
		})
	}
	workers.Wait()
	l := load{took: time.Since(begin), times: slices.Concat(times...), greeted: slices.Concat(greeted...)}
	slices.Sort(l.times)
	slices.Sort(l.greeted)
	return l, errors.Join(errs...)
}

// quantile returns a quantile of sorted times.
func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[int(q*float64(len(times)-1)+0.5)]
}
