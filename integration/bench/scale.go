package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"helo-milter/integration/rig"
)

const scaleResolver = "192.0.2.203"

// cacheEntries is the default of dns.cache_entries.
const cacheEntries = 100_000

// step is a point of the curves.
type step struct {
	program   *program
	clients   int // 0: each client once
	atATime   int
	costs     []cost // of each round
	questions []float64
}

// scale measures what a message costs with more clients and with more sessions at a time.
func scale(t rig.T, out io.Writer, plan plan) {
	dns := serve(t, scaleResolver, 0)
	programs := start(t, scaleResolver, ours, goNoop)
	milter, noop, least := programs[0], programs[1], plan.curve[0]
	var steps []*step
	for _, clients := range plan.curve {
		steps = append(steps, &step{program: milter, clients: clients, atATime: 16})
	}
	steps = append(steps, &step{program: milter, atATime: 16})
	for _, p := range []*program{milter, noop} {
		for _, atATime := range []int{16, 100, 1000} {
			steps = append(steps, &step{program: p, clients: least, atATime: atATime})
		}
	}
	milter.warm(t, pool{size: plan.clients}) // those that come most often
	strangers := eachOnce(plan.curve[len(plan.curve)-1], most)
	for range plan.rounds {
		for _, i := range rand.Perm(len(steps)) {
			s := steps[i]
			next := zipfFor(s.clients, plan.round)
			if s.clients == 0 {
				next = during(plan.round, strangers)
			}
			s.play(t, dns, next)
		}
	}
	fmt.Fprintf(out, scaleTitle, cacheEntries)
	printCurve(out, steps[:len(plan.curve)+1])
	fmt.Fprintln(out)
	printCurve(out, steps[len(plan.curve)+1:])
	scaleKnown(t, out, plan, dns)
}

// namesOf is how many names a client has in the cache, at most.
const namesOf = 8

// scaleKnown measures what a message costs with more clients that are all in the cache.
func scaleKnown(t rig.T, out io.Writer, plan plan, dns *nameserver) {
	most := slices.Max(plan.known)
	p := &program{name: ours}
	p.startOurs(t, scaleResolver, "", "", fmt.Sprintf("cache_entries = %d", max(cacheEntries, namesOf*most)))
	p.wait(t)
	p.warm(t, pool{size: most})
	var steps []*step
	for _, clients := range plan.known {
		steps = append(steps, &step{program: p, clients: clients, atATime: 16})
	}
	for range plan.rounds {
		for _, i := range rand.Perm(len(steps)) {
			steps[i].play(t, dns, during(plan.round, anyOf(steps[i].clients)))
		}
	}
	fmt.Fprintf(out, knownTitle, namesOf)
	printCurve(out, steps)
}

const knownTitle = `
## More clients, all of them in the cache

On unix sockets; any client is as likely as any other. cache_entries is %d times the most clients.

`

const scaleTitle = `
## More clients, more sessions at a time

On unix sockets; clients come by Zipf's law (s = 1.1), so that most are known and many come once. cache_entries is %d,
the default: what it does not hold, or has not seen yet, is asked for, and that costs more than all else.

`

// printCurve prints steps, with ratios to the first of their program.
func printCurve(out io.Writer, steps []*step) {
	tab := table{head: []string{"program", "clients", "at a time", "CPU µs", "ratio", "questions a message"}}
	var base []cost
	for i, s := range steps {
		clients := fmt.Sprint(s.clients)
		if s.clients == 0 {
			clients = "each once"
		}
		if i == 0 || s.program != steps[i-1].program {
			base = s.costs
		}
		tab.row(s.program.name, clients, s.atATime, whole(median(s.costs).cpu), against(s.costs, base),
			fmt.Sprintf("%.2f", middle(s.questions)))
	}
	tab.print(out)
}

// play plays sessions and notes what a message cost.
func (s *step) play(t rig.T, dns *nameserver, next picker) {
	before, asked := s.program.used(t), dns.questions.Load()
	l := pool{}.play(s.program.sockets["unix"], s.atATime, false, next)
	l.enough(t, fmt.Sprintf("%s, %d clients, %d at a time", s.program.name, s.clients, s.atATime))
	n := float64(len(l.times))
	s.costs = append(s.costs, cost{cpu: micros(s.program.used(t).cpu-before.cpu) / n})
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
