package checks

import (
	"cmp"
	"slices"
)

// Judge is what a configuration says about clients. It must not be modified once in use.
type Judge struct {
	Site   Site     // who the configuration says we are
	Lists  []string // as DNS has them
	Exempt *Exemptions
	Deny   *DenyList
	Policy *Policy
	Help   Help
	// Mailbox is the address that is answered with the judgement of the session that names it as a recipient, see
	// Session.Answer; "" is none.
	Mailbox string
}

// Again judges the facts of a record once more, without DNS: the configuration that made the record makes
// the same one of it, to the byte. It returns nil for a client that was exempt and is not now: then nothing
// was looked up.
//
// Two things limit what another configuration can say. Our addresses stay ours, since those that the MTA
// reported are among them; and see Unanswerable.
func (j *Judge) Again(r *Record) *Record {
	s := j.Reopen(j.recall(r.Facts))
	s.Mail(r.Time)
	if r.Facts.Login || r.Exempt == "authenticated" {
		s.LoggedIn()
	}
	if r.internal() {
		s.Abandon()
	} else {
		s.Rcpts(r.RcptTo)
	}
	d := s.Decision()
	if r.Exempt != "" && d.Verdict.Exempt == "" && r.Facts.PTR.Status == Unasked {
		return nil
	}
	d.ID, d.MTA, d.QueueID, d.MailFrom, d.RcptTo, d.Header = r.ID, r.MTA, r.QueueID, r.MailFrom, r.RcptTo, r.Header
	again := d.Record(false)
	again.Millis, again.Source = r.Millis, r.Source
	if r.internal() {
		again.Verdict.Did = r.Verdict.Did // a refusal sent before the error stays one
	}
	return again
}

// recall is a record's facts as this configuration would have gathered them: with its own site, and without
// the block lists that it does not have.
func (j *Judge) recall(recorded *Facts) *Facts {
	f := *recorded
	f.Site = j.Site.as(f.Site)
	f.PTR.Values, f.Greetings = slices.Clone(f.PTR.Values), slices.Clone(f.Greetings)
	for i := range f.PTR.Values {
		f.PTR.Values[i].Lists = j.configured(f.PTR.Values[i].Lists)
	}
	for i := range f.Greetings {
		f.Greetings[i].Lists = j.configured(f.Greetings[i].Lists)
	}
	return &f
}

// configured is what those block lists say that the configuration has.
func (j *Judge) configured(lists Answer[string]) Answer[string] {
	foreign := func(list string) bool { return !slices.Contains(j.Lists, list) }
	switch {
	case len(j.Lists) == 0:
		return Answer[string]{}
	case !slices.ContainsFunc(lists.Values, foreign):
		return lists
	}
	lists.Values = slices.DeleteFunc(slices.Clone(lists.Values), foreign)
	if len(lists.Values) == 0 {
		lists.Status = Missing
	}
	return lists
}

// Unanswerable returns the rules that need an answer that was not asked for when the facts were recorded: of
// a block list, of the hosts of a name, or of a brand's SPF record, which earlier versions did not ask for. Whether
// they would have failed is not known.
func (j *Judge) Unanswerable(f *Facts) (rules []string) {
	newLists := slices.ContainsFunc(j.Lists, func(list string) bool { return !slices.Contains(f.Lists, list) })
	looked := func(g Greeting) bool { return g.A.Status != Unasked }
	if newLists && slices.ContainsFunc(f.Greetings, looked) {
		rules = append(rules, "helo-listed")
	}
	if slices.ContainsFunc(f.Greetings, func(g Greeting) bool {
		return looked(g) && g.asksBrand(f.Client) && g.BrandSPF.Status == Unasked
	}) {
		rules = append(rules, "helo-forged-brand", "helo-brand-no-ptr", "helo-brand-host-no-ptr")
	}
	if j.Deny.Hosts() && slices.ContainsFunc(f.Greetings, func(g Greeting) bool {
		return looked(g) && g.NS.Status == Unasked
	}) {
		rules = append(rules, "helo-host-denied")
	}
	if newLists && len(f.Confirmed()) > 0 {
		rules = append(rules, "ptr-listed")
	}
	return rules
}

// as is this site, completed by what the MTA reported of itself when the facts were recorded.
func (s Site) as(recorded Site) Site {
	addresses := slices.Clone(recorded.Addresses)
	for _, a := range s.Addresses {
		if !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	return Site{cmp.Or(s.Hostname, recorded.Hostname), s.Names, addresses}
}

// internal reports whether an internal error had kept the rules from judging.
func (r *Record) internal() bool {
	return slices.ContainsFunc(r.Findings, func(f RuleFinding) bool { return f.Rule == Internal })
}
