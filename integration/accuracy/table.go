package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"helo-milter/checks"
)

// tableMark starts the table of patterns.
const tableMark = "# Patterns of failing rules, without addresses: accuracy --patterns FILE..."

const tableHead = tableMark + `
# A line is a set of rules that failed (- is none; a rule with ? fails only where the HELO name is taken to be
# elsewhere), with the votes for it: networks (/16, /32 of IPv6) in a fold of the cross-validation.
# In lines whose fold is all, votes are the networks and hops the hops in which that rule failed.
corpus	label	fold	rules	votes	hops
`

// write writes the table, in an order that depends on nothing but its rows.
func (p *patterns) write(w io.Writer) {
	fmt.Fprint(w, tableHead)
	for _, r := range p.rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t-\n", r.columns(), r.fold, r.fails, r.votes)
	}
	for _, s := range sides() {
		for i, e := range p.rules[s] {
			if e.networks > 0 {
				fmt.Fprintf(w, "%s\tall\t%s\t%d\t%d\n", s.columns(), checks.All[i].Name, e.networks, e.hops)
			}
		}
	}
}

// columns are the first two of a line.
func (s side) columns() string { return strings.ReplaceAll(s.String(), " ", "\t") }

// readPatterns reads what write wrote.
func readPatterns(name string, r io.Reader) (*patterns, error) {
	p := &patterns{rules: map[side][]evidence{}}
	lines := bufio.NewScanner(r)
	started := false
	for number := 1; lines.Scan(); number++ {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "#"):
		case !started:
			started = true // the names of the columns
		default:
			if err := p.line(strings.Split(line, "\t")); err != nil {
				return nil, fmt.Errorf("%s:%d: %w: write the table again with --patterns", name, number, err)
			}
		}
	}
	p.sort()
	return p, lines.Err()
}

func (p *patterns) line(fields []string) error {
	if len(fields) != 6 {
		return fmt.Errorf("fields: %d, not 6", len(fields))
	}
	s := side{fields[0], fields[1] == "ham"}
	if s.columns() != fields[0]+"\t"+fields[1] || !slices.Contains(sides(), s) {
		return fmt.Errorf("there are no %s %s", fields[0], fields[1])
	}
	votes, err := strconv.Atoi(fields[4])
	if err != nil || votes < 1 {
		return fmt.Errorf("votes %q", fields[4])
	}
	list := parseHits(fields[3])
	if slices.ContainsFunc(list, func(h hit) bool { return h.rule < 0 }) {
		return fmt.Errorf("one of the rules %s does not exist", fields[3])
	}
	fold, err := strconv.Atoi(fields[2])
	if err == nil && fold >= 0 && fold < folds {
		p.rows = append(p.rows, pattern{s, fold, fields[3], votes, list})
		return nil
	}
	hops, err := strconv.Atoi(fields[5])
	if fields[2] != "all" || len(list) != 1 || err != nil {
		return fmt.Errorf("fold %q of %s with %s hops", fields[2], fields[3], fields[5])
	}
	if p.rules[s] == nil {
		p.rules[s] = make([]evidence, len(checks.All))
	}
	p.rules[s][list[0].rule] = evidence{votes, hops}
	return nil
}
