package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"helo-milter/integration/rig"
)

// smtp measures what the milter costs an SMTP client: the time of a session, from connecting to the 250 after
// DATA, and of each command, through Postfix and Sendmail, without a milter, with milters that get the same
// events and do nothing, and with ours, DNS answers cached.
func smtp(t rig.T, out io.Writer, plan plan) {
	sink := rig.StartSink(t)
	var setups []*setup
	for _, mta := range rig.MTAs {
		for _, milter := range milters {
			socket := milter.start(t)
			setups = append(setups, &setup{mta: mta, name: milter.name, server: rig.Start(t, mta, sink, socket)})
		}
	}
	const warmUp = 5
	delivered := 0
	for round := range warmUp + plan.sessions {
		for _, i := range rand.Perm(len(setups)) { // in random order
			setups[i].session(t, round >= warmUp)
			delivered++
			sink.Wait(t, delivered) // the next session has the machine to itself
		}
	}
	printSetups(out, setups)
}

// milters are compared. Each has a process of its own for each MTA.
var milters = []struct {
	name  string
	start func(rig.T) (socket string)
}{
	{"no milter", func(rig.T) string { return "" }},
	{"no-op, unix", func(t rig.T) string { return startNoop(t, plain, "unix").sockets["unix"] }},
	{"no-op that adds a header, unix", func(t rig.T) string { return startNoop(t, adding, "unix").sockets["unix"] }},
	{"helo-milter, unix", func(t rig.T) string { return rig.StartMilter(t, "unix", "").Socket }},
	{"no-op without our guard, inet", func(t rig.T) string { return startNoop(t, bare, "inet").sockets["inet"] }},
	{"no-op, inet", func(t rig.T) string { return startNoop(t, plain, "inet").sockets["inet"] }},
	{"no-op that adds a header, inet", func(t rig.T) string { return startNoop(t, adding, "inet").sockets["inet"] }},
	{"helo-milter, inet", func(t rig.T) string { return rig.StartMilter(t, "inet", "").Socket }},
}

// setup is an MTA with one of the milters.
type setup struct {
	mta, name string
	server    rig.MTA
	times     []time.Duration
	commands  [6][]time.Duration // the times of each command
}

var commands = [6]string{"banner", "EHLO", "MAIL", "RCPT", "DATA", "end"}

func (s *setup) session(t rig.T, measured bool) {
	client := netip.MustParseAddr("203.0.113.10")
	const script = "EHLO mail.example.org|MAIL FROM:<a@example.org>|RCPT TO:<b@example.net>|DATA"
	begin := time.Now()
	replies := rig.Talk(t, client, s.server.Endpoint(client), script, rig.Message)
	took := time.Since(begin)
	if len(replies) != len(commands) || replies[len(replies)-1].Code != 250 {
		t.Fatalf("%s, %s: %+v\n%s", s.mta, s.name, replies, s.server.Log())
	}
	if !measured {
		return
	}
	s.times = append(s.times, took)
	for i, reply := range replies {
		s.commands[i] = append(s.commands[i], reply.Took)
	}
}

// printSetups prints a table for each MTA, in milliseconds.
func printSetups(out io.Writer, setups []*setup) {
	base, mta := time.Duration(0), ""
	for _, s := range setups {
		slices.Sort(s.times)
		median := quantile(s.times, 0.5)
		if s.mta != mta {
			base, mta = median, s.mta
			fmt.Fprintf(out, "\n%-32s%8s%8s%8s%8s   medians:", mta, "p10", "median", "p90", "ratio")
			for _, name := range commands {
				fmt.Fprintf(out, "%8s", name)
			}
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%-32s%8.2f%8.2f%8.2f%8.2f           ", s.name, ms(quantile(s.times, 0.1)), ms(median),
			ms(quantile(s.times, 0.9)), float64(median)/float64(base))
		for _, times := range s.commands {
			slices.Sort(times)
			fmt.Fprintf(out, "%8.2f", ms(quantile(times, 0.5)))
		}
		fmt.Fprintln(out)
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
