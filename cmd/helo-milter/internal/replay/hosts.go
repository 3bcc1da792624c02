package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"helo-milter/checks/clean"
)

// Hosts counts items by the mail server that received them, as the last column of their table. The zero Hosts
// is empty and ready to use. Hosts beyond the first maxHosts are counted together.
type Hosts map[string]map[string]int // by name and by what is wanted

const (
	maxHosts   = 24
	otherHosts = "(others)"
)

func (h *Hosts) add(o *Outcome) {
	if o.Now == nil && !o.Hop {
		return // not judged
	}
	if *h == nil {
		*h = Hosts{}
	}
	r := cmp.Or(o.Now, o.Then)
	name := cmp.Or(clean.Report(r.MTA), "(no name)")
	if (*h)[name] == nil && len(*h) >= maxHosts {
		name = otherHosts
	}
	if (*h)[name] == nil {
		(*h)[name] = map[string]int{}
	}
	(*h)[name][r.Verdict.Want]++
}

// print writes a column for each host, if there are several.
func (h Hosts) print(out io.Writer, by string) {
	if len(h) < 2 {
		return
	}
	fmt.Fprintf(out, "\nBy host, %s:\n", by)
	const columns = 4 // that fit beside each other
	for names := range slices.Chunk(slices.Sorted(maps.Keys(h)), columns) {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "%-*s\t%s\t\n", nameWidth, "", strings.Join(names, "\t"))
		for _, want := range wants {
			fmt.Fprintf(w, "%-*s\t", nameWidth, want)
			for _, name := range names {
				fmt.Fprintf(w, "%d\t", h[name][want])
			}
			fmt.Fprintln(w)
		}
		w.Flush()
	}
}

// wants are what a policy can want of mail.
var wants = []string{"exempt", "accept", "tempfail", "reject"}
