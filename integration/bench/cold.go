package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"helo-milter/integration/rig"
)

// rtt is how long the resolver takes to answer what is not cached.
const rtt = 20 * time.Millisecond

const coldResolver = "192.0.2.201"

// cold measures sessions of clients that come for the first time.
func cold(t rig.T, out io.Writer, plan plan) {
	serve(t, coldResolver, rtt)
	milter := start(t, coldResolver, ours)[0]
	tab := table{head: []string{
		"at a time", "clients", "HELO name", "p50 in RTT", "p95", "questions alone: p50", "p95", "up to HELO: p95 ms",
	}}
	next := map[bool]int{} // of the one organisation, and of many
	for _, atATime := range []int{1, 16} {
		for _, one := range []bool{true, false} {
			for _, other := range []bool{false, true} {
				from := next[one]
				clients := newcomers{from: from, one: one, other: other}
				l := pool{one: one}.play(milter.sockets["unix"], atATime, plan.allMacros,
					clients.first(plan.cold*atATime))
				l.enough(t, "cold")
				next[one] = from + clients.room(plan.cold*atATime)
				alone := pool{one: one}.ask(t, atATime, clients.first(plan.cold*atATime))
				tab.row(atATime, map[bool]string{true: "of one organisation", false: "of many"}[one],
					map[bool]string{true: "another one", false: "the reverse name"}[other],
					inRTT(l.times, 0.5), inRTT(l.times, 0.95), inRTT(alone, 0.5), inRTT(alone, 0.95),
					millis(micros(quantile(l.greeted, 0.95))))
			}
		}
	}
	fmt.Fprintf(out, coldTitle, rtt)
	tab.print(out)
}

const coldTitle = `
## Clients that come for the first time

Whole sessions, each of a client that is not in the cache; the resolver answers after %v, one RTT. A client whose HELO
name is its reverse name takes one RTT, another one two: the reverse name's addresses are asked for when it is known.
"Questions alone" are the same ones, asked by a client that does nothing else, just after and as many at a time.

`

func inRTT(times []time.Duration, q float64) string {
	return fmt.Sprintf("%.2f", quantile(times, q).Seconds()/rtt.Seconds())
}

// newcomers are clients from a number on: all of them of the one organisation, or the first host of each of
// many; those that say another name than their reverse name, or those that do not.
type newcomers struct {
	from       int
	one, other bool
}

// first picks the first n of them.
func (c newcomers) first(n int) picker {
	numbers := make([]int, 0, n)
	for i := c.from; len(numbers) < n; i += c.stride() {
		if otherHelo(i) == c.other {
			numbers = append(numbers, i)
		}
	}
	var next atomic.Int64
	return func() (int, bool) {
		i := int(next.Add(1)) - 1
		if i >= n {
			return 0, false
		}
		return numbers[i], true
	}
}

func (c newcomers) stride() int {
	if c.one {
		return 1
	}
	return hosts
}

// room is how many numbers the first n can take.
func (c newcomers) room(n int) int { return 5 * (n + 1) * c.stride() }
