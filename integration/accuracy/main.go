// Accuracy measures how well the rules separate spam from ham: it judges hand-over hops of real mail, with
// the facts recorded when the mail came, through the same pipe as the daemon and without DNS, and counts the
// spam that each rule, each profile and the summed score catch, and the ham that they hit.
//
// What the DNS said about the HELO names was not recorded. By default they are assumed to exist and not to
// resolve to the client, except for names that were confirmed for the client: so the brand rules and
// helo-unverified count every hop that they could hit, of ham as well. See --helo.
//
// Scores are not chosen by hand. When rules change, or data,
//
//	go run ./integration/accuracy --patterns FILE... > integration/accuracy/testdata/patterns.tsv
//
// writes what they are fitted on, without addresses, and --fit with that file prints the scores for
// checks/rules.go, where a test compares them. With hops files, --fit also prints what such scores catch and
// hit in networks that they were not fitted on. With --pair it says if two rules together earn a score.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"helo-milter/checks"
)

// Exit codes.
const (
	exitDone  = 0
	exitBad   = 1 // the input is broken
	exitUsage = 2 // the command line is
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options is the command line.
type options struct {
	Profile checks.Profile `default:"standard" help:"Profile to print: careful, standard or strict."`
	At      []float64      `default:"0.5,1,4" help:"Ham rates to find the best threshold for (${default} %)."`
	Per     string         `default:"hop" enum:"hop,client" help:"Count each hop, or each client by its worst."`

	// What was not recorded.
	HELO     heloDNS `name:"helo" default:"elsewhere" enum:"elsewhere,unknown,missing" help:"As ${enum}."`
	Nameless bool    `help:"Clients without a verified name have none, also those that had one at another time."`

	// Of rules, by their names.
	Action map[string]checks.Action `help:"Try another action; repeatable." placeholder:"RULE=ACTION"`
	Score  map[string]float64       `help:"Try another score; repeatable." placeholder:"RULE=SCORE"`

	Refused bool `xor:"list" help:"List the ham that a profile refuses, too."`
	Hops    bool `xor:"list" help:"Print every judged hop, tab-separated, and no tables."`

	Fit      bool     `xor:"list" help:"Print the scores that all files give; a table of --patterns will do."`
	Pair     []string `help:"With --fit: try a pair of rules; repeatable." placeholder:"RULE+RULE"`
	Patterns bool     `xor:"list" help:"Print what --fit learns from, without addresses."`

	Files []string `arg:"" name:"file" help:"Hops files; the first line names the columns."`
}

// run is the program without its process.
func run(args []string, stdout, stderr io.Writer) int {
	var o options
	exited := false
	parser, err := kong.New(&o, kong.Name("accuracy"), kong.Writers(stdout, stderr),
		kong.Description("Counts the spam that is caught and the ham that is hit among recorded hops."),
		kong.Exit(func(int) { exited = true }))
	if err != nil {
		fmt.Fprintln(stderr, "accuracy:", err)
		return exitUsage
	}
	_, err = parser.Parse(args)
	if exited { // --help
		return exitDone
	}
	var j *judge
	if err == nil {
		j, err = o.judge()
	}
	if err != nil {
		fmt.Fprintf(stderr, "accuracy: %v (see accuracy --help)\n", err)
		return exitUsage
	}
	out := bufio.NewWriter(stdout)
	if err := errors.Join(o.report(out, j), out.Flush()); err != nil {
		fmt.Fprintln(stderr, err)
		return exitBad
	}
	return exitDone
}

// judge returns the judge that the command line asks for, or an error about the command line.
func (o *options) judge() (*judge, error) {
	for _, p := range o.At {
		if !(p >= 0 && p <= 100) {
			return nil, fmt.Errorf("--at: %v is no percentage", p)
		}
	}
	for rule, score := range o.Score {
		if checks.Index(rule) < 0 {
			return nil, fmt.Errorf("--score: there is no rule %q", rule)
		}
		if math.IsNaN(score) || math.IsInf(score, 0) {
			return nil, fmt.Errorf("--score: %s=%v is no score", rule, score)
		}
	}
	for _, pair := range o.Pair {
		for rule := range strings.SplitSeq(pair, "+") {
			if checks.Index(rule) < 0 || strings.Count(pair, "+") != 1 || !o.Fit {
				return nil, fmt.Errorf("--pair: %q is no pair of rules for --fit", pair)
			}
		}
	}
	for rule := range o.Action {
		if checks.Index(rule) < 0 {
			return nil, fmt.Errorf("--action: there is no rule %q", rule)
		}
	}
	j := newJudge(o.Profile, o.Action, o.Score)
	j.assume = assumption{o.HELO, o.Nameless}
	return j, nil
}

func (o *options) report(out io.Writer, j *judge) error {
	switch {
	case o.Fit:
		return o.printFit(out)
	case o.Patterns:
		return o.printPatterns(out)
	case o.Hops:
		fmt.Fprintln(out, "class\tclient\thelo\trdns\tscore\tfailing\tunsure")
	}
	for i, name := range o.Files {
		file, err := readFile(name)
		if err != nil {
			return err
		}
		t := j.tally(file)
		if o.Hops {
			printHops(out, t)
			continue
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		p := &printer{out: out, tally: t, judge: j, units: t.judged, per: o.Per}
		if o.Per == "client" {
			p.units = perClient(t.judged)
		}
		p.print(o.At)
		if o.Refused {
			printRefused(out, t)
		}
	}
	return nil
}
