package checks

// Case is what a rule looks at: the client with one of its greetings and, when known, one recipient.
type Case struct {
	*Facts
	*Greeting
	Deny *DenyList
	Rcpt string // the recipient's domain in canonical form, or ""
}

// outcomes sorts the answers of a case by how their questions ended. An answer of several questions can be
// in more than one set.
type outcomes struct{ asked, failed, found, stale Answers }

func note[T any](o *outcomes, a Answers, answer *Answer[T]) {
	if answer.Status != Unasked {
		o.asked |= a
	}
	if answer.Stale {
		o.stale |= a
	}
	switch answer.Status {
	case Failed:
		o.failed |= a
	case Found:
		o.found |= a
	}
}

// outcomesOf returns how the questions of a case ended.
func outcomesOf(c *Case) outcomes {
	var o outcomes
	note(&o, PTRNames|PTRAddrs, &c.PTR)
	if c.Deny.hasPTR() {
		note(&o, PTRDenied, &c.PTR)
	}
	for i := range c.PTR.Values {
		note(&o, PTRAddrs, &c.PTR.Values[i].Addrs)
		note(&o, PTRLists, &c.PTR.Values[i].Lists)
	}
	note(&o, HeloAddrs, &c.A)
	note(&o, HeloAddrs, &c.AAAA)
	note(&o, HeloMX, &c.MX)
	note(&o, HeloSPF, &c.SPF)
	note(&o, HeloLists, &c.Greeting.Lists)
	note(&o, HeloHosts, &c.NS)
	for i := range c.Hosts {
		note(&o, HeloHosts, &c.Hosts[i].Addrs)
	}
	return o
}
