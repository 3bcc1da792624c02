// Package evidence says what decision logs tell about the rules: what they hit, what speaks for and against
// enforcing each, and which ones a careful postmaster could enforce. It counts, judges and prints.
package evidence

import (
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
)

// Tally counts the records of decision logs. What it holds grows with the different clients, about 200 bytes
// each, and with the days of the period, and not with the records.
type Tally struct {
	policy *checks.Policy
	deny   *checks.DenyList
	kinds  [len(kinds)]*counts
}

// kinds are the ways in which the DNS facts of a record were found. Nothing is ever summed over them.
var kinds = [...]struct{ name, doc string }{
	{"live", "looked up when the mail came"},
	{"recorded", "only what the receiving host wrote down when the mail came"},
	{"now", "looked up afterwards, by replay: names may have changed since"},
}

// New returns an empty tally. The policy says what is enforced already; allow-listed clients are judged with
// the deny list.
func New(policy *checks.Policy, deny *checks.DenyList) *Tally {
	t := &Tally{policy: policy, deny: deny}
	for i := range t.kinds {
		t.kinds[i] = &counts{
			rules: make([]ruleCounts, len(checks.All)), days: map[int]*day{},
			clients: map[netip.Addr]*client{}, logins: map[netip.Prefix]bool{},
		}
	}
	return t
}

// Add counts a record.
func (t *Tally) Add(r *checks.Record) {
	kind := 0
	if r.Source != nil {
		kind = 1
		if r.Source.DNS == "now" {
			kind = 2
		}
	}
	t.kinds[kind].add(r, t.deny)
}

// ruleSet is a set of rules by their places in checks.All.
type ruleSet uint64

func (s ruleSet) has(rule int) bool { return s>>rule&1 != 0 }

// counts is all that is known of the records of one kind.
type counts struct {
	from, to                         time.Time
	transactions, judged, refused    int
	exempt                           [len(reasons)]int
	unknownPTR, someUnsure, degraded int // judged transactions with DNS trouble
	differs, ham, spam               int
	rules                            []ruleCounts // by checks.All
	days                             map[int]*day // since 1970
	clients                          map[netip.Addr]*client
	logins                           map[netip.Prefix]bool
}

// ruleCounts counts transactions.
type ruleCounts struct {
	hits, unsure, refused, ham, spam int
	examples                         []Example
}

type day struct {
	exempt, judged, refused int
	hits                    []int32 // by checks.All
}

// maxDays bounds what broken clocks can cost: 20 years.
const maxDays = 20 * 366

// reasons are those for which a client is exempt. The last stands for what a newer version may have.
var reasons = [...]string{"authenticated", "private", "allow", "no-address", "other"}

func (c *counts) add(r *checks.Record, deny *checks.DenyList) {
	at := r.Time.UTC()
	if c.from.IsZero() || at.Before(c.from) {
		c.from = at
	}
	if at.After(c.to) {
		c.to = at
	}
	c.transactions++
	today := c.day(at)
	if r.Exempt == "" {
		c.judge(r, today)
		return
	}
	today.exempt++
	i := slices.Index(reasons[:], r.Exempt)
	if i < 0 {
		i = len(reasons) - 1
	}
	c.exempt[i]++
	switch r.Exempt {
	case "authenticated":
		c.logins[network(r.Client)] = true
	case "allow":
		c.allow(r, deny)
	}
}

func (c *counts) day(at time.Time) *day {
	n := int(at.Unix() / 86400)
	if c.days[n] == nil {
		d := &day{hits: make([]int32, len(checks.All))}
		if len(c.days) >= maxDays {
			return d // and nobody sees it again
		}
		c.days[n] = d
	}
	return c.days[n]
}

// judge counts a judged transaction by what its findings were then.
func (c *counts) judge(r *checks.Record, today *day) {
	f, who := r.Facts, c.client(r.Client)
	c.judged++
	today.judged++
	who.judged = true
	who.looks |= looksOf(r)
	c.differs += count(f.MTAResolve.Differs(r.Iprev))
	c.degraded += count(f.Degraded)
	c.unknownPTR += count(r.Iprev == "temperror")
	c.ham += count(labelled(r, "ham"))
	c.spam += count(labelled(r, "spam"))
	spoke, unsure := speaking(f), false
	for _, found := range r.Findings {
		i := checks.Index(found.Rule)
		switch {
		case found.Rule == checks.Internal:
			spoke = 0
		case i < 0: // of a newer version
		case found.Result == checks.Unsure:
			unsure = true
			c.rules[i].unsure++
			spoke &^= 1 << i
		case found.Result == checks.Fail:
			today.hits[i]++
			c.rules[i].hits++
			c.rules[i].ham += count(labelled(r, "ham"))
			c.rules[i].spam += count(labelled(r, "spam"))
			c.hit(i, r, who)
		}
	}
	who.spoke |= spoke
	c.someUnsure += count(unsure)
	if r.Verdict.Want == "tempfail" || r.Verdict.Want == "reject" {
		c.refuse(r, who, today)
	}
}

func labelled(r *checks.Record, label string) bool { return r.Source != nil && r.Source.Label == label }

// hit notes that a rule has hit a client.
func (c *counts) hit(rule int, r *checks.Record, who *client) {
	who.hit |= 1 << rule
	who.spoke |= 1 << rule
	e := example(r)
	e.Good = who.looks&against(rule) != 0 || c.logins[network(r.Client)]
	c.rules[rule].example(e)
}

func (c *counts) refuse(r *checks.Record, who *client, today *day) {
	c.refused++
	today.refused++
	who.refused++
	i := checks.Index(r.Verdict.Rule)
	if i >= 0 {
		c.rules[i].refused++
	}
	if at := r.Time.Unix(); at >= who.lastTime {
		who.last, who.lastTime, who.lastRule = example(r), at, int8(i)
	}
}

// allow asks the rules about a client that is on the allow list: who trusts it does not want them to fail.
func (c *counts) allow(r *checks.Record, deny *checks.DenyList) {
	who := c.client(r.Client)
	who.looks |= looksOf(r) | allowed
	spoke := speaking(r.Facts)
	for i, found := range checks.Evaluate(r.Facts, deny, "") {
		switch found.Result {
		case checks.Unsure:
			spoke &^= 1 << i
		case checks.Fail:
			c.hit(i, r, who)
		}
	}
	who.spoke |= spoke
}

func (c *counts) client(addr netip.Addr) *client {
	who := c.clients[addr]
	if who == nil {
		who = &client{}
		c.clients[addr] = who
	}
	return who
}

// speaking are the rules that can say something about a client: not about a HELO that nobody wrote down, and
// not about a DNS that nobody asked.
func speaking(f *checks.Facts) ruleSet {
	var set ruleSet
	for i, rule := range checks.All {
		unheard := f.Unheard && rule.On&checks.FormUnheard == 0
		unasked := f.PTR.Status == checks.Unasked && rule.Reads|rule.Clears != 0
		if !unheard && !unasked {
			set |= 1 << i
		}
	}
	return set
}
