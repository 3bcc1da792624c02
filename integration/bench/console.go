package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"helo-milter/integration/rig"
)

const consoleResolver = "192.0.2.206"

// The targets.
const (
	paintTarget = 2 * time.Second
	trialTarget = 30 * time.Second
)

// console measures pages, queries and trials of the console with a long decision log, and what they cost mail.
func console(t rig.T, out io.Writer, plan plan) {
	serve(t, consoleResolver, 0)
	all := sessionModels(t, consoleResolver)
	begin := time.Now()
	past := writePast(t, all, plan.records)
	fmt.Fprintf(out, consoleTitle, plan.records, float64(past.bytes)/(1<<20), pastDays, time.Since(begin).Seconds())
	without := &program{name: "no console"}
	without.startOurs(t, consoleResolver, logTo(tempDir(t)+"/decisions"), "", "")
	with := &program{name: "console"}
	with.startOurs(t, consoleResolver, logTo(past.file), "console = true", "")
	v := &visit{T: t, browser: newBrowser(with.http), milter: with, past: past}
	v.reading(out)
	v.queries(out)
	v.trials(out)
	clients := pool{size: plan.clients, mixed: true}
	for _, p := range []*program{without, with} {
		p.wait(t)
		p.warm(t, clients)
	}
	beside(t, out, plan, clients, without, with)
	fmt.Fprintf(out, "\nMemory at the end: %s MiB, at most %s.\n", mebi(with.used(t).memory), mebi(with.most(t)))
}

const consoleTitle = `
## The console

A decision log of %d records (%.0f MiB on the disk) of %d days, in a file a day as logrotate makes them, made from
records of real sessions in %.0f s. Pages are asked for one after the other, up to their last byte, by a client that
shows nothing.

`

// visit is one to the console of a daemon.
type visit struct {
	rig.T
	*browser
	milter *program
	past   *pastLog
}

// consolePages are those that show the evidence as it is.
var consolePages = []string{"", "clients", "rules", "rules/helo-bare-ip", "days", "dns", "whatif"}

// page returns a page and how long it took.
func (v *visit) page(path string) (text string, took time.Duration) {
	text, took, err := v.get(context.Background(), path)
	if err != nil {
		v.Fatalf("/console/%s: %v", path, err)
	}
	return text, took
}

const isRead = "The decision log is being read"

// reading asks for each page while the daemon reads its decision log, and when it has.
func (v *visit) reading(out io.Writer) {
	begin, before := time.Now(), v.milter.used(v)
	memory, cpu := before.memory, before.cpu
	first, slowest := map[string]time.Duration{}, map[string]time.Duration{}
	for reads := true; reads; time.Sleep(100 * time.Millisecond) {
		for _, path := range consolePages {
			text, took := v.page(path)
			if reads = strings.Contains(text, isRead); !reads {
				break
			}
			if first[path] == 0 {
				first[path] = took
			}
			slowest[path] = max(slowest[path], took)
			memory = max(memory, v.milter.used(v).memory)
		}
	}
	took, used := time.Since(begin), v.milter.used(v)
	tab := table{head: []string{
		"page", "first, ms", "slowest while it is read", "afterwards", "size, KiB", "below " + paintTarget.String(),
	}}
	for _, path := range consolePages {
		text, after := v.page(path)
		met := max(first[path], slowest[path], after) <= paintTarget
		tab.row("/console/"+path, millis(micros(first[path])), millis(micros(slowest[path])), millis(micros(after)),
			len(text)/1024, verdict(met))
	}
	tab.print(out)
	fmt.Fprintf(out, "\nReading took %.1f s, and %.1f s of CPU with the pages. "+
		"Memory: %s MiB before, at most %s meanwhile, %s after.\n\n", took.Seconds(), (used.cpu - cpu).Seconds(), mebi(before.memory), mebi(memory), mebi(used.memory))
}

// queries asks for what is looked for in the whole log.
func (v *visit) queries(out io.Writer) {
	clients := pool{mixed: true}
	tab := table{head: []string{"query", "of", "s", "CPU s", "all of it", "MiB"}}
	for _, q := range [][2]string{
		{"address", "clients?client=" + clients.client(1).addr.String()},
		{"network", "clients?client=20.0.0.0/16"},
		{"HELO", "clients?helo=sender25.com"},
		{"PTR", "clients?ptr=sender26.com"},
		{"HELO that many say", "clients?helo=localhost"},
		{"rule", "clients?rule=ptr-missing"},
		{"a client", "client/" + clients.client(1).addr.String()},
		{"the earliest decision", "decision/" + v.past.earliest},
		{"the latest decision", "decision/" + v.past.last},
	} {
		before := v.milter.used(v)
		text, took := v.page(q[1])
		after := v.milter.used(v)
		whole := !strings.Contains(text, "time was up")
		tab.row(q[0], q[1], seconds(took), seconds(after.cpu-before.cpu), verdict(whole), mebi(after.memory))
	}
	tab.print(out)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// trials tries the profile strict, whole and canceled.
func (v *visit) trials(out io.Writer) {
	tab := table{head: []string{"what if the profile were strict", "s", "CPU s", "below " + trialTarget.String(), "MiB"}}
	for run := range 3 {
		begin, before := time.Now(), v.milter.used(v)
		page := v.begin()
		if _, err := v.await(context.Background(), page); err != nil {
			v.Fatalf("%v", err)
		}
		took, after := time.Since(begin), v.milter.used(v)
		tab.row(run+1, seconds(took), seconds(after.cpu-before.cpu), verdict(took <= trialTarget), mebi(after.memory))
	}
	fmt.Fprintln(out)
	tab.print(out)
	page := v.begin()
	time.Sleep(min(2*time.Second, time.Duration(v.past.bytes)*10)) // in the middle of it
	begin := time.Now()
	if err := v.cancel(page); err != nil {
		v.Fatalf("%v", err)
	}
	took, what := time.Since(begin), "A cancel"
	if text, _ := v.page(page); !strings.Contains(text, "canceled") {
		what = "A cancel (too late)"
	}
	fmt.Fprintf(out, "\n%s took %s ms.\n", what, millis(micros(took)))
}

// begin begins a trial.
func (v *visit) begin() (page string) {
	page, err := v.try()
	if err != nil {
		v.Fatalf("%v", err)
	}
	return page
}

func verdict(met bool) string { return map[bool]string{true: "yes", false: "NO"}[met] }
