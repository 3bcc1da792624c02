package main

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
)

// side is the ham or the spam of a corpus, which is the form of its file.
type side struct {
	corpus string
	ham    bool
}

func (s side) String() string {
	if s.ham {
		return s.corpus + " ham"
	}
	return s.corpus + " spam"
}

// sides are those that a fit is made of, in order.
func sides() []side {
	var list []side
	for _, f := range forms {
		list = append(list, side{f.name, true}, side{f.name, false})
	}
	return list
}

// vote says that some hops of a network failed exactly these rules. A network has one vote for each set of
// rules, however many hops failed it.
type vote struct {
	side
	network netip.Prefix
	fails   string // as hits writes it
	hops    int
	fold    int
}

// networkOf returns the /16 of an IPv4 address, by which the data was split, or the /32 of an IPv6 address,
// which is what a provider gets.
func networkOf(client netip.Addr) netip.Prefix {
	bits := 32
	if client.Is4() {
		bits = 16
	}
	prefix, _ := client.Prefix(bits) // an error is an address with a zone, which no hop has
	return prefix
}

// assignFolds divides networks among the folds of the cross-validation: sorted by the sides that they are in,
// and by address, they take turns. So each fold has its part of every side, and a network is in one fold only.
func assignFolds(votes []vote) {
	in := map[netip.Prefix]int{} // a bit for each side
	for _, v := range votes {
		in[v.network] |= 1 << slices.Index(sides(), v.side)
	}
	networks := slices.SortedFunc(maps.Keys(in), func(a, b netip.Prefix) int {
		return cmp.Or(in[a]-in[b], a.Compare(b))
	})
	turn := map[netip.Prefix]int{}
	for i, n := range networks {
		turn[n] = i
	}
	for i := range votes {
		votes[i].fold = turn[votes[i].network] % folds
	}
}

// votes returns the votes of the classes that scores are fitted on. Hops are judged under both assumptions
// about their HELO names.
func (o *options) votes(file *hopsFile) []vote {
	var tallies [2]*tally
	for i, helo := range []heloDNS{elsewhere, unknown} {
		j := newJudge(checks.Standard, nil, nil)
		j.assume = assumption{helo, o.Nameless}
		tallies[i] = j.tally(file)
	}
	hops := map[vote]int{}
	for i, u := range tallies[0].judged {
		if c := file.form.classes[u.class]; c.fitted {
			fails := hits(u.results, tallies[1].judged[i].results)
			hops[vote{side{file.form.name, c.ham}, networkOf(u.client), fails, 0, 0}]++
		}
	}
	var list []vote
	for v, n := range hops {
		v.hops = n
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b vote) int {
		return cmp.Or(strings.Compare(a.side.String(), b.side.String()), a.network.Compare(b.network),
			strings.Compare(a.fails, b.fails))
	})
	return list
}

// hits lists the rules that fail when a hop's HELO name is elsewhere, with ? after each that is unsure when
// nothing is known of that name. Rules that are off are left out: they add nothing to a score.
func hits(elsewhere, unknown []checks.Result) string {
	var names []string
	for i, r := range checks.All {
		switch {
		case elsewhere[i] != checks.Fail || r.Actions[checks.Standard] == checks.Off:
		case unknown[i] == checks.Fail:
			names = append(names, r.Name)
		default:
			names = append(names, r.Name+"?")
		}
	}
	return cmp.Or(strings.Join(names, ","), "-")
}

// pattern is a set of rules that failed, with the votes for it in a fold.
type pattern struct {
	side
	fold  int
	fails string // as in a vote
	votes int
	hits  []hit // what fails says
}

// evidence is how many networks and hops of a side failed a rule, whatever else they failed.
type evidence struct{ networks, hops int }

// patterns is what a fit is made from: votes without their networks.
type patterns struct {
	rows  []pattern
	rules map[side][]evidence // in the order of checks.All
}

func newPatterns(votes []vote) *patterns {
	p := &patterns{rules: map[side][]evidence{}}
	rows := map[vote]int{} // without networks
	networks := map[side][]map[netip.Prefix]bool{}
	for _, v := range votes {
		rows[vote{side: v.side, fails: v.fails, fold: v.fold}]++
		if p.rules[v.side] == nil {
			p.rules[v.side] = make([]evidence, len(checks.All))
			networks[v.side] = make([]map[netip.Prefix]bool, len(checks.All))
		}
		for _, h := range parseHits(v.fails) {
			seen := &networks[v.side][h.rule]
			if *seen == nil {
				*seen = map[netip.Prefix]bool{}
			}
			(*seen)[v.network] = true
			e := &p.rules[v.side][h.rule]
			e.networks, e.hops = len(*seen), e.hops+v.hops
		}
	}
	for v, n := range rows {
		p.rows = append(p.rows, pattern{v.side, v.fold, v.fails, n, parseHits(v.fails)})
	}
	p.sort()
	return p
}

// hit is a rule that fails. One that leans does so only where the HELO name is taken to be elsewhere.
type hit struct {
	rule  int // in checks.All; -1 is none
	leans bool
}

// parseHits reads what hits wrote.
func parseHits(text string) []hit {
	if text == "-" {
		return nil
	}
	var list []hit
	for name := range strings.SplitSeq(text, ",") {
		name, leans := strings.CutSuffix(name, "?")
		list = append(list, hit{checks.Index(name), leans})
	}
	return list
}

// sort brings rows into an order that depends on nothing but them.
func (p *patterns) sort() {
	order := sides()
	slices.SortFunc(p.rows, func(a, b pattern) int {
		return cmp.Or(slices.Index(order, a.side)-slices.Index(order, b.side),
			strings.Compare(a.fails, b.fails), a.fold-b.fold)
	})
}

// networks returns the networks of all corpora that failed a rule.
func (p *patterns) networks(rule int, ham bool) int {
	n := 0
	for s := range maps.Keys(p.rules) {
		if s.ham == ham {
			n += p.rules[s][rule].networks
		}
	}
	return n
}
