package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/wilson"
)

// printFit prints the scores that all files together give.
func (o *options) printFit(out io.Writer) error {
	if text, err := os.ReadFile(o.Files[0]); err == nil && bytes.HasPrefix(text, []byte(tableMark)) {
		if len(o.Files) > 1 {
			return errors.New("--fit takes one table of patterns, or hops files")
		}
		p, err := readPatterns(o.Files[0], bytes.NewReader(text))
		if err != nil {
			return err
		}
		return o.printScores(out, p)
	}
	votes, err := o.allVotes()
	if err != nil {
		return err
	}
	if err := o.printScores(out, newPatterns(votes)); err != nil {
		return err
	}
	return printUnseen(out, votes, o.At)
}

func (o *options) printPatterns(out io.Writer) error {
	votes, err := o.allVotes()
	if err == nil {
		newPatterns(votes).write(out)
	}
	return err
}

func (o *options) allVotes() ([]vote, error) {
	var votes []vote
	for _, name := range o.Files {
		file, err := readFile(name)
		if err != nil {
			return nil, err
		}
		votes = append(votes, o.votes(file)...)
	}
	assignFolds(votes)
	return votes, nil
}

func (o *options) printScores(out io.Writer, p *patterns) error {
	f, err := newFit(p)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Loss in %d-fold cross-validation, in nats, and how far it is above the least, with the "+
		"standard error\nof that: λ is %v, the largest within one standard error\n\n", folds, f.λ)
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "λ\tloss\tabove\t±\t\n")
		for i, l := range f.losses {
			more := difference(l, f.least)
			fmt.Fprintf(w, "%v\t%.4f\t%.4f\t%.4f\t\n", λs[i], meanOf(l).mean, more.mean, more.err)
		}
	})
	fmt.Fprintf(out, "\nScores: %v is a weight of %.3f. spam, ham: networks that fail the rule. gain: the loss "+
		"that its weight\nsaves, in millionths\n\n", rejectAt, f.model[1])
	table(out, func(w io.Writer) {
		fmt.Fprintf(w, "%-22s\tnow\tfitted\tspam\tham\tgain\t±\t\n", "rule")
		for i, r := range checks.All {
			fmt.Fprintf(w, "%-22s\t%.1f\t%.1f\t%d\t%d\t%s\n", r.Name, r.Score, f.scores[i],
				p.networks(i, false), p.networks(i, true), p.origin(f, i))
		}
	})
	o.printPairs(out, p, f)
	return nil
}

// origin returns the gain of a rule, and where its score comes from if that is no weight of its own.
func (p *patterns) origin(f *fit, rule int) string {
	spam := p.networks(rule, false)
	switch i := slices.IndexFunc(f.features, func(f feature) bool { return slices.Contains(f.rules, rule) }); {
	case i > 0:
		l := f.gain(p.rows, f.features[i])
		return fmt.Sprintf("%d\t%d\t", int(math.Round(1e6*l.mean)), int(math.Round(1e6*l.err)))
	case i == 0 && spam < minNetworks:
		return "\t\t  hard, by the others"
	case i == 0:
		return "\t\t  hard"
	case spam+p.networks(rule, true) > 0:
		return "\t\t  too few networks"
	default:
		return "\t\t  not measured"
	}
}

// minNew is the number of networks of spam that a new rule or pair must be failed by, see gain.
const minNew = 20

func (o *options) printPairs(out io.Writer, p *patterns, f *fit) {
	for _, names := range o.Pair {
		a, b, _ := strings.Cut(names, "+")
		pair := feature{rules: []int{checks.Index(a), checks.Index(b)}, together: true}
		votes := 0
		for _, r := range p.rows {
			if !r.ham && pair.count(r.hits, true) > 0 {
				votes += r.votes
			}
		}
		l := f.gain(p.rows, pair)
		verdict := "not enough for a weight"
		if votes >= minNew && l.mean > l.err {
			verdict = "enough for a weight"
		}
		fmt.Fprintf(out, "\n%s: %d votes of spam, gain %.0f ± %.0f: %s\n",
			names, votes, 1e6*l.mean, 1e6*l.err, verdict)
	}
}

// printUnseen prints what fitted scores are worth on networks that they were not fitted on.
func printUnseen(out io.Writer, votes []vote, at []float64) error {
	list, err := unseenVotes(votes)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nOn unseen networks: each fold by the scores that the others give, HELO names elsewhere.\n"+
		"The most spam hops (%%) caught while at most so many ham hops are hit, and 95 %% of %d draws of\n"+
		"the networks\n\n", resamples)
	table(out, func(w io.Writer) {
		fmt.Fprintf(w, "%-6s\t", "ham")
		for _, percent := range at {
			fmt.Fprintf(w, "≤ %v %%\t", percent)
		}
		fmt.Fprintln(w)
		for _, form := range forms {
			of := slices.DeleteFunc(slices.Clone(list), func(u unseen) bool { return u.corpus != form.name })
			if len(of) == 0 {
				continue
			}
			fmt.Fprintf(w, "%-6s\t", form.name)
			for _, percent := range at {
				low, high := interval(of, percent)
				fmt.Fprintf(w, "%.1f %.0f-%.0f\t", catch(of, once, percent), low, high)
			}
			fmt.Fprintln(w)
		}
	})
	fmt.Fprintf(out, "\nHit there by a threshold of %v, with Wilson's 95 %% interval for networks\n\n", rejectAt)
	table(out, func(w io.Writer) {
		fmt.Fprintf(w, "%-11s\thops\tof\t%%\tnetworks\tof\t%%\t95 %%\t\n", "")
		for _, s := range sides() {
			if r := hitAt(list, s, rejectAt); r.ofHops > 0 {
				low, high := wilson.Interval(r.networks, r.ofNetworks)
				fmt.Fprintf(w, "%-11s\t%d\t%d\t%s\t%d\t%d\t%s\t%s-%s\t\n", s, r.hops, r.ofHops,
					percent(float64(r.hops)/float64(r.ofHops)), r.networks, r.ofNetworks,
					percent(float64(r.networks)/float64(r.ofNetworks)), percent(low), percent(high))
			}
		}
	})
	return nil
}

func once(netip.Prefix) int { return 1 }
