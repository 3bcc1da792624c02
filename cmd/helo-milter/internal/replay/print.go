package replay

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"helo-milter/checks"
)

// shown is how many clients a list has at most.
const shown = 20

// Text returns the summary for people. asked reports whether DNS lookups were made.
func (s *Summary) Text(asked bool) string {
	out := &strings.Builder{}
	s.print(out, asked)
	return trailing.ReplaceAllString(out.String(), "")
}

var trailing = regexp.MustCompile(`(?m) +$`) // tabwriter pads the last column

func (s *Summary) print(out io.Writer, asked bool) {
	parts := []func(){}
	part := func(items int, print func()) {
		if items > 0 {
			parts = append(parts, print)
		}
	}
	part(s.Daemon.Items, func() { s.Daemon.print(out, "DECISIONS OF THE DAEMON", "decided") })
	part(s.Recorded.Items, func() { s.Recorded.print(out, "PAST MAIL, REPLAYED FROM RECORDED FACTS", "replayed") })
	part(s.Then.Items, func() { s.Then.print(out, "PAST MAIL, REPLAYED FROM EARLIER LOOKUPS", "replayed") })
	part(s.Hops.Items, func() { s.Hops.print(out, asked) })
	if len(parts) == 0 {
		parts = append(parts, func() { fmt.Fprintln(out, "There is nothing to judge.") })
	}
	for i, print := range parts {
		if i > 0 {
			fmt.Fprintln(out)
		}
		print()
	}
	if n := s.Unread.Items; n > 0 {
		fmt.Fprintf(out, "\n%d could not be read, by form (--verbose shows each):\n", n)
		s.Unread.Print(out)
	}
}

func (d *Decisions) print(out io.Writer, title, then string) {
	fmt.Fprintf(out, "%s: %d, %s\n", title, d.Items, d.period())
	fmt.Fprintf(out, "All facts are from the records; no DNS lookups were made.\n\n")
	d.Table.print(out, then, "now")
	fmt.Fprintf(out, "\nSame action wanted: %d. Whole verdict identical, byte for byte: %d.\n", d.Same, d.Exactly)
	if d.Lost > 0 {
		fmt.Fprintf(out, "Not judged: %d. They were exempt then but are not now, so no lookups were recorded.\n",
			d.Lost)
	}
	for _, r := range checks.All {
		if n := d.Unanswerable[r.Name]; n > 0 {
			fmt.Fprintf(out, "Not judged by %s: %d. This configuration needs a lookup that was not made then.\n",
				r.Name, n)
		}
	}
	d.Refused.print(out, "Newly refused")
	d.Passed.print(out, "No longer refused")
	if d.Harder+d.Softer > 0 {
		fmt.Fprintf(out, "\nRejected instead of deferred: %d. Deferred instead of rejected: %d\n",
			d.Harder, d.Softer)
	}
}

func (h *Hops) print(out io.Writer, asked bool) {
	fmt.Fprintf(out, "PAST MAIL: %d, %s\n", h.Items, h.period())
	fmt.Fprintln(out, "  recorded  judged from what the receiving host recorded. Anything else, such as the "+
		"addresses\n            of the HELO name, is unknown, and rules that need it are unsure")
	now := ""
	if asked {
		now = "DNS now"
		fmt.Fprintln(out, "  DNS now   the same clients and HELO names, judged from DNS lookups made now")
	}
	if h.Unheard > 0 {
		fmt.Fprintf(out, "  HELO not recorded: %d. For these only the client is judged.\n", h.Unheard)
	}
	fmt.Fprintln(out)
	h.Table.print(out, "recorded", now)
	by := "the recorded facts"
	if asked {
		by = "lookups made now"
	}
	h.Refused.print(out, "Would be refused, judged from "+by)
}

func (t *Table) period() string {
	const day = "2006-01-02"
	if from, to := t.From.Format(day), t.To.Format(day); from != to {
		return from + " to " + to
	}
	return t.From.Format(day)
}

// print writes the columns side by side; the second only if now, its heading, is not empty.
func (t *Table) print(out io.Writer, then, now string) {
	columns, last := []*Column{&t.Then}, cmp.Or(now, then)
	header, rules := then+"\t \t", then+": fails\tunsure\t"
	if now != "" {
		columns = append(columns, &t.Now)
		header, rules = header+now+"\t \t", rules+now+": fails\tunsure\t"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, cell func(*Column) string) {
		fmt.Fprintf(w, "%-*s\t", nameWidth, name)
		for _, c := range columns {
			fmt.Fprint(w, cell(c))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%-*s\t%s\n", nameWidth, "", header)
	for _, want := range wants {
		row(want, func(c *Column) string { return share(c.Wants[want], c.Items) })
	}
	for _, label := range []string{"ham", "spam"} {
		if t.Then.Labelled[label] == nil {
			continue
		}
		row(label+" refused", func(c *Column) string {
			wants := c.Labelled[label]
			refused := wants["tempfail"] + wants["reject"]
			return share(refused, refused+wants["accept"])
		})
	}
	w.Flush()
	header = fmt.Sprintf("\n%-*s\t%s\n", nameWidth, "rule", rules)
	for _, r := range checks.All {
		something := func(c *Column) bool { return c.Fails[r.Name]+c.Unsure[r.Name] > 0 }
		if slices.ContainsFunc(columns, something) {
			fmt.Fprint(w, header)
			header = "" // once, and only above rows
			row(r.Name, func(c *Column) string { return fmt.Sprintf("%d\t%d\t", c.Fails[r.Name], c.Unsure[r.Name]) })
		}
	}
	w.Flush()
	t.Hosts.print(out, last)
}

const nameWidth = 22

func share(n, of int) string {
	if of == 0 {
		return "0\t \t"
	}
	return fmt.Sprintf("%d\t%.1f %%\t", n, 100*float64(n)/float64(of))
}

func (c *Clients) print(out io.Writer, title string) {
	of := ""
	switch n := c.Count(); {
	case c.More:
		of = fmt.Sprintf(", from more than %d clients", n)
	case n == 1:
		of = ", all from one client"
	case n > 1:
		of = fmt.Sprintf(", from %d clients", n)
	}
	fmt.Fprintf(out, "\n%s: %d%s\n", title, c.Items, of)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, client := range c.Top(shown) {
		fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", client.Items, client.Addr, client.Rule, client.Helo, client.PTR)
	}
	w.Flush()
}
