package checks

import "slices"

// Case is what a rule looks at: the client with one of its greetings and, when known, one recipient.
type Case struct {
	*Facts
	*Greeting
	Deny *DenyList
	Rcpt string // the recipient's domain in canonical form, or ""

	names []spelling // of all greetings: see spelled
}

// spelling is what a name looks like, by itself and to the client.
type spelling struct {
	name string
	form Form
	look look
}

// spelled returns the spelling of a name in canonical form. It is found out once for all rules and greetings:
// most of a client's names are one, and the list of public suffixes is large.
func (c *Case) spelled(name string) spelling {
	for _, s := range c.names {
		if s.name == name {
			return s
		}
	}
	form := c.Helo.Form
	if name != c.Helo.Name {
		form = ParseHelo(name).Form
	}
	s := spelling{name, form, lookOf(name, c.Client)}
	c.names = append(c.names, s)
	return s
}

// Proven reports whether the DNS shows that the HELO name is the client's: a confirmed PTR name is that name or of
// its organisational domain, or the name's own address is the client's. It clears: a rule with Proof among its
// Clears is about whose name the HELO is, and passes then.
func (c *Case) Proven() bool {
	return c.Owns(c.Helo) || slices.Contains(c.Addrs(), c.Client)
}

// mayProve reports whether a PTR name of the client, if it is confirmed, says whose the HELO name is.
func (c *Case) mayProve(name string) bool {
	if sameOrg(name, c.Helo.Name) {
		return true
	}
	b := brandOf(c.Helo.Name)
	return b != nil && b.has(name)
}

// outcomes sorts the answers of a case by how their questions ended. An answer of several questions can be
// in more than one set.
type outcomes struct {
	asked, failed, found, stale Answers
	proven                      bool // Case.Proven, which all rules share
}

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
	o := outcomes{proven: c.Proven()}
	note(&o, PTRNames|PTRAddrs|Proof, &c.PTR)
	if c.Deny.hasPTR() {
		note(&o, PTRDenied, &c.PTR)
	}
	for i := range c.PTR.Values {
		host := &c.PTR.Values[i]
		note(&o, PTRAddrs, &host.Addrs)
		note(&o, PTRLists, &host.Lists)
		if c.mayProve(host.Name) {
			note(&o, Proof, &host.Addrs)
		}
	}
	if c.Client.Is6() { // an address of the other family is never the client's
		note(&o, Proof, &c.AAAA)
	} else {
		note(&o, Proof, &c.A)
	}
	note(&o, HeloAddrs, &c.A)
	note(&o, HeloAddrs, &c.AAAA)
	note(&o, HeloMX, &c.MX)
	note(&o, HeloSPF, &c.SPF)
	note(&o, BrandSPF, &c.Greeting.BrandSPF)
	note(&o, HeloLists, &c.Greeting.Lists)
	note(&o, HeloHosts, &c.NS)
	if c.Greeting.Seen != nil {
		o.asked |= SeenNetworks
		o.found |= SeenNetworks
	}
	if c.Facts.Seen != nil {
		o.asked |= SeenNames
		o.found |= SeenNames
	}
	for i := range c.Hosts {
		note(&o, HeloHosts, &c.Hosts[i].Addrs)
	}
	return o
}
