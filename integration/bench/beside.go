package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"helo-milter/integration/rig"
)

const (
	besideRate = 500 // messages a second
	manyTabs   = 100
)

// watching is what happens at the console while mail comes in.
type watching struct {
	name    string
	program *program
	begin   func(address string) (end func())

	costs   []cost
	slowest float64
	dropped float64 // share of the messages that the console does not show
}

// beside measures messages at a fixed rate and as fast as they can come, without and with a console.
func beside(t rig.T, out io.Writer, plan plan, clients pool, without, with *program) {
	nobody := func(string) func() { return func() {} }
	all := []*watching{
		{name: "no console", program: without, begin: nobody},
		{name: "a console, nobody looks", program: with, begin: nobody},
		{name: fmt.Sprintf("%d tabs", manyTabs), program: with, begin: leftOpen(true)},
		{name: fmt.Sprintf("%d tabs that do not read", manyTabs), program: with, begin: leftOpen(false)},
		{name: "a what-if runs", program: with, begin: trying},
	}
	for range plan.rounds {
		for _, i := range rand.Perm(len(all)) {
			all[i].measure(t, clients, 10*plan.round, paced(besideRate, anyOf(clients.size)))
		}
	}
	fmt.Fprintf(out, besideTitle, besideRate, plan.rounds, 10*plan.round)
	printWatching(out, all)
	fast := []*watching{
		{name: "no console", program: without, begin: nobody},
		{name: "a console, nobody looks", program: with, begin: nobody},
		{name: fmt.Sprintf("%d tabs", manyTabs), program: with, begin: leftOpen(true)},
	}
	for range 2 * plan.rounds {
		for _, i := range rand.Perm(len(fast)) {
			fast[i].measure(t, clients, 2*plan.round, anyOf(clients.size))
		}
	}
	fmt.Fprintf(out, "\nThe same as fast as they can come, in %d rounds of %v:\n\n", 2*plan.rounds, 2*plan.round)
	printWatching(out, fast)
}

const besideTitle = `
### Beside mail

Messages on a unix socket, 16 at a time, %d a second, DNS answers cached, decision_log on; %d interleaved rounds
of %v, medians of each round's. CPU is all of the daemon's, for the console, too. The tabs are of this program, on
the same cores.

`

// measure plays sessions for a round of a length, once all is open at the console.
func (w *watching) measure(t rig.T, clients pool, round time.Duration, next picker) {
	end := w.begin(w.program.http)
	dropped, before := rig.Metrics(t, w.program.http)["helo_milter_console_dropped_total"], w.program.used(t)
	l := clients.play(w.program.sockets["unix"], 16, false, during(round, next))
	l.enough(t, w.name)
	after := w.program.used(t)
	w.dropped += rig.Metrics(t, w.program.http)["helo_milter_console_dropped_total"] - dropped
	end()
	n := float64(len(l.times))
	w.costs = append(w.costs, cost{
		cpu: micros(after.cpu-before.cpu) / n, rate: n / l.took.Seconds(),
		p50: micros(quantile(l.times, 0.50)), p95: micros(quantile(l.times, 0.95)), p99: micros(quantile(l.times, 0.99)),
	})
	w.slowest = max(w.slowest, micros(quantile(l.times, 1)))
}

func printWatching(out io.Writer, all []*watching) {
	tab := table{head: []string{
		"at the console", "messages/s", "p50 ms", "p95", "p99", "slowest", "CPU µs", "ratio", "not shown",
	}}
	for _, w := range all {
		c := median(w.costs)
		tab.row(w.name, whole(c.rate), millis(c.p50), millis(c.p95), millis(c.p99), millis(w.slowest), whole(c.cpu),
			against(w.costs, all[0].costs), whole(w.dropped))
	}
	tab.print(out)
}

// leftOpen has tabs open.
func leftOpen(reads bool) func(string) func() {
	return func(address string) func() {
		tabs := openTabs(address, manyTabs, reads)
		if tabs.got+tabs.refused < manyTabs || tabs.got == 0 {
			log.Printf("of %d tabs, %d got a place, %d none, and %d an error", manyTabs, tabs.got, tabs.refused, tabs.cut)
		}
		return tabs.close
	}
}

// trying has one trial after the other.
func trying(address string) (end func()) {
	b := newBrowser(address)
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() {
		for ctx.Err() == nil {
			page, err := b.try()
			if err == nil {
				_, err = b.await(ctx, page)
			}
			if ctx.Err() != nil && page != "" {
				err = b.cancel(page)
			}
			if err != nil {
				log.Printf("what if: %v", err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	})
	return func() {
		cancel()
		working.Wait()
		b.client.CloseIdleConnections()
	}
}

// most is the largest resident memory that a program has had, in KiB (proc(5)).
func (p *program) most(t rig.T) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pids[0]))
	if err != nil {
		t.Fatalf("%v", err)
	}
	kib := regexp.MustCompile(`VmHWM:\s+(\d+)`).FindSubmatch(status)
	n, _ := strconv.Atoi(string(kib[1]))
	return n
}
