// Bench measures what the milter costs, next to milters that do nothing and to rspamd: CPU, time and memory for
// each message, for idle connections and for clients that nobody knows yet, and what an SMTP client sees.
package main

import (
	"flag"
	"fmt"
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
	known      []int         // numbers of clients that are all in the cache
	sessions   int           // of an SMTP client through each MTA with each milter
	allMacros  bool
	records    int // of the console's decision log
	minutes    int // of soak
}

var usualPlan = plan{
	rounds: 8, round: 600 * time.Millisecond, clients: 10_000, situations: situations,
	idle: 10_000, hold: 2 * time.Second, cold: 60, curve: []int{1000, 10_000, 100_000, 1_000_000}, sessions: 150,
	known: []int{1000, 10_000, 100_000}, records: 1_000_000,
}

// quickPlan takes about a minute.
var quickPlan = plan{
	rounds: 4, round: 150 * time.Millisecond, clients: 1000, situations: situations,
	idle: 2000, hold: time.Second, cold: 10, curve: []int{1000, 1_000_000}, sessions: 10,
	known: []int{1000, 10_000}, records: 50_000,
}

var situations = []situation{{"inet", 1}, {"inet", 16}, {"inet", 256}, {"unix", 1}, {"unix", 16}, {"unix", 256}}

// part is something that can be measured.
type part struct {
	name  string
	usual bool // it is measured when no part is named
	run   func(rig.T, io.Writer, plan)
}

var parts = []part{
	{"messages", true, messages},
	{"idle", true, idle},
	{"cold", true, cold},
	{"scale", true, scale},
	{"smtp", false, smtp},
	{"console", false, console},
	{"fleet", false, fleet},
	{"soak", false, soak},
}

func help() {
	fmt.Fprintln(os.Stderr, "usage: bench [flags] [messages] [idle] [cold] [scale] [smtp] [console] [fleet] [soak]\n"+
		"Without a part, the first four.")
	flag.PrintDefaults()
}

func main() {
	maybeNoop()
	quick := flag.Bool("quick", false, "a minute, with less certain figures")
	all := flag.Bool("macros", false, "send all macros, not as Postfix does those that the milter asked for")
	profiles := flag.String("profile", "", "also write CPU profiles of ours to this directory")
	known := flag.Int("known", 0, "also measure as many clients that are all in the cache: a million take ten minutes and 1.5 GB")
	minutes := flag.Int("minutes", 60, "how long soak takes")
	flag.Usage = help
	names := arguments()
	for _, name := range names {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			help()
			os.Exit(2)
		}
	}
	rig.Enter()
	plan := usualPlan
	if *quick {
		plan = quickPlan
	}
	plan.allMacros, plan.minutes = *all, *minutes
	if *known > 0 {
		plan.known = append(slices.Clone(plan.known), *known)
	}
	for _, part := range parts {
		if len(names) == 0 && part.usual || slices.Contains(names, part.name) {
			b := &bench{}
			part.run(b, os.Stdout, plan)
			b.end()
		}
	}
	if *profiles != "" {
		b := &bench{}
		profile(b, os.Stdout, plan, *profiles)
		b.end()
	}
}

// arguments parses the flags, also those behind the name of a part, and returns the names.
func arguments() (names []string) {
	flag.Parse()
	for flag.NArg() > 0 {
		names = append(names, flag.Arg(0))
		_ = flag.CommandLine.Parse(flag.Args()[1:]) // a mistake ends the program
	}
	return names
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
