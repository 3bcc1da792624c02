package config

import (
	"net/netip"
	"slices"

	"helo-milter/checks"
	"helo-milter/dnscache"
)

// build makes what follows from the keys: the judge, its questions, and the resolver's configuration.
func (c *Config) build() {
	c.Judge = &checks.Judge{
		Site: checks.Site{
			Hostname: checks.Canonical(c.site.hostname), Names: canonical(c.site.names), Addresses: c.site.addresses,
		},
		Lists: canonical(c.blockLists), Exempt: c.exemptions(), Deny: denyList(slices.Concat(c.deny, c.listed.deny)), Policy: c.policy(),
		Help: checks.Help{URL: c.helpURL}, Mailbox: c.Help.Mailbox,
	}
	c.DNS = checks.DNS{Timeout: c.timeout, Lists: c.Judge.Lists, Hosts: c.Judge.Deny.Hosts()}
	for _, a := range slices.Concat(c.allow, c.listed.allow) {
		if a.Name != "" {
			c.DNS.Allowed = append(c.DNS.Allowed, a.Name)
		}
	}
	c.Resolver.Timeout = c.timeout
}

// Asking is DNS with a resolver. Each session asks within its budget, and as its client.
func (c *Config) Asking(r *dnscache.Resolver) *checks.DNS {
	dns := c.DNS
	dns.Resolver, dns.Degraded = r, r.Degraded
	dns.ForClient = func(client netip.Addr, b *checks.Budget) checks.Resolver { return r.For(client, b) }
	dns.Attempt = func() checks.Attempt { return r.Attempt() }
	return &dns
}

func (c *Config) policy() *checks.Policy {
	p := checks.NewPolicy(c.Profile)
	p.Mode, p.OnDNSError = c.Mode, c.onDNSError
	p.TempFailAt, p.RejectAt = c.tempFailAt, c.rejectAt
	for i := range checks.All {
		if c.Actions[i] != nil {
			p.Actions[i] = *c.Actions[i]
		}
		if c.scores[i] != nil {
			p.Scores[i] = *c.scores[i]
		}
	}
	return p
}

func (c *Config) exemptions() *checks.Exemptions {
	e := &checks.Exemptions{Authenticated: c.exempt.authenticated}
	for _, n := range c.exempt.networks {
		if n.private {
			e.Private = true
		} else {
			e.Network(n.prefix)
		}
	}
	for _, a := range c.allow {
		e.Allow(a)
	}
	for _, a := range c.listed.allow {
		e.List(a)
	}
	if len(c.deny) > 0 {
		e.Denied = denyList(c.deny)
	}
	return e
}

func denyList(entries []checks.Deny) *checks.DenyList {
	d := &checks.DenyList{}
	for _, entry := range entries {
		d.Add(entry)
	}
	return d
}

func canonical(names []string) []string {
	var list []string
	for _, name := range names {
		list = append(list, checks.Canonical(name))
	}
	return list
}
