package replay

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
)

// Summary is what became of all items. What was recorded then and what is so now are never added up.
type Summary struct {
	Decisions, Hops Table
	Same            int     // decisions whose verdict is the same, byte for byte
	Lost            int     // decisions that cannot be judged: see checks.Judge.Again
	Refused         Clients // decisions that are refused now and were not; hops that are refused, by the last column
	Passed          Clients // decisions that were refused and are not any more
	Unheard         int     // hops whose HELO nobody wrote down
	Broken          int
	From, To        time.Time
}

// Table is two ways to look at the same items.
type Table struct {
	Items     int
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
	if o.Err != nil {
		s.Broken++
		return
	}
	if at := o.Then.Time; s.From.IsZero() || at.Before(s.From) {
		s.From = at
	}
	if at := o.Then.Time; at.After(s.To) {
		s.To = at
	}
	if o.Hop {
		s.hop(o)
	} else {
		s.decision(o)
	}
}

func (s *Summary) hop(o *Outcome) {
	s.Hops.add(o)
	if o.Then.Facts.Unheard {
		s.Unheard++
	}
	if last := cmp.Or(o.Now, o.Then); refuses(last) {
		s.Refused.add(last)
	}
}

func (s *Summary) decision(o *Outcome) {
	s.Decisions.add(o)
	switch {
	case o.Now == nil:
		s.Lost++
	case o.Then.Verdict == o.Now.Verdict && o.Then.Exempt == o.Now.Exempt:
		s.Same++
	case refuses(o.Now) && !refuses(o.Then):
		s.Refused.add(o.Now)
	case refuses(o.Then) && !refuses(o.Now):
		s.Passed.add(o.Then)
	}
}

func refuses(r *checks.Record) bool {
	return r.Verdict.Want == "tempfail" || r.Verdict.Want == "reject"
}

func (t *Table) add(o *Outcome) {
	t.Items++
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

// Client is one of Clients, as it was seen last.
type Client struct {
	Items  int
	Record *checks.Record
}

// maxClients keeps a list's memory flat, at about 2 KiB each.
const maxClients = 10000

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
		client = &Client{}
		c.seen[r.Client] = client
	}
	client.Items++
	client.Record = r
}

// Count is how many different clients there are, or as many as were kept.
func (c *Clients) Count() int { return len(c.seen) }

// Top returns the n that were seen most often.
func (c *Clients) Top(n int) []*Client {
	list := slices.SortedFunc(maps.Values(c.seen), func(a, b *Client) int {
		return cmp.Or(cmp.Compare(b.Items, a.Items), a.Record.Client.Compare(b.Record.Client))
	})
	return list[:min(n, len(list))]
}
