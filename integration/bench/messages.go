package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"helo-milter/integration/rig"
)

// situation is how sessions come.
type situation struct {
	network string
	atATime int
}

func (s situation) String() string {
	return fmt.Sprintf("%s, %d", map[string]string{"inet": "TCP", "unix": "unix"}[s.network], s.atATime)
}

// cost is what a message costs. Times are in microseconds.
type cost struct {
	cpu, resolver float64
	kernel        float64 // the share of the kernel in cpu
	allocs, kib   float64
	rate          float64 // messages a second
	p50, p95, p99 float64
}

// messages measures whole sessions with a message each, DNS answers cached, in rounds of all programs in all
// situations, and prints the medians.
func messages(t rig.T, out io.Writer, plan plan) {
	clients := pool{size: plan.clients}
	resolver := startUnbound(t, clients, cachedResolver)
	programs := start(t, cachedResolver, programNames...)
	for _, p := range programs {
		if p.keeps {
			p.warm(t, clients)
		}
	}
	samples := map[string][]cost{}
	key := func(p *program, s situation) string { return p.name + s.String() }
	for range plan.rounds {
		for _, s := range plan.situations {
			for _, i := range rand.Perm(len(programs)) {
				p := programs[i]
				samples[key(p, s)] = append(samples[key(p, s)], p.measure(t, clients, s, plan, resolver))
			}
		}
	}
	tab := table{head: []string{
		"at a time", "program", "CPU µs", "user", "kernel", "resolver", "go = 1", "lib = 1",
		"messages/s", "p50 ms", "p95", "p99", "allocations", "KiB",
	}}
	for _, s := range plan.situations {
		base, lib := samples[key(programs[0], s)], samples[key(programs[2], s)]
		for _, p := range programs {
			all := samples[key(p, s)]
			c := median(all)
			allocs, kib := fmt.Sprintf("%.0f", c.allocs), fmt.Sprintf("%.1f", c.kib)
			if p.memory == nil {
				allocs, kib = "", ""
			}
			tab.row(s, p.name, whole(c.cpu), whole(c.cpu*(1-c.kernel)), whole(c.cpu*c.kernel), whole(c.resolver),
				against(all, base), against(all, lib), whole(c.rate),
				millis(c.p50), millis(c.p95), millis(c.p99), allocs, kib)
		}
	}
	fmt.Fprintf(out, messagesTitle, plan.clients, plan.rounds, plan.round, goAgain)
	tab.print(out)
}

const messagesTitle = `
## What a message costs

Sessions of %d clients with one message each, DNS answers cached, on a connection each: CONNECT, HELO, MAIL, RCPT, 8
header fields, end of message. Medians of %d interleaved rounds of %v. CPU is of all processes of the program, beside
it that of its DNS resolver; the ratios to the no-op milters are of the sum, and medians of each round's.
"%s" is a second process of the first program: what it differs from 1 is noise.

`

// cachedResolver is the address of the unbound that knows all clients.
const cachedResolver = "192.0.2.200"

// warm plays a session of each client.
func (p *program) warm(t rig.T, clients pool) {
	l := clients.play(p.sockets["unix"], 16, false, eachOnce(0, clients.size))
	l.enough(t, p.name)
}

// measure plays sessions for a round.
func (p *program) measure(t rig.T, clients pool, s situation, plan plan, resolver int) cost {
	allocs, bytes := p.allocated() // which costs CPU, too
	before, dnsBefore := p.used(t), usedNow(t, []int{resolver})
	l := clients.play(p.sockets[s.network], s.atATime, plan.allMacros, during(plan.round, anyOf(clients.size)))
	l.enough(t, fmt.Sprintf("%s, %v", p.name, s))
	after, dnsAfter := p.used(t), usedNow(t, []int{resolver})
	allocsAfter, bytesAfter := p.allocated()
	n := float64(len(l.times))
	c := cost{
		cpu:      micros(after.cpu-before.cpu) / n,
		resolver: micros(dnsAfter.cpu-dnsBefore.cpu) / n,
		allocs:   float64(allocsAfter-allocs) / n,
		kib:      float64(bytesAfter-bytes) / n / 1024,
		rate:     n / l.took.Seconds(),
		p50:      micros(quantile(l.times, 0.50)),
		p95:      micros(quantile(l.times, 0.95)),
		p99:      micros(quantile(l.times, 0.99)),
	}
	user, kernel := after.user-before.user, after.kernel-before.kernel
	c.kernel = float64(kernel) / float64(max(1, user+kernel))
	return c
}

func (p *program) used(t rig.T) usage { return usedNow(t, p.pids) }

func usedNow(t rig.T, pids []int) usage {
	u, err := used(pids)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return u
}

func (p *program) allocated() (allocs, bytes uint64) {
	if p.memory == nil {
		return 0, 0
	}
	return p.memory()
}

// against returns the median of the ratios of each round: other load on the machine was much the same for both.
func against(samples, base []cost) string {
	var ratios []float64
	for i, c := range samples {
		ratios = append(ratios, (c.cpu+c.resolver)/base[i].cpu)
	}
	return fmt.Sprintf("%.2f", middle(ratios))
}

// median returns the median of each value.
func median(samples []cost) (m cost) {
	for _, value := range []func(*cost) *float64{
		func(c *cost) *float64 { return &c.cpu }, func(c *cost) *float64 { return &c.kernel },
		func(c *cost) *float64 { return &c.resolver },
		func(c *cost) *float64 { return &c.allocs }, func(c *cost) *float64 { return &c.kib },
		func(c *cost) *float64 { return &c.rate }, func(c *cost) *float64 { return &c.p50 },
		func(c *cost) *float64 { return &c.p95 }, func(c *cost) *float64 { return &c.p99 },
	} {
		var all []float64
		for _, s := range samples {
			all = append(all, *value(&s))
		}
		*value(&m) = middle(all)
	}
	return m
}

func middle(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return (values[(n-1)/2] + values[n/2]) / 2
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
