package console

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
)

const (
	maxFound   = 500 // clients of a search
	maxSaid    = 50  // HELOs and PTR names of a client
	maxDecided = 100 // decisions of a client, the last ones
	queryShare = 2   // one part in so many of its time works a query
)

// found are the clients of a search.
type found struct {
	clients map[netip.Addr]*client
	More    int // decisions of clients for which there was no room
	Records int
	Failed  bool // not all could be read
}

// client is one of them.
type client struct {
	Addr        netip.Addr
	First, Last time.Time
	Count       int
	Wants       map[string]int
	Rules       map[string]int // of those that would be refused
	Helos, PTRs said
	Days        map[string]*clientDay
	Decided     []hosted // the last ones, the latest first
	latest      *checks.Record
}

// hosted is a decision with the host of the fleet that it is of; "" without a fleet.
type hosted struct {
	*checks.Record
	host string
}

// clientDay counts the decisions of a day.
type clientDay struct{ Count, Refused int }

// said are the texts that a client has said, or the DNS of it.
type said map[string]*saying

// saying is one of them.
type saying struct {
	Text        string
	First, Last time.Time
	Count       int
}

// note counts a text. Of very many, the first ones are kept.
func (s said) note(text string, at time.Time) {
	one := s[text]
	if one == nil {
		if len(s) == maxSaid {
			return
		}
		one = &saying{Text: text, First: at, Last: at}
		s[text] = one
	}
	one.Count++
	if at.Before(one.First) {
		one.First = at
	}
	if at.After(one.Last) {
		one.Last = at
	}
}

// list returns them, the latest first.
func (s said) list() []*saying {
	var list []*saying
	for _, one := range s {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *saying) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Text, b.Text)) })
	return list
}

// search counts the decisions of a filter by client. whole keeps decisions, too.
func (c *Console) search(ctx context.Context, k *kept, wanted *filter, whole bool) *found {
	f := &found{clients: map[netip.Addr]*client{}}
	seen := past.NewSeen()
	for host, r := range k.records(ctx, reading{
		from: time.Now().Add(-keptTime), wants: wanted.ofLine(), host: wanted.Host, share: queryShare, broken: note(&f.Failed),
	}) {
		if wanted.match(host, r) && !seen.Again(r) {
			f.add(hosted{r, host}, whole)
		}
	}
	return f
}

func (f *found) add(r hosted, whole bool) {
	f.Records++
	one := f.clients[r.Client]
	if one == nil {
		if len(f.clients) == maxFound {
			f.More++
			return
		}
		one = &client{
			Addr: r.Client, First: r.Time, Wants: map[string]int{}, Rules: map[string]int{}, Helos: said{}, PTRs: said{},
			Days: map[string]*clientDay{},
		}
		f.clients[r.Client] = one
	}
	one.add(r.Record)
	if whole {
		one.Decided = append(one.Decided, r)
		if len(one.Decided) >= 2*maxDecided {
			one.cut()
		}
	}
}

func (c *client) add(r *checks.Record) {
	c.Count++
	c.Wants[r.Verdict.Want]++
	day := r.Time.UTC().Format(time.DateOnly)
	if c.Days[day] == nil {
		c.Days[day] = &clientDay{}
	}
	c.Days[day].Count++
	if refuses(r) {
		c.Rules[r.Verdict.Rule]++
		c.Days[day].Refused++
	}
	if r.Time.Before(c.First) {
		c.First = r.Time
	}
	if !r.Time.Before(c.Last) {
		c.Last, c.latest = r.Time, r
	}
	for _, h := range r.Helos {
		c.Helos.note(h.Raw, r.Time)
	}
	for _, h := range r.Facts.PTR.Values {
		c.PTRs.note(h.Name, r.Time)
	}
}

// refuses reports whether the policy wanted to refuse.
func refuses(r *checks.Record) bool {
	return r.Verdict.Want == "reject" || r.Verdict.Want == "tempfail"
}

// cut sorts the decisions, and keeps the last ones.
func (c *client) cut() {
	slices.SortFunc(c.Decided, func(a, b hosted) int { return b.Time.Compare(a.Time) })
	c.Decided = c.Decided[:min(len(c.Decided), maxDecided)]
}

// list returns the clients, those with the most decisions first.
func (f *found) list() []*client {
	var list []*client
	for _, one := range f.clients {
		one.cut()
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *client) int { return cmp.Or(b.Count-a.Count, a.Addr.Compare(b.Addr)) })
	return list
}

// find returns the decisions of a session id or queue id, the latest first: of what is in memory, and of what is kept.
// failed reports whether not all could be read.
func (c *Console) find(ctx context.Context, k *kept, id string) (list []*checks.Record, failed bool) {
	wanted := fmt.Appendf(nil, "%q", id) // ids need no escapes
	how := reading{wants: func(line []byte) bool { return bytes.Contains(line, wanted) }, share: 1, broken: note(&failed)}
	seen := past.NewSeen()
	look := func(place *kept) {
		for _, r := range place.records(ctx, how) {
			if (r.ID == id || r.QueueID == id) && !seen.Again(r) && len(list) < maxDecided {
				list = append(list, r)
			}
		}
	}
	lines, _ := c.recent.all()
	look(&kept{lines: lines})
	if k.fleet != nil {
		for _, r := range list { // others of the session are not much older, and streams are long
			if from := r.Time.Add(-longSession); how.from.IsZero() || from.Before(how.from) {
				how.from = from
			}
		}
	}
	look(k)
	slices.SortFunc(list, func(a, b *checks.Record) int { return b.Time.Compare(a.Time) })
	return list, failed
}
