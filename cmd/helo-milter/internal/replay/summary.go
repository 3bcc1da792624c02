package replay

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Summary counts outcomes. A daemon's decisions, facts recorded by a receiving host and lookups made later
// are never added up. The zero Summary is empty and ready to use.
type Summary struct {
	Daemon         Decisions
	Recorded, Then Decisions // records of an earlier replay: recorded facts, and the lookups made by it
	Hops           Hops
	Unread         Unread // lines, messages and files
}

// Decisions counts decisions that were judged again.
type Decisions struct {
	Table
	Same         int            // the wanted action is the same
	Exactly      int            // and so is the whole verdict, byte for byte
	Lost         int            // not judged, see checks.Judge.Again
	Refused      Clients        // refused now, but not then
	Passed       Clients        // refused then, but not now
	Harder       int            // rejected now, deferred then
	Softer       int            // deferred now, rejected then
	Unanswerable map[string]int // by rule: could not judge, see checks.Judge.Unanswerable
}

// Hops counts hops, which are judged for the first time.
type Hops struct {
	Table
	Unheard int     // the HELO was not recorded
	Refused Clients // judged from lookups made now; without lookups, from what was recorded
}

// Table has two columns about the same items.
type Table struct {
	Items     int
	From, To  time.Time
	Then, Now Column
	Hosts     Hosts
}

// Column counts the items of a Table as judged from one set of facts.
type Column struct {
	Items    int
	Wants    map[string]int            // exempt, accept, tempfail, reject
	Labelled map[string]map[string]int // by label (ham, spam) and Wants
	Fails    map[string]int            // by rule
	Unsure   map[string]int
}

// Add counts an outcome.
func (s *Summary) Add(o *Outcome) {
	switch {
	case o.Err != nil:
		s.Unread.add(o.Err)
	case o.Hop:
		s.Hops.add(o)
	case o.Then.Source == nil:
		s.Daemon.add(o)
	case o.Then.Source.DNS == "recorded":
		s.Recorded.add(o)
	default:
		s.Then.add(o)
	}
}

// Missing returns how many items have no record from this replay.
func (s *Summary) Missing() int {
	return s.Unread.Items + s.Daemon.Lost + s.Recorded.Lost + s.Then.Lost
}

func (h *Hops) add(o *Outcome) {
	h.Table.add(o)
	if o.Then.Facts.Unheard {
		h.Unheard++
	}
	if last := cmp.Or(o.Now, o.Then); refuses(last) {
		h.Refused.add(last)
	}
}

func (d *Decisions) add(o *Outcome) {
	d.Table.add(o)
	switch {
	case o.Now == nil:
		d.Lost++
		return
	case refuses(o.Now) && !refuses(o.Then):
		d.Refused.add(o.Now)
	case refuses(o.Then) && !refuses(o.Now):
		d.Passed.add(o.Then)
	}
	switch then, now := o.Then.Verdict.Want, o.Now.Verdict.Want; {
	case then == now:
		d.Same++
	case then == "tempfail" && now == "reject":
		d.Harder++
	case then == "reject" && now == "tempfail":
		d.Softer++
	}
	for _, rule := range o.Unanswerable {
		if d.Unanswerable == nil {
			d.Unanswerable = map[string]int{}
		}
		d.Unanswerable[rule]++
	}
	if o.Then.Verdict == o.Now.Verdict && o.Then.Exempt == o.Now.Exempt {
		d.Exactly++
	}
}

func refuses(r *checks.Record) bool {
	return r.Verdict.Want == "tempfail" || r.Verdict.Want == "reject"
}

func (t *Table) add(o *Outcome) {
	t.Items++
	if at := o.Then.Time; t.From.IsZero() || at.Before(t.From) {
		t.From = at
	}
	if at := o.Then.Time; at.After(t.To) {
		t.To = at
	}
	t.Then.add(o.Then)
	if o.Now != nil {
		t.Now.add(o.Now)
	}
	t.Hosts.add(o)
}

func (c *Column) add(r *checks.Record) {
	if c.Wants == nil {
		*c = Column{
			Wants: map[string]int{}, Labelled: map[string]map[string]int{}, Fails: map[string]int{},
			Unsure: map[string]int{},
		}
	}
	c.Items++
	c.Wants[r.Verdict.Want]++
	if r.Source != nil && r.Source.Label != "" {
		if c.Labelled[r.Source.Label] == nil {
			c.Labelled[r.Source.Label] = map[string]int{}
		}
		c.Labelled[r.Source.Label][r.Verdict.Want]++
	}
	for _, f := range r.Findings {
		switch f.Result {
		case checks.Fail:
			c.Fails[f.Rule]++
		case checks.Unsure:
			c.Unsure[f.Rule]++
		}
	}
}

// Clients counts items by client. It holds the first maxClients clients.
type Clients struct {
	Items int
	seen  map[netip.Addr]*Client
	More  bool // there were more than maxClients
}

// Client is one of Clients. Rule, Helo and PTR are those of its last item; Helo and PTR are quoted.
type Client struct {
	Addr            netip.Addr
	Items           int
	Rule, Helo, PTR string
}

const maxClients = 10_000 // bounds a list to about 2 MB

func (c *Clients) add(r *checks.Record) {
	c.Items++
	client, ok := c.seen[r.Client]
	switch {
	case !ok && len(c.seen) == maxClients:
		c.More = true
		return
	case !ok:
		if c.seen == nil {
			c.seen = map[netip.Addr]*Client{}
		}
		client = &Client{Addr: r.Client}
		c.seen[r.Client] = client
	}
	client.Items++
	client.Rule, client.Helo, client.PTR = r.Verdict.Rule, clean.Cell(r.Helo.Raw), names(r)
}

// Count returns how many clients are in the list.
func (c *Clients) Count() int { return len(c.seen) }

// Top returns up to n clients, those with the most items first.
func (c *Clients) Top(n int) []*Client {
	list := slices.SortedFunc(maps.Values(c.seen), func(a, b *Client) int {
		return cmp.Or(cmp.Compare(b.Items, a.Items), a.Addr.Compare(b.Addr))
	})
	return list[:min(n, len(list))]
}

// names are the PTR names of a client, in short.
func names(r *checks.Record) string {
	names := r.Facts.PTR.Values
	switch {
	case len(names) == 0 && r.Facts.PTR.Status == checks.Missing:
		return "no PTR"
	case len(names) == 0:
		return "PTR unknown"
	}
	first := strings.Trim(clean.Cell(names[0].Name), `"`)
	if len(names) > 1 {
		return fmt.Sprintf("%s and %d more", first, len(names)-1)
	}
	return first
}
