package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Advice is what a client's administrator has to change, so that nothing that failed fails again. All that
// is in it is fit for a terminal, a zone file and a configuration: a name that is not is no advice.
type Advice struct {
	Name    string // what the client should be called: in HELO, in its PTR record and in the DNS
	Example bool   // nothing tells what that could be, and Name stands for a name of the client's own
	Steps   []Step // in the order in which to take them
}

// Step is one thing to change.
type Step struct {
	Text     string    // as a sentence or two
	Records  []string  // lines of a zone, or a part of a record
	Settings []Setting // of which the reader's mail server has one
}

// Setting is how one mail server is told its HELO name.
type Setting struct{ Place, Line string }

// exampleName stands for the name of a client that has none.
const exampleName = "mail.example.org"

// Advise returns the advice for the client of a record.
func Advise(r *Record) Advice {
	a := Advice{Name: r.Facts.bestName(r.RcptTo)}
	if a.Name == "" {
		a.Name, a.Example = exampleName, true
	}
	a.Steps = steps(r, a.Name, a.Example)
	return a
}

// AdviseName returns the advice for a client that is to be called by a certain name.
func AdviseName(r *Record, name string) Advice {
	return Advice{Name: name, Steps: steps(r, name, false)}
}

// bestName is the name that costs the fewest changes: one that the DNS confirms, best that of the HELO; the
// HELO name if it leads to the client; a PTR name that is not confirmed yet; the HELO name if it leads
// nowhere. A HELO name in use elsewhere is not among them: one more address would lead its visitors astray.
// "" is none.
func (f *Facts) bestName(rcpts []string) string {
	g := Greeting{Helo: f.LastHelo()}
	if n := len(f.Greetings); n > 0 {
		g = f.Greetings[n-1]
	}
	helo := g.Helo.Name
	distance := func(name string) int {
		switch {
		case name == helo:
			return 0
		case sameOrg(name, helo):
			return 1
		}
		return 2
	}
	names := f.Confirmed()
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	if slices.Contains(g.Addrs(), f.Client) {
		names = append(names, helo)
	}
	claimed := f.ptrNames()
	if g.leadsNowhere() && orgDomain(helo) != helo {
		claimed = append(claimed, helo)
	}
	for _, name := range claimed {
		ofRcpt := func(rcpt string) bool { return Domain(rcpt) == name }
		if brandOf(name) == nil && !slices.ContainsFunc(rcpts, ofRcpt) {
			names = append(names, name)
		}
	}
	if i := slices.IndexFunc(names, f.fits); i >= 0 {
		return names[i]
	}
	return ""
}

// leadsNowhere tells whether the DNS says that the name has no address on the Internet.
func (g *Greeting) leadsNowhere() bool {
	return min(g.A.Status, g.AAAA.Status) >= Missing && !slices.ContainsFunc(g.Addrs(), Public)
}

// fits tells whether no rule has anything against a client that is called so in HELO, PTR and DNS.
func (f *Facts) fits(name string) bool {
	itself := Answer[netip.Addr]{Status: Found, Values: []netip.Addr{f.Client}}
	called := &Facts{
		Client: f.Client, Site: f.Site, PTRCount: 1,
		PTR:       Answer[Host]{Status: Found, Values: []Host{{Name: name, Addrs: itself}}},
		Greetings: []Greeting{{Helo: ParseHelo(name), A: itself}},
	}
	failed := func(found Finding) bool { return found.Result == Fail }
	return !slices.ContainsFunc(Evaluate(called, nil, ""), failed)
}

// failures are the rules that failed and count.
type failures map[string]bool

func (f failures) any(rules ...string) bool {
	return slices.ContainsFunc(rules, func(rule string) bool { return f[rule] })
}

// ofHelo tells whether there is anything wrong that another HELO could cure.
func (f failures) ofHelo() bool {
	for rule := range f {
		if strings.HasPrefix(rule, "helo-") && rule != "helo-host-denied" {
			return true
		}
	}
	return false
}

// ofNames tells whether there is more wrong than that somebody listed the client.
func (f failures) ofNames() bool {
	for rule := range f {
		if !strings.HasSuffix(rule, "-denied") && !strings.HasSuffix(rule, "-listed") {
			return true
		}
	}
	return false
}

// steps are the differences between the client as it is and one that is called by the name everywhere. Where
// the name is confirmed already, to say it in HELO is the whole cure of most; else it has to be made first.
func steps(r *Record, name string, example bool) []Step {
	failed := failures{}
	for _, found := range r.Findings {
		if found.Result == Fail && found.Action != Off {
			failed[found.Rule] = true
		}
	}
	f, confirmed := r.Facts, slices.Contains(r.Facts.Confirmed(), name)
	var list []Step
	if failed.ofNames() && f.Client.IsValid() {
		if !confirmed {
			list = append(list, f.address(name)...)
		}
		list = append(list, f.pointer(name, failed)...)
	}
	saysIt := f.LastHelo().Name == name && !example // who says the example has copied it
	if failed.ofHelo() && (!saysIt || len(f.Greetings) > 1) {
		at := len(list)
		if confirmed {
			at = 0
		}
		list = slices.Insert(list, at, f.greet(name, confirmed, failed))
	}
	if failed["helo-spf"] && saysIt {
		list = append(list, f.allow(name))
	}
	if failed.any("helo-denied", "helo-host-denied", "ptr-denied") {
		list = append(list, Step{Text: "The receiving server has you on its own deny list. " + fixDenied})
	}
	return append(list, f.delist(name, failed)...)
}

// address is the record that leads from the name to the client.
func (f *Facts) address(name string) []Step {
	qtype := "A"
	if f.Client.Is6() {
		qtype = "AAAA"
	}
	for _, g := range f.Greetings {
		if g.Helo.Name == name && slices.Contains(g.Addrs(), f.Client) {
			return nil
		}
	}
	return []Step{{
		Text:    fmt.Sprintf("Publish the address %s for %s.", f.Client, name),
		Records: []string{fmt.Sprintf("%s. %s %s", name, qtype, f.Client)},
	}}
}

// pointer is the record that leads from the client to the name.
func (f *Facts) pointer(name string, failed failures) []Step {
	text := "Ask the owner of the address, usually your hosting or access provider, to set the PTR record " +
		"of %s to %s"
	switch {
	case failed.any("ptr-many", "ptr-reserved"):
		text += ", and to remove every other"
	case slices.Contains(f.ptrNames(), name):
		return nil
	case f.PTR.Status == Failed || f.PTR.Stale:
		text += " (its lookup failed, so it may be that already)"
	}
	text += ". Who cannot have that sends mail through the provider's mail server instead."
	return []Step{{
		Text:    fmt.Sprintf(text, f.Client, name),
		Records: []string{fmt.Sprintf("%s PTR %s.", ReverseName(f.Client), name)},
	}}
}

// greet is the HELO.
func (f *Facts) greet(name string, confirmed bool, failed failures) Step {
	text := "Set the HELO name of the mail server to " + name
	if confirmed {
		text += ": the DNS confirms that this is " + f.Client.String()
	}
	text += "."
	if failed.any("helo-own-address", "helo-own-name", "helo-rcpt-domain", "helo-forged-brand",
		"helo-brand-no-ptr") {
		text = "The HELO is somebody else's name. " + text
	}
	if failed["helo-missing"] {
		return Step{Text: text + " It has to send EHLO with that name before MAIL."}
	}
	if failed["helo-changed"] {
		text += " It has to say the same name in every greeting."
	}
	return Step{Text: text, Settings: settings(name)}
}

// settings are those of the mail servers that people run themselves: postconf(5); Sendmail's option HeloName,
// since 8.14; Exim's specification, smtp transport; smtpd.conf(5); qmail-remote(8); Exchange's
// Set-SendConnector; the tab Basics of Domino's Server document.
func settings(name string) []Setting {
	return []Setting{
		{"Postfix, main.cf", "smtp_helo_name = " + name},
		{"Sendmail, sendmail.mc", "define(`confHELO_NAME', `" + name + "')dnl"},
		{"Exim, smtp transport", "helo_data = " + name},
		{"OpenSMTPD, smtpd.conf", `action "outbound" relay helo ` + name},
		{"qmail, control/helohost", name},
		{"Exchange", `Set-SendConnector "your connector" -Fqdn ` + name},
		{"Domino, Server document", "Fully qualified Internet host name: " + name},
	}
}

// allow is the part of an SPF record: RFC 7208 §5.6.
func (f *Facts) allow(name string) Step {
	mechanism := "ip4:"
	if f.Client.Is6() {
		mechanism = "ip6:"
	}
	return Step{
		Text:    fmt.Sprintf("Allow the address in the SPF record of %s: put this behind \"v=spf1\".", name),
		Records: []string{mechanism + f.Client.String()},
	}
}

// delist is about the domains that the client keeps when it is called by the name.
func (f *Facts) delist(name string, failed failures) []Step {
	lists := map[string][]string{}
	for _, g := range f.Greetings {
		if failed["helo-listed"] && len(g.Lists.Values) > 0 && sameOrg(g.Helo.Name, name) {
			lists[orgDomain(name)] = g.Lists.Values
		}
	}
	for _, h := range f.PTR.Values {
		if failed["ptr-listed"] && len(h.Lists.Values) > 0 {
			lists[orgDomain(h.Name)] = h.Lists.Values
		}
	}
	var steps []Step
	for domain, on := range lists {
		steps = append(steps, Step{Text: fmt.Sprintf("Have %s taken off the block list %s: its operator says how.",
			clean(domain, replyQuoted), strings.Join(on, " and "))})
	}
	slices.SortFunc(steps, func(a, b Step) int { return strings.Compare(a.Text, b.Text) })
	return steps
}

// ReverseName is the name that an address's PTR record has: RFC 1035 §3.5, RFC 3596 §2.5.
func ReverseName(addr netip.Addr) string {
	var name strings.Builder
	for _, octet := range slices.Backward(addr.AsSlice()) {
		if addr.Is4() {
			fmt.Fprintf(&name, "%d.", octet)
		} else {
			fmt.Fprintf(&name, "%x.%x.", octet&15, octet>>4)
		}
	}
	if addr.Is4() {
		return name.String() + "in-addr.arpa."
	}
	return name.String() + "ip6.arpa."
}
