package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

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
