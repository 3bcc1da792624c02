package checks

// Case is what a rule looks at: the client with one of its greetings and, when known, one recipient.
type Case struct {
	*Facts
	*Greeting
	Deny *DenyList
	Rcpt string // the recipient's domain in canonical form, or ""
}

// known sorts the answers of a case by how their questions ended. An answer of several questions can be
// in more than one set.
type known struct{ asked, failed, found, stale Answers }

func note[T any](k *known, a Answers, answer *Answer[T]) {
	if answer.Status != Unasked {
		k.asked |= a
	}
	if answer.Stale {
		k.stale |= a
	}
	switch answer.Status {
	case Failed:
		k.failed |= a
	case Found:
		k.found |= a
	}
}

func (c *Case) known() known {
	var k known
	note(&k, PTRNames|PTRAddrs, &c.PTR)
	if c.Deny.hasPTR() {
		note(&k, PTRDenied, &c.PTR)
	}
	for i := range c.PTR.Values {
		note(&k, PTRAddrs, &c.PTR.Values[i].Addrs)
		note(&k, PTRLists, &c.PTR.Values[i].Lists)
	}
	note(&k, HeloAddrs, &c.A)
	note(&k, HeloAddrs, &c.AAAA)
	note(&k, HeloMX, &c.MX)
	note(&k, HeloSPF, &c.SPF)
	note(&k, HeloLists, &c.Greeting.Lists)
	note(&k, HeloHosts, &c.NS)
	for i := range c.Hosts {
		note(&k, HeloHosts, &c.Hosts[i].Addrs)
	}
	return k
}
