package main

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"helo-milter/checks"
)

// heloDNS is what is assumed of a HELO name's addresses where they were not recorded.
type heloDNS string

const (
	elsewhere heloDNS = "elsewhere" // the name exists, and nothing in the DNS says that it is the client's
	unknown   heloDNS = "unknown"   // the lookup failed
	missing   heloDNS = "missing"   // there is no such name
)

// assumption says what is assumed where facts were not recorded.
type assumption struct {
	helo heloDNS
	// nameless takes every client without a verified name for one that has none. Without it, those that had
	// one at another time are clients whose lookup failed.
	nameless bool
}

// confirmedNames are the names that were ever recorded to resolve back to a client.
func confirmedNames(hops []hop) map[netip.Addr][]string {
	names := map[netip.Addr][]string{}
	for _, h := range hops {
		if h.reverse == checks.ReverseConfirmed {
			names[h.client] = append(names[h.client], checks.Canonical(h.rdns))
		}
	}
	return names
}

// facts are what the daemon would have known of a hop, as far as it was recorded. names are the client's,
// whenever they were confirmed.
func (a assumption) facts(h *hop, names []string) *checks.Facts {
	recorded := checks.Recorded{
		Client: h.client, Helo: h.helo, Said: true, Reverse: h.reverse, Name: checks.Canonical(h.rdns),
		Confirmed: names,
	}
	if h.lost && !a.nameless {
		recorded.Reverse = checks.ReverseUnrecorded
	}
	f := recorded.Facts(h.site())
	for i := range f.Greetings {
		if g := &f.Greetings[i]; g.A.Status == checks.Failed { // not recorded
			a.helo.fill(g)
		}
	}
	return f
}

// fill fills in what is assumed of a HELO name. One that is elsewhere has an MX record and no address: the
// rules only learn that it exists. A brand's SPF record then leaves open which its hosts are.
func (d heloDNS) fill(g *checks.Greeting) {
	if d == unknown {
		return
	}
	none := checks.Answer[netip.Addr]{Status: checks.Missing}
	g.A, g.AAAA = none, none
	g.MX, g.SPF = checks.Answer[string]{Status: checks.Missing}, checks.Answer[string]{Status: checks.Missing}
	if d == elsewhere {
		g.MX.Status = checks.Found
		g.BrandSPF = checks.Answer[string]{Status: checks.Found, Values: []string{"neutral"}}
	}
}

// site is who the receiving host was: its own name, its organisational domain and all that is under it.
func (h *hop) site() checks.Site {
	pattern, isPattern := strings.CutPrefix(h.by, "*.")
	name := checks.ParseHelo(pattern)
	if name.Form&checks.FormDotted == 0 {
		return checks.Site{} // nothing to claim
	}
	site := checks.Site{Hostname: name.Name}
	if isPattern {
		site.Hostname = ""
	}
	if org, err := publicsuffix.EffectiveTLDPlusOne(name.Name); err == nil {
		site.Names = []string{org, "." + org}
	}
	return site
}

// internal reports whether a hop is one between hosts of the receiver, which every administrator exempts: a
// client confirmed in the receiver's domain, or a provider's relay that says so where its PTR names were
// not recorded. Any other client that claims that domain is lying.
func (h *hop) internal(f *checks.Facts) bool {
	if slices.ContainsFunc(f.Confirmed(), f.Site.Names.Match) {
		return true
	}
	return h.big && f.PTR.Status == checks.Failed && f.Site.Names.Match(f.LastHelo().Name)
}
