package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ptrRules are the rows of All about the client's reverse DNS.
var ptrRules = []Rule{
	{
		// A server whose provider sets no PTR record, often on IPv6. Nothing clears; only strict refuses.
		Name: "ptr-missing",
		Doc:  "the client's address has no PTR record", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 2.4,
		On: FormClient, Clears: PTRNames, Problem: ptrMissing,
	},
	{
		// A server whose PTR name lacks its address record. Nothing clears; only strict refuses.
		Name: "ptr-unconfirmed",
		Doc:  "no PTR name of the client resolves back to its address",
		Fix:  "Make the PTR name a host name whose address record points back to the address.",
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0.4,
		On: FormClient, Clears: PTRAddrs, Problem: ptrUnconfirmed,
	},
	{
		// A server whose PTR record lacks its final dot. Cleared by another PTR name; only strict refuses.
		Name: "ptr-malformed",
		Doc:  "no PTR name of the client is a valid host name", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormClient, Reads: PTRNames, Problem: ptrMalformed,
	},
	{
		// A server whose second PTR name is an inside one. Nothing clears; only strict refuses.
		Name: "ptr-reserved",
		Doc:  "a PTR name of the client cannot exist in the public DNS", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormClient, Reads: PTRNames, Problem: ptrReserved,
	},
	{
		// Most rented hosts: never refused.
		Name: "ptr-generic",
		Doc:  "the client's PTR name is made from its address", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0.3,
		On: FormClient, Reads: PTRNames, Problem: ptrGeneric,
	},
	{
		// A server on a line that is sold as dynamic. Cleared by a word such as static or mail; only strict
		// refuses.
		Name: "ptr-dynamic",
		Doc:  "the client's PTR name says that its address is dynamic", Fix: fixPTR,
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Reject}, Score: 0,
		On: FormClient, Reads: PTRNames, Problem: ptrDynamic,
	},
	{
		// A web host with a PTR record for each site: never refused.
		Name: "ptr-many",
		Doc:  "the client has more than 10 PTR names",
		Fix:  "Keep one PTR record, with the mail server's host name.",
		Code: Code{550, "5.7.25"}, Actions: [3]Action{Mark, Mark, Mark}, Score: 0,
		On: FormClient, Reads: PTRNames, Problem: ptrMany,
	},
	{
		// Whomever the administrator lists.
		Name: "ptr-denied",
		Doc:  "a PTR name of the client is on this server's deny list", Fix: fixDenied,
		Code: Code{550, "5.7.1"}, Actions: [3]Action{Reject, Reject, Reject}, Score: 5,
		On: FormClient, Reads: PTRDenied, Problem: ptrDenied,
	},
	{
		// A domain that is listed by mistake, and its neighbours in it. Nothing clears, so careful marks.
		Name: "ptr-listed",
		Doc:  "the domain of the client's PTR name is on a block list", Fix: fixListed,
		Code: Code{554, "5.7.1"}, Actions: [3]Action{Mark, Reject, Reject}, Score: 0,
		On: FormClient, Reads: PTRLists, Problem: ptrListed,
	},
}

func ptrMissing(c *Case) string {
	if c.PTR.Status == Unasked || c.PTR.Status == Found {
		return ""
	}
	return c.Client.String()
}

// ptrUnconfirmed leaves a client without a PTR to ptrMissing.
func ptrUnconfirmed(c *Case) string {
	if c.anyConfirmed(anyName) || c.PTR.Status == Unasked || c.PTR.Status == Missing {
		return ""
	}
	return cmp.Or(c.ptrText(), c.Client.String())
}

// ptrMalformed is content with one host name among others that are none. As heloUnknownTLD does, it believes the DNS
// more than the list of TLDs.
func ptrMalformed(c *Case) string {
	newTLD := func(name string) bool { return c.spelled(name).form == FormUnknownTLD }
	host := func(h Host) bool { return hostForm(h.Name, c.spelled(h.Name).form) }
	if slices.ContainsFunc(c.PTR.Values, host) || c.anyConfirmed(newTLD) {
		return ""
	}
	return c.ptrText()
}

// ptrText is the PTR names as text, with what is wrong with one whose final dot is missing.
func (c *Case) ptrText() string {
	text := strings.Join(c.ptrNames(), ", ")
	if d := c.withoutDot(); d.name != "" {
		text += ": the final dot is missing after " + d.name
	}
	return text
}

func ptrReserved(c *Case) string {
	for _, h := range c.PTR.Values {
		if c.spelled(h.Name).form&(FormLocalhost|FormReserved|FormPrivate) != 0 {
			return h.Name
		}
	}
	return ""
}

func ptrMany(c *Case) string {
	if c.PTRCount <= MaxPTR {
		return ""
	}
	return fmt.Sprintf("%d names", c.PTRCount)
}

// ptrGeneric and ptrDynamic are about all the names: a client with one that somebody gave it is no
// client without a name.
func ptrGeneric(c *Case) string {
	return c.eachPTR(func(l look) bool { return l.address && !l.mail })
}

func ptrDynamic(c *Case) string {
	return c.eachPTR(func(l look) bool { return l.address && l.dialup && !l.fixed && !l.mail })
}

// eachPTR returns the PTR names if all of them look so. All names under arpa have numbers: they are
// ptrMalformed's business.
func (c *Case) eachPTR(as func(look) bool) string {
	for _, h := range c.PTR.Values {
		if under(h.Name, "arpa") || !as(c.spelled(h.Name).look) {
			return ""
		}
	}
	return strings.Join(c.ptrNames(), ", ")
}

func ptrDenied(c *Case) string {
	for _, h := range c.PTR.Values {
		if c.Deny.ptr(h.Name) {
			return h.Name
		}
	}
	return ""
}

func ptrListed(c *Case) string {
	for _, h := range c.PTR.Values {
		if len(h.Lists.Values) > 0 {
			return h.Name + ": " + strings.Join(h.Lists.Values, ", ")
		}
	}
	return ""
}

// isHostName reports whether a PTR name could be a host's: as with HELO, but an underscore is a fault, and no
// host has its name under arpa. localhost and the reserved names, home.arpa's among them, are ptrReserved's
// business.
func isHostName(name string) bool { return hostForm(name, ParseHelo(name).Form) }

func hostForm(name string, form Form) bool {
	const fine = FormPublic | FormReserved | FormPrivate | FormLocalhost
	return form&fine != 0 && !strings.Contains(name, "_") && (form != FormPublic || !under(name, "arpa"))
}

// withoutDot returns the first PTR record of the client whose final dot is missing.
func (f *Facts) withoutDot() dotless {
	for _, h := range f.PTR.Values {
		if d := withoutDot(h.Name); d.name != "" {
			return d
		}
	}
	return dotless{}
}

func (f *Facts) ptrNames() []string {
	names := make([]string, len(f.PTR.Values))
	for i, h := range f.PTR.Values {
		names[i] = h.Name
	}
	return names
}
