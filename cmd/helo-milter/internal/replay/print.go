package replay

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"helo-milter/checks"
)

// shown is how many clients a list has.
const shown = 20

// Print writes the summary for people.
func (s *Summary) Print(out io.Writer, asked bool) {
	if s.Decisions.Items > 0 {
		s.printDecisions(out)
	}
	if s.Hops.Items > 0 {
		if s.Decisions.Items > 0 {
			fmt.Fprintln(out)
		}
		s.printHops(out, asked)
	}
	if s.Broken > 0 {
		fmt.Fprintf(out, "\n%d could not be read; --verbose shows them.\n", s.Broken)
	}
}

func (s *Summary) printDecisions(out io.Writer) {
	fmt.Fprintf(out, "Decisions: %d, %s. The facts are in the log: no DNS was asked.\n\n", s.Decisions.Items, s.period())
	s.Decisions.print(out, "decided then", "this configuration")
	fmt.Fprintf(out, "\nThe same verdict, byte for byte: %d of %d\n", s.Same, s.Decisions.Items)
	if s.Lost > 0 {
		fmt.Fprintf(out, "Cannot be judged: %d. They were exempt then and are not any more, and nobody had looked "+
			"them up.\n", s.Lost)
	}
	s.Refused.print(out, "Newly refused")
	s.Passed.print(out, "No longer refused")
}

func (s *Summary) printHops(out io.Writer, asked bool) {
	fmt.Fprintf(out, "Past mail: %d, %s.\n", s.Hops.Items, s.period())
	fmt.Fprintln(out, "  recorded  what the receiving host wrote down: the client, its verified name, the HELO. What it did"+
		"\n            not write down is unknown, and the rules that need it are unsure.")
	if s.Unheard > 0 {
		fmt.Fprintf(out, "            The HELO of %d is not recorded: of those only the client was judged.\n", s.Unheard)
	}
	now := ""
	if asked {
		now = "DNS now"
		fmt.Fprintln(out, "  DNS now   the same clients and HELOs, and what the DNS says of them today.")
	}
	fmt.Fprintln(out)
	s.Hops.print(out, "recorded", now)
	s.Refused.print(out, "Would be refused")
}

func (s *Summary) period() string {
	const day = "2006-01-02"
	if from, to := s.From.Format(day), s.To.Format(day); from != to {
		return from + " to " + to
	}
	return s.From.Format(day)
}

// print writes the columns side by side, the second only if it has a name.
func (t *Table) print(out io.Writer, then, now string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, cell func(*Column) string) {
		line := cell(&t.Then) + "\t"
		if now != "" {
			line += cell(&t.Now) + "\t"
		}
		fmt.Fprintf(w, "%-*s\t%s\n", nameWidth, name, line)
	}
	row("", func(c *Column) string { return map[*Column]string{&t.Then: then, &t.Now: now}[c] })
	for _, want := range []string{"exempt", "accept", "tempfail", "reject"} {
		row(want, func(c *Column) string { return share(c.Wants[want], c.Items) })
	}
	for _, label := range []string{"ham", "spam"} {
		if t.Then.Labelled[label] == nil {
			continue
		}
		row("refused of "+label, func(c *Column) string {
			wants := c.Labelled[label]
			refused := wants["tempfail"] + wants["reject"]
			return share(refused, refused+wants["accept"])
		})
	}
	w.Flush()
	t.printRules(out, now != "")
}

const nameWidth = 24

func share(n, of int) string {
	if of == 0 {
		return "0"
	}
	return fmt.Sprintf("%d  %5.1f %%", n, 100*float64(n)/float64(of))
}

// printRules writes how often each rule fails and is unsure: those of which there is something to say.
func (t *Table) printRules(out io.Writer, both bool) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	header := "fails\tunsure\t"
	if both {
		header += header
	}
	fmt.Fprintf(w, "\n%-*s\t%s\n", nameWidth, "rule", header)
	for _, r := range checks.All {
		cells := []int{t.Then.Fails[r.Name], t.Then.Unsure[r.Name], t.Now.Fails[r.Name], t.Now.Unsure[r.Name]}
		if !slices.ContainsFunc(cells, func(n int) bool { return n > 0 }) {
			continue
		}
		if !both {
			cells = cells[:2]
		}
		line := fmt.Sprintf("%-*s\t", nameWidth, r.Name)
		for _, n := range cells {
			line += fmt.Sprint(n, "\t")
		}
		fmt.Fprintln(w, line)
	}
	w.Flush()
}

func (c *Clients) print(out io.Writer, title string) {
	fmt.Fprintf(out, "\n%s: %d", title, c.Items)
	if c.Items > 0 {
		more := ""
		if c.More {
			more = "more than "
		}
		fmt.Fprintf(out, ", of %s%d clients", more, c.Count())
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, client := range c.Top(shown) {
		r := client.Record
		fmt.Fprintf(w, "  %d\t%s\t%q\t%s\t%s\n", client.Items, r.Client, r.Helo.Raw, names(r), r.Verdict.Rule)
	}
	w.Flush()
}

// names are the PTR names of a client, in short.
func names(r *checks.Record) string {
	var list []string
	for _, h := range r.Facts.PTR.Values {
		list = append(list, h.Name)
	}
	switch {
	case len(list) > 1:
		return fmt.Sprintf("%s and %d more", list[0], len(list)-1)
	case len(list) == 1:
		return list[0]
	case r.Facts.PTR.Status == checks.Missing:
		return "no PTR"
	default:
		return "PTR unknown"
	}
}
