package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"helo-milter/integration/rig"
)

const scaleResolver = "192.0.2.203"

// cacheEntries is the default of dns.cache_entries.
const cacheEntries = 100_000

// step is a point of the curves.
type step struct {
	clients   int // 0: each client once
	atATime   int
	cpu       []float64
	questions []float64
}

// scale measures what a message costs with more clients and with more sessions at a time.
func scale(t rig.T, out io.Writer, plan plan) {
	dns := serve(t, scaleResolver, 0)
	milter := start(t, ours, scaleResolver)
	var steps []*step
	for _, clients := range plan.curve {
		steps = append(steps, &step{clients: clients, atATime: 16})
	}
	for _, atATime := range []int{100, 1000} {
		steps = append(steps, &step{clients: plan.curve[0], atATime: atATime})
	}
	steps = append(steps, &step{atATime: 16})
	milter.warm(t, pool{size: plan.clients}) // those that come most often
	strangers := eachOnce(plan.curve[len(plan.curve)-1], 1<<22)
	for range plan.rounds {
		for _, s := range steps {
			next := zipfFor(s.clients, plan.round)
			if s.clients == 0 {
				next = during(plan.round, strangers)
			}
			s.play(t, milter, dns, next)
		}
	}
	printCurve(out, steps)
}

const scaleTitle = `
## More clients, more sessions at a time

On unix sockets; clients come by Zipf's law (s = 1.1), so that most are known and many come once. cache_entries is %d,
the default: what it does not hold, or has not seen yet, is asked for, which costs more than all else. The
last column is the ratio without that: each question taken to cost what it costs in the last row, where each client
comes once.

`

func printCurve(out io.Writer, steps []*step) {
	base, last := steps[0], steps[len(steps)-1]
	known, asked := middle(base.cpu), middle(base.questions)
	question := (middle(last.cpu) - known) / max(0.01, middle(last.questions)-asked)
	tab := table{head: []string{
		"clients", "at a time", "CPU µs", "ratio", "questions a message", "ratio without them",
	}}
	for _, s := range steps {
		clients := fmt.Sprint(s.clients)
		if s.clients == 0 {
			clients = "each once"
		}
		cpu, questions := middle(s.cpu), middle(s.questions)
		tab.row(clients, s.atATime, whole(cpu), ratio(cpu, known), fmt.Sprintf("%.2f", questions),
			ratio(cpu-question*questions, known-question*asked))
	}
	fmt.Fprintf(out, scaleTitle, cacheEntries)
	tab.print(out)
}

// play plays sessions and notes what a message cost.
func (s *step) play(t rig.T, milter *program, dns *nameserver, next picker) {
	before, asked := milter.used(t), dns.questions.Load()
	l, err := pool{}.play(milter.sockets["unix"], s.atATime, false, next)
	if err != nil || len(l.times) == 0 {
		t.Fatalf("scale: %d sessions: %v", len(l.times), err)
	}
	n := float64(len(l.times))
	s.cpu = append(s.cpu, micros(milter.used(t).cpu-before.cpu)/n)
	s.questions = append(s.questions, float64(dns.questions.Load()-asked)/n)
}

// zipfFor picks clients by Zipf's law for a time.
func zipfFor(clients int, d time.Duration) picker {
	var mu sync.Mutex
	law := rand.NewZipf(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), 1.1, 1, uint64(max(1, clients)-1))
	return during(d, func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		return int(law.Uint64()), true
	})
}
