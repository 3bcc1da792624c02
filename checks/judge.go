package checks

import (
	"cmp"
	"slices"
)

// Judge is what a configuration makes of facts. It is not changed any more once it is in use.
type Judge struct {
	Site    Site     // who the configuration says we are
	Lists   []string // as DNS has them
	Exempt  *Exemptions
	Deny    *DenyList
	Policy  *Policy
	HelpURL string
}

// Decide judges a transaction: d's facts, with each of its recipients, at d's time. reason is why the client
// is exempt by what is not in the facts, or "". It fills in what follows from that: the findings, the verdict
// and what was done.
func (j *Judge) Decide(d *Decision, reason string) {
	d.HelpURL = j.HelpURL
	if reason = cmp.Or(reason, j.Exempt.Listed(d.Facts, d.Time)); reason != "" {
		d.Verdict = Verdict{Exempt: reason, Mode: j.Policy.Mode}
		return
	}
	for _, domain := range domains(d.RcptTo) {
		d.Findings = Worst(d.Findings, Evaluate(d.Facts, j.Deny, domain))
	}
	d.Verdict = j.Policy.Judge(d.Findings)
	d.Did = d.Verdict.Did()
}

// domains are the different ones of the recipients; one that is none where there are no recipients.
func domains(rcpts []string) (list []string) {
	for _, rcpt := range rcpts {
		if domain := Domain(rcpt); !slices.Contains(list, domain) {
			list = append(list, domain)
		}
	}
	if len(list) == 0 {
		list = []string{""}
	}
	return list
}

// Again judges the facts of a record once more: without DNS, and exactly, so that the configuration that it
// was made with makes the same record of it. It is nil when that cannot be: the client was exempt then, is
// not any more, and so nobody had looked it up.
//
// Of another configuration two things cannot be told. Addresses that are ours stay ours, since those of the MTA
// are among them; and see Unasked.
func (j *Judge) Again(r *Record) *Record {
	d := &Decision{
		ID: r.ID, MTA: r.MTA, QueueID: r.QueueID, MailFrom: r.MailFrom, RcptTo: r.RcptTo, Time: r.Time,
		Facts: j.recall(r.Facts), Header: r.Header,
	}
	if r.internal() {
		d.Verdict = Verdict{Internal: true, Mode: j.Policy.Mode}
	} else {
		j.Decide(d, j.reason(r))
	}
	if r.Exempt != "" && d.Verdict.Exempt == "" && r.Facts.PTR.Status == Unasked {
		return nil
	}
	again := j.Policy.Record(d, false)
	again.Millis, again.Source = r.Millis, r.Source
	if r.internal() {
		again.Verdict.Did = r.Verdict.Did // who was refused before the error stays refused
	}
	return again
}

// recall is a record's facts as this configuration would have asked for them: for us as it says who we are, and
// without the block lists that it does not have.
func (j *Judge) recall(recorded *Facts) *Facts {
	f := *recorded
	f.Site = j.Site.as(f.Site)
	f.PTR.Values, f.Greetings = slices.Clone(f.PTR.Values), slices.Clone(f.Greetings)
	for i := range f.PTR.Values {
		f.PTR.Values[i].Lists = j.known(f.PTR.Values[i].Lists)
	}
	for i := range f.Greetings {
		f.Greetings[i].Lists = j.known(f.Greetings[i].Lists)
	}
	return &f
}

// known is what those block lists say that the configuration has.
func (j *Judge) known(lists Answer[string]) Answer[string] {
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

// Unasked are the rules that this configuration has a question for which nobody had asked when the facts were
// gathered: a block list, or the hosts of a name. What they do not fail for is not known.
func (j *Judge) Unasked(f *Facts) (rules []string) {
	newLists := slices.ContainsFunc(j.Lists, func(list string) bool { return !slices.Contains(f.Lists, list) })
	looked := func(g Greeting) bool { return g.A.Status != Unasked }
	if newLists && slices.ContainsFunc(f.Greetings, looked) {
		rules = append(rules, "helo-listed")
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

// reason is why a record's client is exempt by its address or its login.
func (j *Judge) reason(r *Record) string {
	reason := j.Exempt.Client(r.Facts.Client)
	if r.Facts.Login || r.Exempt == "authenticated" {
		reason = cmp.Or(reason, j.Exempt.Login())
	}
	return reason
}

// as is who we are by our own configuration, and by what the MTA had said of itself.
func (s Site) as(recorded Site) Site {
	addresses := slices.Clone(recorded.Addresses)
	for _, a := range s.Addresses {
		if !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	return Site{cmp.Or(s.Hostname, recorded.Hostname), s.Names, addresses}
}

// internal tells whether an error of ours had kept the rules from being asked.
func (r *Record) internal() bool {
	return slices.ContainsFunc(r.Findings, func(f RuleFinding) bool { return f.Rule == Internal })
}
