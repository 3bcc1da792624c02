package evidence

import (
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
)

// Tally counts the records of decision logs. Its memory grows with the number of different clients, 60 to 80
// bytes each, up to maxClients of a kind or to LimitClients, and with the days of the period, about 250 bytes
// each, but not with the records. A Report takes up to 100 bytes more for each network of clients while it is
// made. Of its methods, only Judge may be called by several goroutines at once.
type Tally struct {
	judge *checks.Judge
	own   []*checks.Action
	kinds [len(kinds)]*counts
	week  time.Time // when the last week begins, see Compare
	allow *checks.Probation
}

// kinds are the ways in which the DNS facts of a record were obtained. Nothing is ever summed over them.
var kinds = [...]struct{ name, doc string }{
	{"live", "looked up when the mail arrived"},
	{recorded, "only what the receiving host recorded when the mail arrived"},
	{"now", "looked up later, by replay; the DNS may have changed in between"},
}

const recorded = "recorded"

// New returns an empty tally for a configuration: its judge, and its actions from [rules] by checks.All,
// where nil stands for the action of the profile.
func New(judge *checks.Judge, own []*checks.Action) *Tally {
	t := &Tally{judge: judge, own: own, allow: checks.NewProbation(judge)}
	for i := range t.kinds {
		t.kinds[i] = &counts{
			rules: make([]ruleCounts, len(checks.All)), days: map[int]*day{},
			places: map[[16]byte]int32{}, limit: maxClients, logins: map[netip.Prefix]bool{},
			hosts: hosts{}, causes: causes{},
		}
	}
	return t
}

// LimitClients bounds the clients of each kind that are distinguished to the first n, at most maxClients. Of those
// beyond, transactions are counted, and Section.More is set. The networks from which users log in are bounded,
// too. It has to be called before the first Add.
func (t *Tally) LimitClients(n int) {
	for _, c := range t.kinds {
		c.limit = min(n, maxClients)
	}
}

// Add judges and counts a record.
func (t *Tally) Add(r *checks.Record) { t.Count(t.Judge(r)) }

// Count counts a record. One that only asks the help mailbox is no mail, and often a test by hand: it is not evidence.
func (t *Tally) Count(r *Judged) {
	if t.judge.OnlyAsked(r.RcptTo) {
		return
	}
	kind := 0
	if r.Source != nil {
		kind = 1
		if r.Source.DNS == "now" {
			kind = 2
		}
	}
	t.kinds[kind].add(r, weekOf(r.Time, t.week))
	t.allow.Count(r.trial)
}

// ruleSet is a set of rules, as bits by their index in checks.All.
type ruleSet uint64

func (s ruleSet) has(rule int) bool { return s>>rule&1 != 0 }

// counts is everything known of the records of one kind.
type counts struct {
	from, to                         time.Time
	transactions, judged, refused    int
	exempt                           [len(reasons)]int
	unknownPTR, someUnsure, degraded int // judged transactions with DNS trouble
	differs, seen, unheard           int
	ham, spam                        int
	rules                            []ruleCounts // by checks.All
	days                             map[int]*day // since 1970
	clients                          []client
	places                           map[[16]byte]int32 // in clients, by address
	limit                            int                // of clients, and of networks in logins
	more                             bool               // there are some beyond the limit
	beyond                           client             // the last of those
	top, good                        ranking            // all that are refused, and those that look legitimate
	weeks                            [weeks]week
	causes                           causes
	logins                           map[netip.Prefix]bool
	hosts                            hosts
}

// ruleCounts counts transactions.
type ruleCounts struct {
	hits, unsure, refused, ham, spam int
	examples                         []Example
}

type day struct {
	exempt, judged, refused int
	unsure, degraded        int     // judged, as in counts
	hits                    []int32 // by checks.All
}

// maxDays bounds the memory that wrong clocks can take: 20 years.
const maxDays = 20 * 366

// reasons are why a client is exempt. The last stands for those of newer versions.
var reasons = [...]string{"authenticated", "private", "allow", "no-address", "other"}

func (c *counts) add(judged *Judged, week int) {
	r, findings := judged.Record, judged.findings
	at := r.Time.UTC()
	if c.from.IsZero() || at.Before(c.from) {
		c.from = at
	}
	if at.After(c.to) {
		c.to = at
	}
	c.transactions++
	c.weeks[week].transactions++
	today := c.day(at)
	c.hosts.of(r).Count(judged)
	if judged.exempt == "" {
		unsure := c.judge(r, findings, judged.unanswerable, today, week)
		c.weeks[week].judge(r, findings, unsure)
		return
	}
	today.exempt++
	i := slices.Index(reasons[:], judged.exempt)
	if i < 0 {
		i = len(reasons) - 1
	}
	c.exempt[i]++
	switch reasons[i] {
	case "authenticated":
		c.loggedIn(network(r.Client))
	case "allow":
		c.allow(r, findings, judged.unanswerable)
	}
}

func (c *counts) day(at time.Time) *day {
	n := int(at.Unix() / 86400)
	if c.days[n] == nil {
		d := &day{hits: make([]int32, len(checks.All))}
		if len(c.days) >= maxDays {
			return d // not kept
		}
		c.days[n] = d
	}
	return c.days[n]
}

// judge counts a judged transaction, and reports whether a rule was unsure.
func (c *counts) judge(
	r *checks.Record, findings []checks.Finding, unasked []string, today *day, week int,
) (unsure bool) {
	f, who := r.Facts, c.client(r.Client)
	iprev := f.Iprev()
	c.judged++
	today.judged++
	who.times |= judgedIn(week)
	who.looks |= looksOf(r)
	c.seen += count(f.Seen != nil)
	c.differs += count(f.MTAResolve.Differs(iprev))
	c.unheard += count(f.Unheard)
	ham, spam := count(labelled(r, "ham")), count(labelled(r, "spam"))
	c.ham += ham
	c.spam += spam
	for i, found := range findings {
		n := &c.rules[i]
		switch found.Result {
		case checks.Unsure:
			unsure = true
			n.unsure++
		case checks.Fail:
			today.hits[i]++
			n.hits++
			n.ham += ham
			n.spam += spam
			c.hit(i, r, who)
		}
	}
	who.spoke |= speaking(f, findings, unasked)
	c.unknownPTR += count(iprev == "temperror")
	c.trouble(f, findings, unsure, today)
	if refused(r.Verdict.Want) {
		who.times |= refusedIn(week)
		c.refuse(r, who, today)
	}
	return unsure
}

// trouble counts what failed, and what that left unsure.
func (c *counts) trouble(f *checks.Facts, findings []checks.Finding, unsure bool, today *day) {
	c.degraded += count(f.Degraded)
	today.degraded += count(f.Degraded)
	if !unsure {
		return
	}
	c.someUnsure++
	today.unsure++
	c.causes.add(causesOf(f, findings))
}

func labelled(r *checks.Record, label string) bool { return r.Source != nil && r.Source.Label == label }

// hit records that a rule has hit a client.
func (c *counts) hit(rule int, r *checks.Record, who *client) {
	who.hit |= 1 << rule
	good := who.looks&against(rule) != 0 || c.logins[network(r.Client)]
	if n := &c.rules[rule]; c.kept(who) && n.wants(good) {
		n.example(example(r), good)
	}
}

func (c *counts) refuse(r *checks.Record, who *client, today *day) {
	c.refused++
	today.refused++
	who.refused++
	rule := checks.Index(r.Verdict.Rule)
	if rule >= 0 {
		c.rules[rule].refused++
	}
	if at := r.Time.Unix(); at >= who.last {
		who.last, who.by = at, uint8(rule+1)
	}
	if !c.kept(who) {
		return
	}
	c.top.add(r, who)
	if rule >= 0 && (who.looks&against(rule) != 0 || c.logins[network(r.Client)]) {
		c.good.add(r, who)
	}
}

// loggedIn records that a user in a network has logged in.
func (c *counts) loggedIn(from netip.Prefix) {
	if !c.logins[from] && len(c.logins) >= c.limit {
		c.more = true
		return
	}
	c.logins[from] = true
}

// allow records the findings of a client on the allow list. It is trusted, so a rule that hits it would do
// harm.
func (c *counts) allow(r *checks.Record, findings []checks.Finding, unasked []string) {
	who := c.client(r.Client)
	who.looks |= looksOf(r) | allowed
	for i, found := range findings {
		if found.Result == checks.Fail {
			c.hit(i, r, who)
		}
	}
	who.spoke |= speaking(r.Facts, findings, unasked)
}
