package evidence

import (
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
)

// The periods that are compared: the last seven days, the seven before, and all that was earlier.
const (
	earlier = iota
	before
	latest
	weeks
)

const sevenDays = 7 * 24 * time.Hour

// Compare says when the last week ends. It has to be called before the first Add, and without it there is no
// Letter.
func (t *Tally) Compare(now time.Time) { t.week = now.Add(-sevenDays) }

// weekOf returns in which of the periods a moment is. from is when the latest begins.
func weekOf(at, from time.Time) int {
	switch {
	case from.IsZero() || at.Before(from.Add(-sevenDays)):
		return earlier
	case at.Before(from):
		return before
	default:
		return latest
	}
}

// times are the periods in which a client was judged, and those in which it was refused.
type times uint8

const everJudged times = 1<<weeks - 1

func judgedIn(week int) times  { return 1 << week }
func refusedIn(week int) times { return 1 << (weeks + week) }

// week counts transactions. wanted are those that would be refused, and refused those that were.
type week struct {
	transactions, judged, wanted, refused, unsure int
	hits                                          [maxRules]int // by checks.All
}

// maxRules is how many rules a ruleSet has room for.
const maxRules = 64

func (w *week) judge(r *checks.Record, findings []checks.Finding, unsure bool) {
	w.judged++
	w.wanted += count(refused(r.Verdict.Want))
	w.refused += count(refused(r.Verdict.Did))
	w.unsure += count(unsure)
	for i, found := range findings {
		w.hits[i] += count(found.Result == checks.Fail)
	}
}

// changes are what a letter says of the clients of a week.
type changes struct {
	from, to            time.Time
	week, before        week
	clients, wanted     int // judged in the week, and those of them that would be refused
	fresh, looks        int // of the latter: not refused in the week before; that look legitimate
	freshTop, looksTop  []TopClient
	newRules, goneRules []string
	hosts, silent       []string // all, and those without a record in the week
}

// maxListed is how many clients a list of a letter has.
const maxListed = 5

// changed compares the last week with the one before. The looks of the clients have to be settled.
func (c *counts) changed(from time.Time) *changes {
	ch := &changes{from: from, to: from.Add(sevenDays), week: c.weeks[latest], before: c.weeks[before]}
	for key, place := range c.places {
		who := &c.clients[place]
		ch.clients += count(who.times&judgedIn(latest) != 0)
		if who.times&refusedIn(latest) == 0 {
			continue
		}
		ch.wanted++
		addr := netip.AddrFrom16(key).Unmap()
		if who.times&refusedIn(before) == 0 {
			ch.fresh++
			ch.freshTop = c.list(ch.freshTop, addr, who)
		}
		if who.good() {
			ch.looks++
			ch.looksTop = c.list(ch.looksTop, addr, who)
		}
	}
	for i := range checks.All {
		now, then, name := ch.week.hits[i], ch.before.hits[i], checks.All[i].Name
		switch {
		case ch.before.judged == 0 || ch.week.judged == 0:
		case now > 0 && then == 0:
			ch.newRules = append(ch.newRules, name)
		case now == 0 && then > 0:
			ch.goneRules = append(ch.goneRules, name)
		}
	}
	hosts := c.hosts.sorted()
	for i := range hosts {
		ch.hosts = append(ch.hosts, hosts[i].Name)
		if hosts[i].Last.Before(from) {
			ch.silent = append(ch.silent, hosts[i].Name)
		}
	}
	return ch
}

// list adds a refused client to a list of those with the most refused transactions. HELO and PTR are known of
// the clients that the report shows, and of most that look legitimate.
func (c *counts) list(list []TopClient, addr netip.Addr, who *client) []TopClient {
	t := TopClient{Refused: int(who.refused), Last: time.Unix(who.last, 0).UTC()}
	t.Client, t.Good = addr, who.good()
	if who.by > 0 {
		t.Rule = checks.All[who.by-1].Name
	}
	if len(list) == maxListed && byRefused(t, list[maxListed-1]) > 0 {
		return list
	}
	t.Helo, t.PTR = c.texts(addr)
	list = append(list, t)
	slices.SortFunc(list, byRefused)
	return list[:min(len(list), maxListed)]
}

// texts returns the HELO and the PTR name of a client, if they are kept.
func (c *counts) texts(addr netip.Addr) (helo, ptr string) {
	for _, list := range []ranking{c.good, c.top} {
		for i := range list {
			if list[i].Client == addr {
				return list[i].Helo, list[i].PTR
			}
		}
	}
	for i := range c.rules {
		for _, e := range c.rules[i].examples {
			if e.Client == addr {
				return e.Helo, e.PTR
			}
		}
	}
	return "", ""
}
