// Package replay judges past mail under a configuration, so that a change can be tried before it is enforced.
//
// Items of package past flow through checks.Session, and their records are counted:
//
//	past.Source ── Item ──► Replay.All ── Outcome ──► Summary.Add ──► Summary.Text
//	                        (checks)      Then, Now   (counts)        (print)
//
// A decision is judged by Replay.Decision where past has decoded it, and only passes through All.
//
// An item is one of two kinds, with two records each, which are shown in two columns and never added up:
//
//   - A decision has its facts with it. Then is the record as it was, Now the same facts judged by this
//     configuration: without DNS, and byte for byte the same if the configuration is.
//   - A hop has what its receiving host recorded. Then is that, judged by this configuration; Now is the same
//     client and HELO judged from lookups made now.
//
// # How to add a source
//
// A kind of file that has hops or decisions is added to package past (see its page). Nothing has to be done
// here: All judges any past.Item. A new origin of DNS facts, a fourth value of checks.Source.DNS, takes
//
//  1. the record: hop in replay.go sets the value, and examples/decision-record.schema.json lists it under
//     source.dns;
//  2. the summary: a field of Summary in summary.go, a case in Summary.Add and a term in Summary.Missing, and a
//     line with its title in Summary.print of print.go;
//  3. the report: a row of kinds in tally.go of package evidence, and its place in Tally.Count;
//  4. an example: a line in TestReplay (cmd/helo-milter/replay_test.go), whose golden file
//     go test ./cmd/helo-milter -run TestReplay -update writes.
package replay

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/inorder"
	"helo-milter/cmd/helo-milter/internal/past"
)

// Replay judges items by a configuration. It must not be modified once in use.
type Replay struct {
	Judge *checks.Judge
	DNS   *checks.DNS // for hops; nil makes no lookups
}

// Outcome is an item as judged then and now. Either Then or Err is set.
type Outcome struct {
	Hop bool // the item is a hop, not a decision
	// Then is the decision as recorded; for a hop, the recorded facts judged by this configuration.
	Then *checks.Record
	// Now is the decision's facts judged by this configuration; nil if they do not suffice, see
	// checks.Judge.Again. For a hop it is judged from lookups made now; nil if none were made.
	Now          *checks.Record
	Unanswerable []string // rules that a decision's facts cannot answer, see checks.Judge.Unanswerable
	Err          error    // a *past.Broken, or an error about a whole file
}

// inFlight is how many hops are judged concurrently: enough to hide DNS latency, and few enough for decisions of
// some MiB each between them.
const inFlight = 64

type entry struct {
	item past.Item
	err  error
}

// All judges hops concurrently, and decisions unless Decision was the Work of their past.Source. It yields their
// outcomes in the order of the items, until ctx ends.
func (r *Replay) All(ctx context.Context, items iter.Seq2[past.Item, error]) iter.Seq[*Outcome] {
	entries := func(yield func(entry) bool) {
		for item, err := range items {
			if !yield(entry{item, err}) {
				return
			}
		}
	}
	return func(yield func(*Outcome) bool) {
		start := func(e entry) (*Outcome, func() *Outcome) { return r.start(ctx, e) }
		for outcome := range inorder.Map(inFlight, entries, start) {
			if ctx.Err() != nil || !yield(outcome) {
				return
			}
		}
	}
}

// start returns the outcome of an item that is judged at once, or else what judges it.
func (r *Replay) start(ctx context.Context, e entry) (*Outcome, func() *Outcome) {
	switch hop := e.item.Hop; {
	case e.err != nil:
		return &Outcome{Err: e.err}, nil
	case hop == nil:
		if judged, ok := e.item.Worked.(*Outcome); ok {
			return judged, nil
		}
		return r.Decision(e.item.Record), nil
	case hop.Time.IsZero():
		return &Outcome{Err: &past.Broken{Place: hop.Place, Reason: "no readable date"}}, nil
	default:
		return nil, func() *Outcome { return r.hop(ctx, hop) }
	}
}

// Decision judges a decision again.
func (r *Replay) Decision(then *checks.Record) *Outcome {
	return &Outcome{Then: then, Now: r.Judge.Again(then), Unanswerable: r.Judge.Unanswerable(then.Facts)}
}

// hop judges a hop from what was recorded and, with lookups, as it is now. No lookups are made for an
// authenticated client that is exempt.
func (r *Replay) hop(ctx context.Context, hop *past.Hop) *Outcome {
	site := r.Judge.Site
	site.Hostname = cmp.Or(site.Hostname, hop.By)
	if a := hop.Local; a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() {
		site.Addresses = append(slices.Clone(site.Addresses), a)
	}
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
	for _, helo := range append(slices.Clone(hop.Earlier), hop.Helo) {
		if helo != "" {
			s.Greet(checks.ParseHelo(helo))
		}
	}
	if !hop.Said {
		s.Unheard()
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
