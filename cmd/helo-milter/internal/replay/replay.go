// Package replay judges past mail again: what was recorded of it then, and what the DNS says now, each by itself.
package replay

import (
	"cmp"
	"context"
	"iter"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
)

// Replay says how to judge.
type Replay struct {
	Judge *checks.Judge
	DNS   *checks.DNS // for hops; nil asks nobody
}

// Outcome is what an item was then and is now.
type Outcome struct {
	Hop bool // and not a decision
	// Then is a decision as it was recorded, or what a hop is by what was recorded.
	Then *checks.Record
	// Now is the decision by this configuration, from the same facts; nil when they are not enough, see
	// checks.Judge.Again. Of a hop it is what the DNS says now; nil when nobody was asked.
	Now          *checks.Record
	Unanswerable []string // rules that cannot be judged by the facts of a decision, see checks.Judge
	Err          error    // a *past.Broken, or about a whole file
}

// inFlight is how many items are judged at a time: what waits for the DNS is not in the way of the others, and a
// record may have some MiB.
const inFlight = 64

type entry struct {
	item past.Item
	err  error
}

// All judges items and yields what became of them, in their order.
func (r *Replay) All(ctx context.Context, items iter.Seq2[past.Item, error]) iter.Seq[*Outcome] {
	entries := func(yield func(entry) bool) {
		for item, err := range items {
			if !yield(entry{item, err}) {
				return
			}
		}
	}
	return ordered(ctx, inFlight, entries, func(e entry) *Outcome { return r.outcome(ctx, e) })
}

func (r *Replay) outcome(ctx context.Context, e entry) *Outcome {
	switch {
	case e.err != nil:
		return &Outcome{Err: e.err}
	case e.item.Hop != nil && e.item.Hop.Time.IsZero():
		return &Outcome{Err: &past.Broken{Place: e.item.Hop.Place, Reason: "nobody can tell when that was"}}
	case e.item.Hop != nil:
		return r.hop(ctx, e.item.Hop)
	default:
		then := e.item.Record
		return &Outcome{Then: then, Now: r.Judge.Again(then), Unanswerable: r.Judge.Unanswerable(then.Facts)}
	}
}

// hop judges what was recorded of a hop and, by the same session with the DNS, what is true now. Nobody asks the
// DNS about a user who is exempt.
func (r *Replay) hop(ctx context.Context, hop *past.Hop) *Outcome {
	site := r.Judge.Site
	site.Hostname = cmp.Or(site.Hostname, hop.By)
	o := &Outcome{Hop: true, Then: decide(r.Judge.Reopen(hop.Facts(site)), hop, "recorded")}
	if r.DNS == nil {
		return o
	}
	dns := r.DNS
	if o.Then.Exempt == "authenticated" {
		dns = nil
	}
	s := r.Judge.Open(ctx, dns, hop.Client, site)
	defer s.Close()
	switch {
	case !hop.Said:
		s.Unheard()
	case hop.Helo != "":
		s.Greet(checks.ParseHelo(hop.Helo))
	}
	o.Now = decide(s, hop, "now")
	return o
}

func decide(s *checks.Session, hop *past.Hop, dns string) *checks.Record {
	s.Mail(hop.Time)
	if hop.Login {
		s.LoggedIn()
	}
	s.Rcpts(hop.To)
	d := s.Decision()
	d.ID, d.QueueID, d.MailFrom, d.RcptTo = "replay", hop.QueueID, hop.From, hop.To
	record := d.Record(false)
	record.Source = &checks.Source{Place: hop.Place, DNS: dns, Label: hop.Spam.String()}
	return record
}
