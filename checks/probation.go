package checks

import (
	"slices"
	"strings"
	"time"
)

// How long, and in how many sessions, the clients of an allow entry until "mended" must have no fault before it is no
// longer needed.
const (
	ProbationTime     = 14 * 24 * time.Hour
	ProbationSessions = 5
)

// Probation counts the sessions of clients that allow entries until "mended" cover: with a fault, and without. A fault
// is what the configuration would refuse without its allow list. Its methods are for one goroutine.
//
// Entries are counted as a whole, whatever number of clients they cover, and each takes at most a few kilobytes:
// sessions of one day are one span. Records may come in any order. Where a fault comes after sessions of its own day
// that were later, only the last of those is known to be.
type Probation struct{ entries []conduct }

// conduct is what is known of the clients of an entry.
type conduct struct {
	Allow
	fault   time.Time // the last one; zero: none
	faulty  string    // the id of its session
	spans   []span    // of sessions without a fault after it, oldest first: one for each day
	counted [ProbationSessions]session
	next    int // in counted
}

// span is some sessions in a row.
type span struct {
	first, last time.Time
	sessions    int
}

// session is one that was counted.
type session struct {
	id  string
	day int64
}

// maxSpans is how many spans an entry keeps: the two oldest are joined for the next.
const maxSpans = 64

// maxID is how much of a session's id is kept: records may be anybody's.
const maxID = 64

// Trial is what one transaction says of allow entries until "mended". The zero Trial says nothing.
type Trial struct {
	entries []int // that cover the client
	fault   bool
	at      time.Time
	id      string // of the session
}

// NewProbation returns a Probation that has counted nothing, for the entries of a judge.
func NewProbation(j *Judge) *Probation {
	p := &Probation{}
	for _, a := range j.Exempt.mended {
		p.entries = append(p.entries, conduct{Allow: a})
	}
	return p
}

// Try judges the facts of a record as if there were no allow list, and returns what that says of the entries until
// "mended" that cover the client. It says nothing where the client is exempt for another reason, and where an answer
// that failed, or that nobody asked for, leaves open whether it would be refused.
func (j *Judge) Try(r *Record) Trial {
	if len(j.Exempt.mended) == 0 || r.Exempt != "" && r.Exempt != AllowList || r.internal() ||
		r.Facts.PTR.Status == Unasked || r.Facts.Login && j.Exempt.Authenticated {
		return Trial{}
	}
	entries := j.Exempt.onProbation(r.Facts)
	s := j.Reopen(j.recall(r.Facts))
	if len(entries) == 0 || s.exempt != "" {
		return Trial{}
	}
	s.strictly = true
	s.Mail(r.Time)
	s.Rcpts(r.RcptTo)
	fault, known := j.refuses(s.Findings(), j.Unanswerable(r.Facts))
	if !known {
		return Trial{}
	}
	return Trial{entries: entries, fault: fault, at: r.Time, id: strings.Clone(r.ID[:min(len(r.ID), maxID)])}
}

// onProbation returns which entries until "mended" cover a client.
func (e *Exemptions) onProbation(f *Facts) (entries []int) {
	for i := range e.mended {
		a := &e.mended[i]
		if (!a.Network.IsValid() || a.Network.Contains(f.Client)) &&
			(a.Name == "" || f.anyConfirmed(Names{a.Name}.Match)) {
			entries = append(entries, i)
		}
	}
	return entries
}

// refuses reports whether the policy refuses for these findings, and whether it would do the same whatever the rules
// that are unsure, or that need an answer that was not asked for, had found.
func (j *Judge) refuses(findings []Finding, unanswerable []string) (refuses, known bool) {
	policy := *j.Policy
	policy.OnDNSError = Off
	if v := policy.Decide(findings); v.Action >= TempFail {
		return true, true
	}
	worst := slices.Clone(findings)
	for i := range worst {
		if worst[i].Result == Unsure || slices.Contains(unanswerable, All[i].Name) {
			worst[i].Result = Fail
		}
	}
	v := policy.Decide(worst)
	return false, v.Action < TempFail
}

// Count counts a transaction. A session counts once a day.
func (p *Probation) Count(t Trial) {
	for _, i := range t.entries {
		if c := &p.entries[i]; t.fault {
			c.failed(t.at, t.id)
		} else {
			c.passed(t)
		}
	}
}

// failed notes a fault: what was before it does not count any more.
func (c *conduct) failed(at time.Time, id string) {
	if !at.After(c.fault) {
		return
	}
	c.fault, c.faulty = at, id
	c.spans = slices.DeleteFunc(c.spans, func(s span) bool { return !s.last.After(at) })
	if len(c.spans) > 0 && !c.spans[0].first.After(at) {
		c.spans[0] = span{c.spans[0].last, c.spans[0].last, 1}
	}
}

// passed notes a transaction without a fault, unless another one of its session had the last fault.
func (c *conduct) passed(t Trial) {
	this := session{t.id, day(t.at)}
	if !t.at.After(c.fault) || c.faulty != "" && t.id == c.faulty {
		return
	}
	sessions := 1
	if t.id != "" && slices.Contains(c.counted[:], this) {
		sessions = 0
	} else {
		c.counted[c.next] = this
		c.next = (c.next + 1) % len(c.counted)
	}
	c.add(span{t.at, t.at, sessions})
}

// add adds sessions of one day, or of a span of another Probation.
func (c *conduct) add(s span) {
	i, found := slices.BinarySearchFunc(c.spans, s, func(a, b span) int {
		switch {
		case day(a.last) < day(b.first):
			return -1
		case day(b.last) < day(a.first):
			return 1
		}
		return 0
	})
	if found {
		c.spans[i] = c.spans[i].joined(s)
		return
	}
	c.spans = slices.Insert(c.spans, i, s)
	if len(c.spans) > maxSpans {
		c.spans[1] = c.spans[0].joined(c.spans[1])
		c.spans = slices.Delete(c.spans, 0, 1)
	}
}

func (s span) joined(o span) span {
	if o.first.Before(s.first) {
		s.first = o.first
	}
	if o.last.After(s.last) {
		s.last = o.last
	}
	s.sessions += o.sessions
	return s
}

func day(at time.Time) int64 { return at.Unix() / (24 * 60 * 60) }

// Join adds what another Probation has counted for the same clients, in other sessions.
func (p *Probation) Join(other *Probation) {
	for i := range p.entries {
		c := &p.entries[i]
		for _, o := range other.entries {
			if o.Network != c.Network || o.Name != c.Name {
				continue
			}
			c.failed(o.fault, o.faulty)
			for _, s := range o.spans {
				if s.last.After(c.fault) {
					c.add(s.after(c.fault))
				}
			}
		}
	}
}

// after returns what is known of a span after a moment before its end.
func (s span) after(at time.Time) span {
	if s.first.After(at) {
		return s
	}
	return span{s.last, s.last, 1}
}

// Conduct is how the clients of an allow entry until "mended" behave.
type Conduct struct {
	Allow
	Fault    time.Time // the last one; zero: none is known
	Since    time.Time // the first session without a fault after that; zero: none is known
	Sessions int       // without a fault, from then on
}

// Mended reports whether the entry is not needed any more, as far as it is known at a moment.
func (c *Conduct) Mended(now time.Time) bool {
	return c.Sessions >= ProbationSessions && now.Sub(c.Since) >= ProbationTime
}

// Conduct returns what was counted, in the order of the entries.
func (p *Probation) Conduct() (list []Conduct) {
	for i := range p.entries {
		c := &p.entries[i]
		known := Conduct{Allow: c.Allow, Fault: c.fault}
		for n, s := range c.spans {
			if n == 0 {
				known.Since = s.first
			}
			known.Sessions += s.sessions
		}
		list = append(list, known)
	}
	return list
}
