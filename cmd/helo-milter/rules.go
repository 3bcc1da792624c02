package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"helo-milter/checks"
)

type rulesCmd struct {
	Markdown bool `help:"Print it as a Markdown table."`
}

// Run prints the rule table.
func (c rulesCmd) Run(p *program) error {
	if c.Markdown {
		_, err := fmt.Fprint(p.stdout, markdown())
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tCAREFUL\tSTANDARD\tSTRICT\tSCORE\tREPLY\tFAILS WHEN")
	for _, r := range checks.All {
		fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%.1f\t%d %s\t%s\n", r.Name,
			r.Actions[checks.Careful], r.Actions[checks.Standard], r.Actions[checks.Strict],
			r.Score, r.Code.Reply, r.Code.Enhanced, r.Doc)
	}
	return w.Flush()
}

// markdown is the rule table of checks/README.md.
func markdown() string {
	var b strings.Builder
	b.WriteString("| rule | fails when | careful | standard | strict | score | reply |\n")
	b.WriteString("|---|---|---|---|---|---|---|\n")
	for _, r := range checks.All {
		fmt.Fprintf(&b, "| %s | %s | %v | %v | %v | %.1f | %d %s |\n", r.Name, r.Doc,
			r.Actions[checks.Careful], r.Actions[checks.Standard], r.Actions[checks.Strict],
			r.Score, r.Code.Reply, r.Code.Enhanced)
	}
	return b.String()
}
