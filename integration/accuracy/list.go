package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"helo-milter/checks"
)

// printHops prints a line for each judged hop, for other programs.
func printHops(out io.Writer, t *tally) {
	for i := range t.judged {
		u := &t.judged[i]
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%v\t%s\t%s\n", t.form.classes[u.class].name, u.client,
			clean(u.helo), clean(u.rdns), u.score, u.rulesThat(checks.Fail), u.rulesThat(checks.Unsure))
	}
}

func (u *judged) rulesThat(r checks.Result) string {
	var names []string
	for i, result := range u.results {
		if result == r {
			names = append(names, checks.All[i].Name)
		}
	}
	return cmp.Or(strings.Join(names, ","), "-")
}

// printRefused prints the ham that a profile refuses, for people, grouped by client.
func printRefused(out io.Writer, t *tally) {
	refused := slices.DeleteFunc(slices.Clone(t.judged), func(u judged) bool {
		return !t.form.classes[u.class].ham || u.rules == [3]string{}
	})
	slices.SortStableFunc(refused, func(a, b judged) int { return a.client.Compare(b.client) })
	fmt.Fprintf(out, "\nHam that a profile refuses: %d hops\n\n", len(refused))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "class\tclient\tHELO\tPTR\tcareful\tstandard\tstrict")
	for _, u := range refused {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s", t.form.classes[u.class].name, u.client, clean(u.helo), clean(u.rdns))
		for _, rule := range u.rules {
			fmt.Fprintf(w, "\t%s", cmp.Or(rule, "-"))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// clean quotes text from the network that a terminal should not see as it is.
func clean(s string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}
