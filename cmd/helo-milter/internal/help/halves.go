package help

import (
	"slices"
	"strings"

	"helo-milter/checks"
)

// colour is what is known of a rule now, and of a half of the page, for which the worst of its rules stands.
type colour uint8

// The colours, in the order of how much there is to do.
const (
	green colour = iota // nothing is wrong
	blue                // it is wrong, but this server refuses nobody for it
	grey                // not tested yet
	amber               // a lookup failed, so that nobody knows
	red                 // it is wrong
)

// row is a rule that failed, or fails now.
type row struct {
	Rule    *checks.Rule
	Colour  colour
	Known   bool // it is one of the ticket's
	Decided bool // it decided the answer
}

// half is a part of what has to be right.
type half struct {
	Colour colour
	Rows   []row
}

// view is what is shown of a state.
type view struct {
	*State
	Now       *checks.Record // by which the rows are: Test or Next, the newer one; nil before both
	Exempt    bool           // the next session was not judged
	Advice    checks.Advice
	DNS, Helo half
}

// see sorts what is known of the ticket's rules, and of those that fail now, into two halves: what the DNS
// cures, and what another greeting cures.
func (s *State) see() *view {
	v := &view{State: s, Now: s.newest(), Exempt: s.Next != nil && s.Next.Exempt != ""}
	record := v.Now
	if record == nil {
		record = s.Ticket.record()
	}
	v.Advice = checks.Advise(record, nil)
	for _, r := range s.rows(v.Now) {
		switch {
		case !v.inDNS(&r, record):
			if !judged(s.Next) {
				r.Colour = grey
			}
			v.Helo.Rows = append(v.Helo.Rows, r)
		default:
			v.DNS.Rows = append(v.DNS.Rows, r)
		}
	}
	v.DNS.Colour, v.Helo.Colour = worst(v.DNS.Rows), worst(v.Helo.Rows)
	switch {
	case v.Now == nil && s.Test != nil: // an error of ours
		v.DNS.Colour = amber
	case v.Now == nil:
		v.DNS.Colour = grey
	case v.Now.Iprev == "temperror" || undecided(v.Now):
		v.DNS.Colour = max(v.DNS.Colour, amber)
	}
	return v
}

// undecided reports whether a failed lookup decided.
func undecided(r *checks.Record) bool {
	return slices.ContainsFunc(r.Findings, func(f checks.RuleFinding) bool {
		return f.Rule == r.Verdict.Rule && f.Result == checks.Unsure
	})
}

// judged reports whether a session says something of the client's name.
func judged(r *checks.Record) bool {
	internal := func(f checks.RuleFinding) bool { return f.Rule == checks.Internal }
	return r != nil && r.Exempt == "" && !slices.ContainsFunc(r.Findings, internal)
}

// newest is the newer one of test and next session, or nil.
func (s *State) newest() *checks.Record {
	switch {
	case !judged(s.Next) && !judged(s.Test):
		return nil
	case !judged(s.Next), judged(s.Test) && s.Test.Time.After(s.Next.Time):
		return s.Test
	default:
		return s.Next
	}
}

// rows are the ticket's rules, and those that fail now. Without a record nothing is known of them now.
func (s *State) rows(now *checks.Record) []row {
	var rows []row
	for i, name := range s.Ticket.Rules {
		rule := &checks.All[checks.Index(name)]
		rows = append(rows, row{rule, grey, true, i == 0 && !s.Ticket.Unsure})
	}
	if now == nil {
		return rows
	}
	for i := range rows {
		rows[i].Colour = s.found(now, rows[i].Rule)
	}
	for _, f := range now.Findings {
		isNew := f.Result == checks.Fail && f.Action != checks.Off && !slices.Contains(s.Ticket.Rules, f.Rule)
		if at := checks.Index(f.Rule); at >= 0 && isNew {
			rows = append(rows, row{&checks.All[at], failing(now, &f), false, false})
		}
	}
	return rows
}

// found is what a record says of a rule that failed before.
func (s *State) found(now *checks.Record, rule *checks.Rule) colour {
	for _, f := range now.Findings {
		switch {
		case f.Rule != rule.Name || f.Action == checks.Off:
		case f.Result == checks.Fail:
			return failing(now, &f)
		case f.Result == checks.Unsure:
			return amber
		}
	}
	switch {
	case ofHelo(rule) && now.Helo.Form == checks.FormUnheard:
		return grey
	case rule.Name == "helo-rcpt-domain" && now == s.Test:
		return s.foundForRcpt(now)
	}
	return green
}

// foundForRcpt is for a test, which has no recipient: the rule failed because the greeting was his domain.
func (s *State) foundForRcpt(now *checks.Record) colour {
	if now.Helo.Name == "" || !now.Helo.Same(checks.ParseHelo(s.Ticket.Helo)) {
		return green
	}
	switch checks.Evaluate(now.Facts, nil, now.Helo.Name)[checks.Index("helo-rcpt-domain")].Result {
	case checks.Fail:
		return red
	case checks.Unsure:
		return amber
	}
	return green
}

// failing is the colour of a rule that fails: whether the client is refused for it, by itself or by its share
// in the score.
func failing(r *checks.Record, f *checks.RuleFinding) colour {
	strict := func(f checks.RuleFinding) bool { return f.Result == checks.Fail && f.Action >= checks.TempFail }
	byScore := r.Verdict.Want != "accept" && !undecided(r) && !slices.ContainsFunc(r.Findings, strict)
	if strict(*f) || byScore {
		return red
	}
	return blue
}

// inDNS reports whether a rule's matter is what is in the DNS. A fault of a HELO name is, if that name is to
// be kept; else it is one of the greeting, and so is a fault that another greeting has cured.
func (v *view) inDNS(r *row, record *checks.Record) bool {
	switch {
	case !ofHelo(r.Rule) || r.Colour == amber:
		return true
	case r.Rule.Reads|r.Rule.Clears == 0:
		return false
	case r.Colour == green:
		return record.Helo.Same(checks.ParseHelo(v.Ticket.Helo))
	case v.Advice.Fixed: // there will be no other greeting
		return true
	default:
		return !v.Advice.Example && v.Advice.Name == record.Helo.Name
	}
}

func ofHelo(rule *checks.Rule) bool { return strings.HasPrefix(rule.Name, "helo-") }

func worst(rows []row) colour {
	c := green
	for _, r := range rows {
		c = max(c, r.Colour)
	}
	return c
}
