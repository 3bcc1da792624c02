package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks/clean"
)

// steps are the differences between the client as it is and one that is called by the name everywhere. Where
// the name is confirmed already, to say it in HELO is the whole cure of most; else it has to be made first.
func steps(r *Record, name string, example bool) []Step {
	failed, f, confirmed := failuresOf(r), r.Facts, slices.Contains(r.Facts.Confirmed(), name)
	// It may well have a name, and then there is no other to be made for it.
	unknown := example && f.Client.IsValid() && Public(f.Client) && f.mayConfirm(anyName)
	if failed.ofNames() && f.ofMicrosoft365() {
		return append([]Step{microsoft365}, failed.denied()...)
	}
	var list []Step
	switch {
	case !failed.ofNames() || !f.Client.IsValid():
	case !Public(f.Client):
		list = append(list, Step{Text: fmt.Sprintf("Send mail from a public address: %s is not one, and no "+
			"record in the public DNS can point to it.", f.Client)})
	case !unknown:
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
		target := name
		switch {
		case confirmed:
			target += ", which the DNS confirms for " + f.Client.String()
		case unknown:
			target = "the name in the PTR record of " + f.Client.String() + ", which could not be looked up"
		}
		list = slices.Insert(list, at, greet(target, name, failed))
	}
	// Other receivers ask SPF even where the DNS proves the name.
	if n := len(f.Greetings); saysIt && n > 0 {
		if spf := f.Greetings[n-1].SPF; !spf.Stale && slices.Contains(spf.Values, "fail") {
			list = append(list, f.allow(name))
		}
	}
	return append(append(list, failed.denied()...), f.delist(name, failed)...)
}

// denied is about the receiving server's deny list.
func (f failures) denied() []Step {
	if !f.any("helo-denied", "helo-host-denied", "ptr-denied") {
		return nil
	}
	return []Step{{Text: "You are on the receiving server's own deny list. " +
		"Its postmaster can tell you why, and remove you from it."}}
}

// ofMicrosoft365 reports whether the DNS proves that the client is a host by which Microsoft 365 sends the mail of
// its customers.
func (f *Facts) ofMicrosoft365() bool {
	return slices.ContainsFunc(f.Confirmed(), Names{".outbound.protection.outlook.com"}.Match)
}

// microsoft365 is all that a customer can do. Its hosts share HELO names that cannot resolve to all of them
// (Microsoft's article 3019655, "Recipient rejects mail from Microsoft 365 and host name does not match IP
// address"), and Set-SendConnector is available only in on-premises Exchange.
var microsoft365 = Step{
	Text: "This is a host of Microsoft 365, whose customers can change neither its HELO name nor its DNS " +
		"records; that the two names differ is Microsoft's design. Ask the postmaster of the receiving server " +
		"to make an exception for hosts with a confirmed name under outbound.protection.outlook.com, or send " +
		"this mail through a server of your own: a connector of Exchange Online (New-OutboundConnector " +
		"-SmartHosts) can hand it over to that.",
}

// address is the record that leads from the name to the client. A name that nobody has looked up may have it.
func (f *Facts) address(name string) []Step {
	qtype, text := "A", "Publish an address record that points from %s to %s."
	if f.Client.Is6() {
		qtype = "AAAA"
	}
	said := func(g Greeting) bool { return g.Helo.Name == name }
	switch at := slices.IndexFunc(f.Greetings, said); {
	case at >= 0 && slices.Contains(f.Greetings[at].Addrs(), f.Client):
		return nil
	case at < 0 && name == f.withoutDot().name:
		text = "Check that there is an address record that points from %s to %s."
	}
	return []Step{{
		Text:    fmt.Sprintf(text, name, f.Client),
		Records: []string{fmt.Sprintf("%s. %s %s", name, qtype, f.Client)},
	}}
}

// pointer is the record that leads from the client to the name.
func (f *Facts) pointer(name string, failed failures) []Step {
	text := "Ask whoever controls the address, usually your hosting or access provider, to set the PTR record " +
		"of %s to %s"
	dotless := f.withoutDot()
	switch {
	case failed.any("ptr-many", "ptr-reserved"):
		text += " and to remove all others"
	case slices.Contains(f.ptrNames(), name):
		return nil
	case name == dotless.name:
		return []Step{dotless.step(f.Client)}
	case f.PTR.Status == Failed || f.PTR.Stale:
		text += " (its lookup failed, so this may already be the case)"
	}
	text += ". If that is not possible, send mail through the provider's mail server instead."
	if dotless.name != "" {
		text += " The record must end in a dot, which it lacks now."
	}
	return []Step{{
		Text:    fmt.Sprintf(text, f.Client, name),
		Records: []string{fmt.Sprintf("%s PTR %s.", reverseName(f.Client), name)},
	}}
}

// step is to write the dot, in the zone that the record stands in.
func (d dotless) step(client netip.Addr) Step {
	return Step{
		Text: fmt.Sprintf("The PTR record of %s lacks the final dot, so that the name server appends the name of "+
			"the zone, %s, to %s. Ask whoever controls the address, usually your hosting or access provider, "+
			"to write the record with the dot.", client, clean.Reply(d.zone), d.name),
		Records: []string{d.owner(client) + " PTR " + d.name + "."},
	}
}

// greet is the HELO. target is the name in words.
func greet(target, name string, failed failures) Step {
	text := "Set the mail server's HELO name to " + target + "."
	if failed.any("helo-own-address", "helo-own-name", "helo-rcpt-domain", "helo-forged-brand",
		"helo-brand-no-ptr") {
		text = "The current HELO name belongs to somebody else. " + text
	}
	if failed["helo-missing"] {
		return Step{Text: text + " It must send EHLO with that name before MAIL."}
	}
	if failed.any("helo-changed", "helo-many") {
		text += " It must send the same name every time."
	}
	return Step{Text: text, Settings: settings(name)}
}

// settings are those of the mail servers that people run themselves: postconf(5); Sendmail's option HeloName,
// since 8.14; Exim's specification, smtp transport; smtpd.conf(5); qmail-remote(8); the tab Basics of Domino's
// Server document. Exchange's Set-SendConnector is run on a mailbox server also for a subscribed Edge server;
// without -Fqdn, a connector says the server's own name, often one of an internal domain. What
// Set-ReceiveConnector -Fqdn sets is for those who send to it.
func settings(name string) []Setting {
	return []Setting{
		{"Postfix, main.cf", "smtp_helo_name = " + name},
		{"Sendmail, sendmail.mc", "define(`confHELO_NAME', `" + name + "')dnl"},
		{"Exim, smtp transport", "helo_data = " + name},
		{"OpenSMTPD, smtpd.conf", `action "outbound" relay helo ` + name},
		{"qmail, control/helohost", name},
		{"Exchange, send connector", `Set-SendConnector "your connector" -Fqdn ` + name},
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
		Text:    fmt.Sprintf("Authorize the address in the SPF record of %s: add this after \"v=spf1\".", name),
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
		steps = append(steps, Step{Text: fmt.Sprintf(
			"Ask for %s to be removed from the block list %s; its operator explains how.",
			clean.Reply(domain), strings.Join(on, " and "))})
	}
	slices.SortFunc(steps, func(a, b Step) int { return strings.Compare(a.Text, b.Text) })
	return steps
}
