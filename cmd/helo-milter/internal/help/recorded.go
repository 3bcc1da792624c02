package help

import (
	"net/netip"
	"slices"

	"helo-milter/checks"
)

// record is what the ticket knows, as a record that checks.Advise reads. What it has no room for is a failed
// lookup, as of all that was not recorded: never a missing record.
func (t *Ticket) record() *checks.Record {
	past := checks.Recorded{Client: t.Client, Said: !t.Cut(), Reverse: t.reverse(), Name: t.PTR.Value}
	if past.Said {
		past.Helo = t.Helo
	}
	var site checks.Site
	if helo := checks.ParseHelo(t.Helo); t.failed("helo-own-name", "helo-rcpt-domain") && helo.Name != "" {
		site.Names = checks.Names{helo.Name} // not a name for this client
	}
	f := past.Facts(site)
	for i := range f.Greetings {
		t.answered(&f.Greetings[i])
	}
	r := &checks.Record{
		Version: 1, Time: t.Time, Client: t.Client, Helo: f.LastHelo(), Facts: f, Iprev: f.Iprev(),
	}
	for _, rule := range t.Rules {
		found := checks.RuleFinding{Rule: rule, Result: checks.Fail, Action: checks.Mark}
		r.Findings = append(r.Findings, found)
	}
	return r
}

// reverse is what the ticket says of the PTR name.
func (t *Ticket) reverse() checks.Reverse {
	switch {
	case t.PTR.Status == checks.Missing:
		return checks.ReverseMissing
	case t.PTR.Status != checks.Found:
		return checks.ReverseUnrecorded
	case t.PTR.Leads:
		return checks.ReverseConfirmed
	case t.failed("ptr-unconfirmed"):
		return checks.ReverseForged
	default:
		return checks.ReverseUnchecked
	}
}

// answered adds what the ticket says of the greeting's addresses, all of which are of the client's family.
func (t *Ticket) answered(g *checks.Greeting) {
	same, other := &g.A, &g.AAAA
	if t.Client.Is6() {
		same, other = other, same
	}
	addr, err := netip.ParseAddr(t.Addr.Value)
	switch {
	case t.failed("helo-unresolvable"):
		same.Status, other.Status, g.MX.Status = checks.Missing, checks.Missing, checks.Missing
	case t.Addr.Status == checks.Missing:
		same.Status = checks.Missing
	case t.Addr.Status == checks.Found && err == nil:
		*same = checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{addr}}
	}
}

func (t *Ticket) failed(rules ...string) bool {
	return slices.ContainsFunc(rules, func(rule string) bool { return slices.Contains(t.Rules, rule) })
}
