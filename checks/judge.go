package checks

import (
	"cmp"
	"slices"
)

// Judge is what a configuration makes of facts. It is not changed any more once it is in use.
type Judge struct {
	Site    Site // who the configuration says we are
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
func (j *Judge) Again(r *Record) *Record {
	facts := *r.Facts
	facts.Site = j.Site.as(r.Facts.Site)
	d := &Decision{
		ID: r.ID, MTA: r.MTA, QueueID: r.QueueID, MailFrom: r.MailFrom, RcptTo: r.RcptTo, Time: r.Time,
		Facts: &facts, Header: r.Header,
	}
	if r.internal() {
		d.Verdict = Verdict{Internal: true, Mode: j.Policy.Mode}
	} else {
		j.Decide(d, j.reason(r))
	}
	if r.Exempt != "" && d.Verdict.Exempt == "" && facts.PTR.Status == Unasked {
		return nil
	}
	again := j.Policy.Record(d, false)
	again.Millis, again.Source = r.Millis, r.Source
	return again
}

// reason is why a record's client is exempt by its address or its login.
func (j *Judge) reason(r *Record) string {
	reason := j.Exempt.Client(r.Facts.Client)
	if r.Exempt == "authenticated" {
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
