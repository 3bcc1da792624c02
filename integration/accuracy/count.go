package main

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"helo-milter/checks"
)

// count is how many of a class do something: in all, and how many different clients they are of.
type count struct{ hits, clients int }

// counts counts by class the units that match. A unit is a hop or, after perClient, a client.
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

// perClient makes one unit of all hops of a client in a class: the worst of each counts, because that is what
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

// threshold is what the summed score catches from some score on.
type threshold struct {
	at     float64
	counts []count
}

// thresholds returns from the highest on those thresholds that catch the most for the ham that they hit: a
// lower one hits more ham.
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

// thin leaves at most n of a list, evenly, the first and the last among them.
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

// best returns the lowest threshold at which at most that percentage of the first class, which is ham, is
// hit; false when there is none.
func best(list []threshold, percent float64, n int) (threshold, bool) {
	for _, t := range slices.Backward(list) {
		if float64(t.counts[0].hits)*100 <= percent*float64(n) {
			return t, true
		}
	}
	return threshold{}, false
}
