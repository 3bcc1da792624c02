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

// Summary is what became of all items. What was recorded then, what the DNS said when somebody looked it up
// later, and what a daemon decided are never added up.
type Summary struct {
	Daemon         Decisions
	Recorded, Then Decisions // of an earlier replay: by what was recorded, and by what the DNS said at its time
	Hops           Hops
	Broken         int
}

// Decisions are judged again.
type Decisions struct {
	Table
	Same         int            // the same is wanted
	Exactly      int            // and the verdict is the same, byte for byte
	Lost         int            // cannot be judged: see checks.Judge.Again
	Refused      Clients        // refused now, and not then
	Passed       Clients        // refused then, and not now
	Harder       int            // rejected now, and only put off then
	Softer       int            // the reverse
	Unanswerable map[string]int // by rule: could not be judged by it, see checks.Judge.Unanswerable
}

// Hops are judged for the first time.
type Hops struct {
	Table
	Unheard int     // nobody wrote down the HELO
	Refused Clients // by the DNS now or, where nobody asked, by what was recorded
}

// Table is two ways to look at the same items.
type Table struct {
	Items     int
	From, To  time.Time
	Then, Now Column
}

// Column is what became of items in one way of looking at them.
type Column struct {
	Items    int
	Wants    map[string]int            // exempt, accept, tempfail, reject
	Labelled map[string]map[string]int // ham or spam, want
	Fails    map[string]int            // by rule
	Unsure   map[string]int
}

// Add counts an outcome.
func (s *Summary) Add(o *Outcome) {
	switch {
	case o.Err != nil:
		s.Broken++
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

// Missing is how many items are in no record that was made now.
func (s *Summary) Missing() int { return s.Broken + s.Daemon.Lost + s.Recorded.Lost + s.Then.Lost }

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

// Clients are clients with how often each was seen: of very many, those that were seen first.
type Clients struct {
	Items int
	seen  map[netip.Addr]*Client
	More  bool // there are clients that are not in the list
}

// Client is one of Clients. All but the address is as it was seen last, and text from the network.
type Client struct {
	Addr            netip.Addr
	Items           int
	Rule, Helo, PTR string
}

// maxClients keeps a list's memory flat, at about 200 bytes each.
const maxClients = 10_000

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

// Count is how many different clients there are, or as many as were kept.
func (c *Clients) Count() int { return len(c.seen) }

// Top returns the n that were seen most often.
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
