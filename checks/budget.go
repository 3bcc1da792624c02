package checks

import (
	"net/netip"
	"sync/atomic"
)

// What one session may have us ask the DNS servers: 60 questions. It chooses how often it greets, how many
// hosts its SPF records name and how many PTR names it has, and most of what it has us ask may be about others.
// An answer that would take more is a failed one, which accuses nobody.
//
// Each greeting is looked up when it is said. So that what is said first cannot use up what it takes to judge
// what is said next, the 60 are in three purses:
//
//   - client: the PTR record and the names in it, MaxPTR at most. They always fit, however the client greets.
//   - claims: what can clear a client whose HELO is in a brand's domain or in ours, the names that are lied
//     about: its addresses and SPF records. They take 4 questions, and up to 10 more for what the records
//     include (RFC 7208 §4.6.4), which fits for the first such name. Further names of the same brand, or of
//     ours, are greetings: so names that a brand vouches for, or leaves open, do not use up what it takes to
//     refuse a lie about another. That is enough, whatever else the session says before and after it.
//   - greetings: everything else. A greeting may take half of what is left, and its SPF record no more than that
//     less basics, so that a record without end does not hide that the name has no MX.
//
// A host that greets once, or again with the same name, needs 4 to 20. What was asked stays in the cache: the
// next attempt of a sender that needs more gets further.
const (
	clientQuestions   = 1 + MaxPTR
	claimQuestions    = 16
	greetingQuestions = 60 - clientQuestions - claimQuestions
	basics            = 4 // A, AAAA and MX of the name, and one block list
)

// Budget is how many questions may still go to the DNS servers. It is safe for concurrent use.
type Budget struct {
	left atomic.Int32
	of   *Budget // whose part it is, or nil
}

// Take reports whether there is a question left, and takes it.
func (b *Budget) Take() bool { return b.take(1) && (b.of == nil || b.of.Take()) }

func (b *Budget) take(n int32) bool {
	for {
		left := b.left.Load()
		if left < n {
			return false
		}
		if b.left.CompareAndSwap(left, left-n) {
			return true
		}
	}
}

// partOf makes b a part of whole, of so many questions.
func (b *Budget) partOf(whole *Budget, questions int32) {
	b.of = whole
	b.left.Store(max(0, questions))
}

// purses are the budget of a session.
type purses struct{ client, claims, greetings Budget }

func (p *purses) fill() {
	p.client.left.Store(clientQuestions)
	p.claims.left.Store(claimQuestions)
	p.greetings.left.Store(greetingQuestions)
}

// half is half of what is left for greetings.
func (p *purses) half() int32 { return (p.greetings.left.Load() + 1) / 2 }

// again makes room for the lookups of MaxPTR names once more, at the cost of the greetings, and reports
// whether there was.
func (p *purses) again() bool {
	if p.client.left.Load() >= MaxPTR {
		return true
	}
	if !p.greetings.take(MaxPTR) {
		return false
	}
	p.client.left.Add(MaxPTR)
	return true
}

// asker asks the DNS for one client, within one budget.
type asker struct {
	*DNS
	Resolver Resolver // instead of that of DNS
	try      Attempt  // which that is, or nil: its lookups are for one goroutine
}

// asker returns one that asks within a budget, or by an attempt if there is one.
func (d *DNS) asker(client netip.Addr, b *Budget, try Attempt) asker {
	switch {
	case try != nil:
		return asker{d, try, try}
	case d.ForClient == nil:
		return asker{d, d.Resolver, nil}
	}
	return asker{d, d.ForClient(client, b), nil}
}

// group returns one for lookups of the asker.
func (d asker) group() group { return group{inline: d.try != nil} }

// report calls one of the functions of DNS, which may be nil. The lookup that counts does, not an attempt.
func (d asker) report(to func(about, answer string), about, answer string) {
	switch {
	case to == nil:
	case d.try != nil:
		d.try.Miss()
	default:
		to(about, answer)
	}
}
