package evidence

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
)

// Report is the evidence of decision logs as plain data, which --json prints. Every text in it is printable
// ASCII.
type Report struct {
	Broken   int       `json:"broken"`         // lines that could not be read
	Unread   int       `json:"unread_files"`   // files that could not be read, or only in part
	Lost     []string  `json:"lost,omitempty"` // what is missing in what hosts share, a host each
	Sections []Section `json:"sections"`
	Allow    []Allowed `json:"allow,omitempty"` // the entries until "mended"
}

// Section is about the records whose DNS facts were obtained in one way.
type Section struct {
	DNS          string        `json:"dns"` // live, recorded or now
	From         time.Time     `json:"from"`
	To           time.Time     `json:"to"`
	Days         int           `json:"days"` // on which mail was judged
	Transactions int           `json:"transactions"`
	Exempt       []Count       `json:"exempt"`
	Judged       int           `json:"judged"`
	Clients      int           `json:"clients"`      // that were judged
	More         bool          `json:"more_clients"` // than the limit: Clients are the first ones
	Networks     int           `json:"networks"`     // of the judged clients: IPv4 /24, IPv6 /48
	Refused      int           `json:"would_refuse"`
	RefusedBy    int           `json:"would_refuse_clients"`
	Top          []TopClient   `json:"top"` // of these clients, most transactions first
	Trouble      Trouble       `json:"dns_failures"`
	Causes       []Cause       `json:"unsure_by"`   // most transactions first
	Seen         int           `json:"fleet_seen"`  // judged, and a fleet said what it had seen of the client
	Differs      int           `json:"mta_differs"` // the MTA's reverse DNS check had a different result
	Unheard      int           `json:"helo_not_recorded"`
	Ham          int           `json:"ham"` // judged transactions with this label
	Spam         int           `json:"spam"`
	Hosts        []Host        `json:"hosts"` // by name
	Trend        []Span        `json:"trend"`
	Rules        []RuleSummary `json:"rules"` // in the table's order
	Ladder       []Rung        `json:"ladder"`
	Missing      []string      `json:"missing"` // why nothing is recommended yet
	Enforce      int           `json:"enforce_clients"`
	TOML         string        `json:"toml"` // "" when nothing is recommended
	changes      *changes      // nil without Tally.Compare
}

// Count is a number of transactions.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Trouble counts judged transactions with failed lookups.
type Trouble struct {
	PTR      int `json:"ptr_unknown"`  // iprev is temperror
	Unsure   int `json:"rules_unsure"` // at least one rule
	Degraded int `json:"resolver_degraded"`
}

// TopClient is a client that would be refused, as it was in its last such transaction.
type TopClient struct {
	Example
	Rule    string    `json:"rule"`
	Refused int       `json:"count"`
	Last    time.Time `json:"last"`
}

// Span is some days of the period, all of one length. Its figures count transactions.
type Span struct {
	From     string `json:"from"` // a day, UTC
	Days     int    `json:"days"`
	Exempt   int    `json:"exempt"`
	Judged   int    `json:"judged"`
	Refused  int    `json:"would_refuse"`
	Unsure   int    `json:"lookups_failed"` // judged, with at least one rule unsure
	Degraded int    `json:"resolver_degraded"`
}

// RuleSummary counts transactions, except for Clients and Networks.
type RuleSummary struct {
	Rule     string    `json:"rule"`
	Hits     int       `json:"hits"`
	Unsure   int       `json:"unsure"`
	Clients  int       `json:"clients"`
	Networks int       `json:"networks"`
	Refused  int       `json:"would_refuse"` // because of this rule, by the verdict in the record
	Ham      int       `json:"ham_hits"`
	Spam     int       `json:"spam_hits"`
	Trend    []int     `json:"trend,omitempty"` // hits by Section.Trend, if there are any
	Examples []Example `json:"examples,omitempty"`
}

// Report returns the report on what was counted so far. broken and unread are the lines and files that could not
// be read. It may be called again and again while records are counted: it changes no later report, and none
// changes it.
func (t *Tally) Report(broken, unread int) *Report {
	r := &Report{Broken: broken, Unread: unread, Sections: []Section{}}
	for i, c := range t.kinds {
		if c.transactions > 0 {
			r.Sections = append(r.Sections, t.section(c, kinds[i].name))
		}
	}
	r.Allow = t.allowed()
	return r
}

// Judged returns how many transactions of all kinds were judged; if 0, there is nothing to report.
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
		Trouble: Trouble{c.unknownPTR, c.someUnsure, c.degraded}, Causes: c.causes.list(), Differs: c.differs, Seen: c.seen,
		Ham: c.ham, Spam: c.spam, Unheard: c.unheard, More: c.more, Exempt: []Count{},
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
		who.settled = who.looks.settled(c.logins[network])
		if who.judged() {
			networks[network] |= who.hit
			s.Clients++
			s.RefusedBy += count(who.refused > 0)
		}
	}
	s.Networks, s.Top, s.Hosts = len(networks), c.ranked(), c.hosts.sorted()
	spans := c.spans()
	for _, span := range spans {
		s.Trend = append(s.Trend, span.Span)
	}
	for i := range checks.All {
		s.Rules = append(s.Rules, c.summary(i, networks, spans))
	}
	s.climb(c, t.judge.Policy, t.own)
	if !t.week.IsZero() {
		s.changes = c.changed(t.week)
	}
	return s
}

func (c *counts) summary(rule int, networks map[netip.Prefix]ruleSet, spans []span) RuleSummary {
	n := &c.rules[rule]
	s := RuleSummary{
		Rule: checks.All[rule].Name, Hits: n.hits, Unsure: n.unsure, Refused: n.refused, Ham: n.ham, Spam: n.spam,
		Examples: slices.Clone(n.examples),
	}
	for i := range s.Examples { // which may look different now that all records are known
		s.Examples[i].Good = c.looks(s.Examples[i].Client)&against(rule) != 0
	}
	for i := range c.clients {
		who := &c.clients[i]
		s.Clients += count(who.judged() && who.hit.has(rule))
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

// maxSpans is the maximum number of columns of a trend.
const maxSpans = 31

// spans divides the period from its first to its last day into at most maxSpans spans of equal length.
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
		s.Unsure += d.unsure
		s.Degraded += d.degraded
		for i, hits := range d.hits {
			s.hits[i] += hits
		}
	}
	return spans
}
