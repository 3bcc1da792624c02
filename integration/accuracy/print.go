package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"helo-milter/checks"
	"helo-milter/checks/wilson"
)

// printer prints the tables of a file.
type printer struct {
	out   io.Writer
	tally *tally
	judge *judge
	units []judged
	per   string  // what a unit is: hop or client
	sizes []count // of the classes
}

func (p *printer) print(at []float64) {
	p.sizes = counts(p.tally.form.classes, p.units, all)
	p.head()
	p.rules()
	p.clients()
	p.profiles()
	p.scores(at)
}

// classes calls f for each class that has units, in order.
func (p *printer) classes(f func(i int, c class)) {
	for i, c := range p.tally.form.classes {
		if p.sizes[i].hits > 0 {
			f(i, c)
		}
	}
}

// cells returns the cells of a line, one for each class.
func (p *printer) cells(cell func(i int, c class) string) string {
	var b strings.Builder
	p.classes(func(i int, c class) { b.WriteString(cell(i, c) + "\t") })
	return b.String()
}

func (p *printer) names() string { return p.cells(func(_ int, c class) string { return c.name }) }

// table prints lines whose cells end with tabs, right-aligned.
func table(out io.Writer, print func(w io.Writer)) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	print(w)
	w.Flush()
	for line := range strings.Lines(b.String()) {
		// Right-aligned, the first column is padded like the others.
		fmt.Fprintln(out, strings.TrimRight(strings.TrimPrefix(line, "  "), " \n"))
	}
}

func (p *printer) head() {
	t := p.tally
	fmt.Fprintf(p.out, "%s\n%s form, %d hops; not judged: %d exempt, %d without a recorded HELO\n",
		t.name, t.form.name, len(t.hops), t.exempt, t.mute)
	fmt.Fprintf(p.out, "HELO names whose addresses were not recorded: %s\n", p.judge.assume.helo)
	if n := t.lost(); n > 0 {
		took := "its lookup failed"
		if p.judge.assume.nameless {
			took = "it has none"
		}
		fmt.Fprintf(p.out, "%d hops without a name of a client that had one at another time: %s\n", n, took)
	}
	fmt.Fprintln(p.out)
	hops := counts(t.form.classes, t.judged, all)
	table(p.out, func(w io.Writer) {
		fmt.Fprintf(w, "%-12s\thops\tclients\t\n", "class")
		p.classes(func(i int, c class) {
			fmt.Fprintf(w, "%-12s\t%d\t%d\t\n", c.name, hops[i].hits, hops[i].clients)
		})
	})
	fmt.Fprintf(p.out, "\nShares are of %ss. ≤ %% and ≥ %% is the worse end of Wilson's 95 %% interval: "+
		"ham at most, spam at least.\n", p.per)
}

// rate returns hits, per cent, and the unfavourable end of the confidence interval: the upper one for ham,
// the lower one for spam.
func (p *printer) rate(k count, i int) string {
	low, high := wilson.Interval(k.hits, p.sizes[i].hits)
	bound := low
	if p.tally.form.classes[i].ham {
		bound = high
	}
	share := float64(k.hits) / float64(p.sizes[i].hits)
	return fmt.Sprintf("%4d %4s %4s", k.hits, percent(share), percent(bound))
}

func (p *printer) rateHead() string {
	return p.cells(func(_ int, c class) string {
		if c.ham {
			return "hits    %  ≤ %"
		}
		return "hits    %  ≥ %"
	})
}

func (p *printer) rates(k []count) string {
	return p.cells(func(i int, _ class) string { return p.rate(k[i], i) })
}

var letters = [...]string{checks.Off: "-", checks.Mark: "M", checks.TempFail: "T", checks.Reject: "R"}

// rules prints what each rule hits, whatever its action.
func (p *printer) rules() {
	fmt.Fprintf(p.out, "\nRules, with action (R reject, T tempfail, M mark, - off) and score of %s\n\n",
		p.judge.profile)
	policy := p.judge.policies[p.judge.profile]
	var idle []string
	table(p.out, func(w io.Writer) {
		fmt.Fprintf(w, "%29s\t%s\n%-29s\t%s\n", "", p.names(), "rule", p.rateHead())
		for i, r := range checks.All {
			k := counts(p.tally.form.classes, p.units, hasResult(i, checks.Fail))
			if !anyHits(k) {
				idle = append(idle, r.Name)
				continue
			}
			score := strconv.FormatFloat(policy.Scores[i], 'f', -1, 64)
			fmt.Fprintf(w, "%-22s %s %4s\t%s\n", r.Name, letters[policy.Actions[i]], score, p.rates(k))
		}
	})
	if len(idle) > 0 {
		fmt.Fprintf(p.out, "\nNo hit: %s\n", strings.Join(wrap(idle, 98), "\n        "))
	}
}

// clients prints the number of clients behind the hits, and how often each rule was unsure.
func (p *printer) clients() {
	fmt.Fprint(p.out,
		"\nDistinct clients behind the hits, and how often a rule was unsure for want of a fact\n\n")
	table(p.out, func(w io.Writer) {
		fmt.Fprintf(w, "%22s\t%s\n%-22s\t%s\n", "", p.names(), "rule",
			p.cells(func(int, class) string { return "clients unsure" }))
		for i, r := range checks.All {
			k := counts(p.tally.form.classes, p.units, hasResult(i, checks.Fail))
			unsure := counts(p.tally.form.classes, p.units, hasResult(i, checks.Unsure))
			if !anyHits(k) && !anyHits(unsure) {
				continue
			}
			fmt.Fprintf(w, "%-22s\t%s\n", r.Name, p.cells(func(i int, _ class) string {
				return fmt.Sprintf("%7d %6d", k[i].clients, unsure[i].hits)
			}))
		}
	})
}

// profiles prints what each profile refuses, and by which rules.
func (p *printer) profiles() {
	fmt.Fprint(p.out, "\nRefused (reject or tempfail) by profile, and by the rule that decides\n\n")
	table(p.out, func(w io.Writer) {
		fmt.Fprintf(w, "%-8s %-12s\thits\tclients\t%%\t95 %%\t  by\n", "profile", "class")
		for profile := range p.judge.policies {
			refused := func(u *judged) bool { return u.rules[profile] != "" }
			k := counts(p.tally.form.classes, p.units, refused)
			p.classes(func(i int, c class) {
				low, high := wilson.Interval(k[i].hits, p.sizes[i].hits)
				by := wrap(p.deciders(profile, i), 54)
				fmt.Fprintf(w, "%-8s %-12s\t%d\t%d\t%s\t%s-%s\t  %s\n", checks.Profile(profile), c.name,
					k[i].hits, k[i].clients, percent(float64(k[i].hits)/float64(p.sizes[i].hits)),
					percent(low), percent(high), by[0])
				for _, more := range by[1:] {
					fmt.Fprintf(w, "\t\t\t\t\t  %s\n", more)
				}
			})
		}
	})
}

// deciders returns the rules that refuse units of a class, the most frequent first, with their counts.
func (p *printer) deciders(profile, class int) []string {
	by := map[string]int{}
	for i := range p.units {
		if rule := p.units[i].rules[profile]; rule != "" && p.units[i].class == class {
			by[rule]++
		}
	}
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(by[b]-by[a], strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, by[name])
	}
	return names
}

// maxThresholds bounds the lines of the table of summed scores.
const maxThresholds = 25

// scores prints what the summed score catches and hits at its thresholds, and the best thresholds for some
// ham rates.
func (p *printer) scores(at []float64) {
	list := thresholds(p.tally.form.classes, p.units)
	fmt.Fprintf(p.out,
		"\nSummed score of %s at or over a threshold, one line for each change of the ham that is hit\n\n",
		p.judge.profile)
	table(p.out, func(w io.Writer) {
		fmt.Fprintf(w, "\t%s\nscore\t%s\n", p.names(), p.rateHead())
		for _, t := range thin(list, maxThresholds) {
			fmt.Fprintf(w, "%v\t%s\n", t.at, p.rates(t.counts))
		}
	})
	if p.sizes[0].hits == 0 || len(at) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\nThe most spam that the score catches while it hits at most so much %s\n\n",
		p.tally.form.classes[0].name)
	table(p.out, func(w io.Writer) {
		fmt.Fprintf(w, "\t\t%s\n\tscore\t%s\n", p.names(), p.rateHead())
		for _, percent := range at {
			if t, ok := best(list, percent, p.sizes[0].hits); ok {
				fmt.Fprintf(w, "≤ %v %%\t%v\t%s\n", percent, t.at, p.rates(t.counts))
			} else {
				fmt.Fprintf(w, "≤ %v %%\tnone\t\n", percent)
			}
		}
	})
}

func anyHits(list []count) bool {
	return slices.ContainsFunc(list, func(k count) bool { return k.hits > 0 })
}

// percent formats a share with three significant digits.
func percent(share float64) string {
	switch v := 100 * share; {
	case v == 0:
		return "0"
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	default:
		return "100"
	}
}

// wrap joins words with commas into lines of at most a width. There is always at least one line.
func wrap(words []string, width int) []string {
	lines := []string{""}
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		switch last := &lines[len(lines)-1]; {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) > width:
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}
