package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"time"

	"helo-milter/integration/rig"
)

const (
	soakResolver = "192.0.2.205"
	soakRate     = 100 // messages a second
	soakTabs     = 10
)

// soak plays messages at a fixed rate for long, with the console open, and looks at what the daemon holds.
func soak(t rig.T, out io.Writer, plan plan) {
	serve(t, soakResolver, 0)
	clients := pool{size: plan.clients, mixed: true}
	p := &program{name: ours}
	p.startOurs(t, soakResolver, logTo(tempDir(t)+"/decisions"), "console = true", "")
	p.wait(t)
	p.warm(t, clients)
	before := p.held(t)
	fmt.Fprintf(out, soakTitle, soakRate, soakTabs)
	fmt.Fprintf(out, "before: %v\n", before)
	watchers := watch(p.http)
	var rss []float64
	for minute := range plan.minutes {
		l := clients.play(p.sockets["unix"], 16, false, during(time.Minute, paced(soakRate, anyOf(clients.size))))
		l.enough(t, "soak")
		now := p.held(t)
		rss = append(rss, now.rss)
		fmt.Fprintf(out, "%3d min: %v, %.0f messages/s, p50 %s ms, p99 %s, slowest %s; %s\n", minute+1, now,
			float64(len(l.times))/l.took.Seconds(), millis(micros(quantile(l.times, 0.5))),
			millis(micros(quantile(l.times, 0.99))), millis(micros(quantile(l.times, 1))), watchers.report())
	}
	watchers.leave()
	after := p.held(t)
	for wait := 0; wait < 30 && after.goroutines > before.goroutines; wait++ {
		time.Sleep(time.Second) // connections that are closed
		after = p.held(t)
	}
	fmt.Fprintf(out, "after: %v\n", after)
	fmt.Fprintln(out, flat(rss))
	verdict := "as at the start"
	if after.goroutines > before.goroutines {
		verdict = "MORE THAN AT THE START"
	}
	fmt.Fprintf(out, "goroutines: %.0f, then %.0f: %s\n", before.goroutines, after.goroutines, verdict)
}

const soakTitle = `
## A console that is left open

%d messages a second, %d tabs on the streams, each page every 10 s, one query of the decision log every 10 s (a
search for an address, a network, a HELO and a PTR, a client, a decision), a what-if every 5 minutes.

`

// held is what a daemon holds.
type held struct {
	rss, heap          float64 // MiB
	goroutines         float64
	decisions, dropped float64 // dropped are those not shown and not logged
}

func (h held) String() string {
	return fmt.Sprintf("RSS %.1f MiB, heap in use %.1f, %.0f goroutines, %.0f decisions, %.0f dropped",
		h.rss, h.heap, h.goroutines, h.decisions, h.dropped)
}

func (p *program) held(t rig.T) held {
	m := rig.Metrics(t, p.http)
	return held{
		rss: float64(p.used(t).memory) / 1024, heap: m["go_memstats_heap_inuse_bytes"] / (1 << 20),
		goroutines: m["go_goroutines"], decisions: rig.Sum(m, "helo_milter_decisions_total"),
		dropped: m["helo_milter_console_dropped_total"] + m["helo_milter_decision_log_dropped_total"],
	}
}

// flat says whether values of each minute have grown in the second half, by the line of least squares.
func flat(values []float64) string {
	values = values[len(values)/2:]
	n := float64(len(values))
	var sumX, sumY, sumXX, sumXY float64
	for i, y := range values {
		x := float64(i)
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	if n < 2 {
		return "RSS: too few minutes for a verdict"
	}
	slope := (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
	verdict := "flat"
	const noise = 0.05
	if slope*n > noise*sumY/n {
		verdict = "NOT FLAT"
	}
	return fmt.Sprintf("RSS in the second half: %.1f MiB at the mean, %+.2f MiB an hour: %s", sumY/n, 60*slope, verdict)
}

// watchers keep a console busy until they leave.
type watchers struct {
	*browser
	tabs    *tabs
	ctx     context.Context
	cancel  func()
	working sync.WaitGroup

	mu      sync.Mutex
	asked   int
	failed  int
	slowest time.Duration // since the last report
	which   string        // was that
	trial   time.Duration // the last one
}

func watch(address string) *watchers {
	w := &watchers{browser: newBrowser(address), tabs: openTabs(address, soakTabs, true)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.every(10*time.Second, func(int) {
		for _, page := range []string{"", "clients", "rules", "days", "dns", "whatif"} {
			w.ask(page)
		}
	})
	some := pool{mixed: true}.client(1)
	queries := []string{
		"clients?client=" + some.addr.String(), "clients?client=20.0.0.0/16", "clients?helo=sender1", "clients?ptr=sender2",
		"client/" + pool{mixed: true}.client(2).addr.String(), "rules/helo-not-fqdn", "decision/none",
	}
	w.every(10*time.Second, func(n int) { w.ask(queries[n%len(queries)]) })
	w.every(5*time.Minute, func(int) { w.whatif() })
	return w
}

// every works at once and then every so often.
func (w *watchers) every(d time.Duration, work func(n int)) {
	w.working.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for n := 0; ; n++ {
			work(n)
			select {
			case <-tick.C:
			case <-w.ctx.Done():
				return
			}
		}
	})
}

func (w *watchers) ask(page string) {
	_, took, err := w.get(w.ctx, page)
	w.note(page, took, err)
}

func (w *watchers) note(page string, took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if took > w.slowest {
		w.slowest, w.which = took, page
	}
	if err != nil && w.ctx.Err() == nil && !strings.HasPrefix(page, "decision/") { // there is none
		w.failed++
		log.Printf("/console/%s: %v", page, err)
	}
}

func (w *watchers) whatif() {
	begin := time.Now()
	page, err := w.try()
	if err == nil {
		_, err = w.await(w.ctx, page)
	}
	w.note("whatif", 0, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trial = time.Since(begin)
}

// report says what they saw, the slowest page since the last report.
func (w *watchers) report() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := fmt.Sprintf("%d pages, %d failed, the slowest %q in %s ms, the last what-if %.1f s",
		w.asked, w.failed, w.which, millis(micros(w.slowest)), w.trial.Seconds())
	w.slowest, w.which = 0, ""
	return text
}

// leave closes all pages.
func (w *watchers) leave() {
	w.cancel()
	w.tabs.close()
	w.working.Wait()
	w.client.CloseIdleConnections()
}
