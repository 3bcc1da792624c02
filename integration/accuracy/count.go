package main

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"helo-milter/checks"
)

// count is a number of units of a class, and the number of different clients among them.
type count struct{ hits, clients int }

// counts counts the units that match by class. A unit is a hop or, after perClient, a client.
func counts(classes []class, units []judged, match func(*judged) bool) []count {
	list := make([]count, len(classes))
	clients := make([]map[netip.Addr]bool, len(classes))
	for i := range units {
		u := &units[i]
		if !match(u) {
			continue
		}
		if clients[u.class] == nil {
			clients[u.class] = map[netip.Addr]bool{}
		}
		clients[u.class][u.client] = true
		list[u.class] = count{list[u.class].hits + 1, len(clients[u.class])}
	}
	return list
}

func all(*judged) bool { return true }

func hasResult(rule int, r checks.Result) func(*judged) bool {
	return func(u *judged) bool { return u.results[rule] == r }
}

func scores(at float64) func(*judged) bool {
	return func(u *judged) bool { return u.score >= at }
}

// perClient merges all hops of a client in a class into one unit with the worst results, which are those that
// the client would have met.
func perClient(hops []judged) []judged {
	type key struct {
		class  int
		client netip.Addr
	}
	place := map[key]int{}
	var units []judged
	for _, h := range hops {
		at, ok := place[key{h.class, h.client}]
		if !ok {
			place[key{h.class, h.client}] = len(units)
			h.results = slices.Clone(h.results)
			units = append(units, h)
			continue
		}
		u := &units[at]
		for i, r := range h.results {
			u.results[i] = max(u.results[i], r)
		}
		for p, rule := range h.rules {
			u.rules[p] = cmp.Or(u.rules[p], rule)
		}
		u.score = max(u.score, h.score)
	}
	return units
}

// threshold is a score, and the units with at least that score.
type threshold struct {
	at     float64
	counts []count
}

// thresholds returns, from the highest to the lowest, the thresholds that catch the most spam for the ham
// that they hit: each one hits more ham than the one before.
func thresholds(classes []class, units []judged) []threshold {
	distinct := map[float64]bool{}
	for _, u := range units {
		if u.score > 0 {
			distinct[u.score] = true
		}
	}
	var list []threshold
	for _, at := range slices.Backward(slices.Sorted(maps.Keys(distinct))) {
		t := threshold{at, counts(classes, units, scores(at))}
		if n := len(list); n > 0 && sameHam(classes, list[n-1].counts, t.counts) {
			list[n-1] = t
		} else {
			list = append(list, t)
		}
	}
	return list
}

func sameHam(classes []class, a, b []count) bool {
	for i, c := range classes {
		if c.ham && a[i].hits != b[i].hits {
			return false
		}
	}
	return true
}

// thin returns at most n evenly spaced elements of a list, including the first and the last.
func thin[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	kept := make([]T, n)
	for i := range kept {
		kept[i] = list[i*(len(list)-1)/(n-1)]
	}
	return kept
}

// best returns the lowest threshold that hits at most a percentage of the n units of the first class, which
// is ham. It returns false if there is none.
func best(list []threshold, percent float64, n int) (threshold, bool) {
	for _, t := range slices.Backward(list) {
		if float64(t.counts[0].hits)*100 <= percent*float64(n) {
			return t, true
		}
	}
	return threshold{}, false
}
