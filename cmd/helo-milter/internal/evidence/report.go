package evidence

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
)

// Report is what decision logs say: plain data, and what --json prints. Every text in it is clean.
type Report struct {
	Broken   int       `json:"broken"`       // lines that cannot be read
	Unread   int       `json:"unread_files"` // that cannot be read, or not to their end
	Sections []Section `json:"sections"`
}

// Section is about the records whose DNS facts were found in one way.
type Section struct {
	DNS          string        `json:"dns"` // live, recorded or now
	From         time.Time     `json:"from"`
	To           time.Time     `json:"to"`
	Days         int           `json:"days"` // on which mail was judged
	Transactions int           `json:"transactions"`
	Exempt       []Count       `json:"exempt"`
	Judged       int           `json:"judged"`
	Clients      int           `json:"clients"`      // that were judged
	More         bool          `json:"more_clients"` // than are told apart: these are the first ones
	Networks     int           `json:"networks"`     // of theirs: IPv4 /24, IPv6 /48
	Refused      int           `json:"would_refuse"`
	RefusedBy    int           `json:"would_refuse_clients"`
	Top          []TopClient   `json:"top"` // of those, with the most transactions first
	Trouble      Trouble       `json:"dns_failures"`
	Differs      int           `json:"mta_differs"` // the MTA found something else about the client's name
	Unheard      int           `json:"helo_not_recorded"`
	Ham          int           `json:"ham"` // judged transactions with such a label
	Spam         int           `json:"spam"`
	Trend        []Span        `json:"trend"`
	Rules        []RuleSummary `json:"rules"` // in the table's order
	Ladder       []Rung        `json:"ladder"`
	Missing      []string      `json:"missing"` // why nothing is recommended yet
	Enforce      int           `json:"enforce_clients"`
	TOML         string        `json:"toml"` // "" when nothing is recommended
}

// Count is how many transactions there are of something.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Trouble counts judged transactions.
type Trouble struct {
	PTR      int `json:"ptr_unknown"`  // iprev is temperror
	Unsure   int `json:"rules_unsure"` // at least one rule
	Degraded int `json:"resolver_degraded"`
}

// TopClient is a client that would be refused, with what it said and who it was the last time.
type TopClient struct {
	Example
	Rule    string    `json:"rule"`
	Refused int       `json:"count"`
	Last    time.Time `json:"last"`
}

// Span is some days of the period, all of one length.
type Span struct {
	From    string `json:"from"` // a day, UTC
	Days    int    `json:"days"`
	Exempt  int    `json:"exempt"`
	Judged  int    `json:"judged"`
	Refused int    `json:"would_refuse"`
}

// RuleSummary counts transactions, but for clients and networks.
type RuleSummary struct {
	Rule     string    `json:"rule"`
	Hits     int       `json:"hits"`
	Unsure   int       `json:"unsure"`
	Clients  int       `json:"clients"`
	Networks int       `json:"networks"`
	Refused  int       `json:"would_refuse"` // the verdict wanted that because of this rule
	Ham      int       `json:"ham_hits"`
	Spam     int       `json:"spam_hits"`
	Trend    []int     `json:"trend,omitempty"` // hits by Section.Trend, if there are any
	Examples []Example `json:"examples,omitempty"`
}

// Report draws up what was counted, and says how many lines and files could not be read.
func (t *Tally) Report(broken, unread int) *Report {
	r := &Report{Broken: broken, Unread: unread, Sections: []Section{}}
	for i, c := range t.kinds {
		if c.transactions > 0 {
			r.Sections = append(r.Sections, t.section(c, kinds[i].name))
		}
	}
	return r
}

// Judged is how many transactions were judged, of all kinds: whether there is anything to report.
func (r *Report) Judged() int {
	n := 0
	for i := range r.Sections {
		n += r.Sections[i].Judged
	}
	return n
}

func (t *Tally) section(c *counts, dns string) Section {
	s := Section{
		DNS: dns, From: c.from, To: c.to, Transactions: c.transactions, Judged: c.judged, Refused: c.refused,
		Trouble: Trouble{c.unknownPTR, c.someUnsure, c.degraded}, Differs: c.differs, Ham: c.ham, Spam: c.spam,
		Unheard: c.unheard, More: c.room < 0, Exempt: []Count{},
	}
	for _, d := range c.days {
		s.Days += count(d.judged > 0)
	}
	for i, n := range c.exempt {
		if n > 0 {
			s.Exempt = append(s.Exempt, Count{reasons[i], n})
		}
	}
	slices.SortStableFunc(s.Exempt, func(a, b Count) int { return b.Count - a.Count })
	networks := map[netip.Prefix]ruleSet{}
	for key, place := range c.places {
		who, network := &c.clients[place], network(netip.AddrFrom16(key).Unmap())
		who.looks = who.looks.settled(c.logins[network])
		if who.judged {
			networks[network] |= who.hit
			s.Clients++
			s.RefusedBy += count(who.refused > 0)
		}
	}
	s.Networks, s.Top = len(networks), c.ranked()
	spans := c.spans()
	for _, span := range spans {
		s.Trend = append(s.Trend, span.Span)
	}
	for i := range checks.All {
		s.Rules = append(s.Rules, c.summary(i, networks, spans))
	}
	s.climb(c, t.judge.Policy, t.own)
	return s
}

func (c *counts) summary(rule int, networks map[netip.Prefix]ruleSet, spans []span) RuleSummary {
	n := &c.rules[rule]
	s := RuleSummary{
		Rule: checks.All[rule].Name, Hits: n.hits, Unsure: n.unsure, Refused: n.refused, Ham: n.ham, Spam: n.spam,
		Examples: slices.Clone(n.examples),
	}
	for i := range s.Examples { // by all that is known now
		s.Examples[i].Good = c.looks(s.Examples[i].Client)&against(rule) != 0
	}
	for i := range c.clients {
		who := &c.clients[i]
		s.Clients += count(who.judged && who.hit.has(rule))
	}
	for _, hit := range networks {
		s.Networks += count(hit.has(rule))
	}
	if n.hits == 0 {
		return s
	}
	for _, span := range spans {
		s.Trend = append(s.Trend, int(span.hits[rule]))
	}
	return s
}

// span is a Span with the hits by checks.All.
type span struct {
	Span
	hits []int32
}

// maxSpans is how many columns a trend has at most.
const maxSpans = 31

// spans divides the period, from its first day to its last.
func (c *counts) spans() []span {
	days := slices.Sorted(maps.Keys(c.days))
	first := days[0]
	length := (days[len(days)-1]-first)/maxSpans + 1
	var spans []span
	for begin := first; begin <= days[len(days)-1]; begin += length {
		from := time.Unix(int64(begin)*86400, 0).UTC().Format(time.DateOnly)
		spans = append(spans, span{Span{From: from, Days: length}, make([]int32, len(checks.All))})
	}
	for _, n := range days {
		d, s := c.days[n], &spans[(n-first)/length]
		s.Exempt += d.exempt
		s.Judged += d.judged
		s.Refused += d.refused
		for i, hits := range d.hits {
			s.hits[i] += hits
		}
	}
	return spans
}
