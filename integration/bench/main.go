// Bench measures what the milter costs, next to milters that do nothing and to rspamd: CPU, time and memory for
// each message, for idle connections and for clients that nobody knows yet, and what an SMTP client sees.
package main

import (
	"flag"
	"io"
	"log"
	"os"
	"slices"
	"time"

	"helo-milter/integration/rig"
)

// plan is how much is measured.
type plan struct {
	rounds     int
	round      time.Duration
	clients    int
	situations []situation
	idle       int           // connections
	hold       time.Duration // how long they are held before their memory is looked at
	cold       int           // sessions of new clients, by how many are at a time
	curve      []int         // numbers of clients
	sessions   int           // of an SMTP client through each MTA with each milter
	allMacros  bool
}

var usualPlan = plan{
	rounds: 4, round: 1200 * time.Millisecond, clients: 10_000, situations: situations,
	idle: 10_000, hold: 2 * time.Second, cold: 60, curve: []int{1000, 10_000, 100_000, 1_000_000}, sessions: 150,
}

// quickPlan takes about a minute.
var quickPlan = plan{
	rounds: 2, round: 300 * time.Millisecond, clients: 1000, situations: situations,
	idle: 2000, hold: time.Second, cold: 10, curve: []int{1000, 1_000_000}, sessions: 10,
}

var situations = []situation{{"inet", 1}, {"inet", 16}, {"inet", 256}, {"unix", 1}, {"unix", 16}, {"unix", 256}}

// parts are what can be measured.
var parts = []struct {
	name string
	run  func(rig.T, io.Writer, plan)
}{
	{"messages", messages},
	{"idle", idle},
	{"cold", cold},
	{"scale", scale},
	{"smtp", smtp},
}

func main() {
	quick := flag.Bool("quick", false, "a minute, with less certain figures")
	all := flag.Bool("macros", false, "send all macros, not as Postfix does those that the milter asked for")
	form := flag.String("noop", "", "be a no-op milter in this form; the program runs itself with it")
	flag.Parse()
	if *form != "" {
		log.Fatal(serveNoop(*form, flag.Args()))
	}
	rig.Enter()
	plan := usualPlan
	if *quick {
		plan = quickPlan
	}
	plan.allMacros = *all
	for _, part := range parts {
		if flag.NArg() == 0 && part.name != "smtp" || slices.Contains(flag.Args(), part.name) {
			b := &bench{}
			part.run(b, os.Stdout, plan)
			b.end()
		}
	}
}

// bench is the rig.T of this program.
type bench struct{ cleanups []func() }

func (b *bench) Helper()                           {}
func (b *bench) Cleanup(f func())                  { b.cleanups = append(b.cleanups, f) }
func (b *bench) Errorf(format string, args ...any) { log.Printf(format, args...) }
func (b *bench) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

func (b *bench) end() {
	for _, f := range slices.Backward(b.cleanups) {
		f()
	}
}
