package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// said is the problem of the rules whose form says it all.
func said(c *Case) string {
	if c.Helo.Form == FormMissing {
		return "no greeting"
	}
	return cmp.Or(c.Helo.Raw, "an empty greeting")
}

func heloUnderscore(c *Case) string {
	if !strings.Contains(c.Helo.Name, "_") {
		return ""
	}
	return said(c)
}

// heloLiteralMismatch compares addresses, never their text: 192.0.2.1 is not [192.0.2.11].
func heloLiteralMismatch(c *Case) string {
	if c.Helo.Addr == c.Client {
		return ""
	}
	return said(c)
}

// heloUnknownTLD believes the DNS more than its list, which is older than the newest TLDs.
func heloUnknownTLD(c *Case) string {
	if len(c.Addrs()) > 0 {
		return ""
	}
	return said(c)
}

// heloPublicSuffix looks at the suffixes of registries only. Behind the private part of the list are
// companies whose own mail servers have such names.
func heloPublicSuffix(c *Case) string {
	if !IsPublicSuffix(c.Helo.Name) {
		return ""
	}
	return said(c)
}

// heloOwnAddress lets the one client pass that may say our address: ourselves.
func heloOwnAddress(c *Case) string {
	if c.ourselves() || c.Helo.Addr == c.Client || !slices.Contains(c.Site.Addresses, c.Helo.Addr) {
		return ""
	}
	return said(c)
}

func heloOwnName(c *Case) string {
	if c.ourselves() || !c.Site.owns(c.Helo.Name) {
		return ""
	}
	return said(c)
}

func (c *Case) ourselves() bool { return slices.Contains(c.Site.Addresses, c.Client) }

func heloRcptDomain(c *Case) string {
	if c.Helo.Name != c.Rcpt {
		return ""
	}
	return said(c)
}

// heloDenied looks at what was said, name or not.
func heloDenied(c *Case) string {
	if !c.Deny.helo(fold(c.Helo.Raw)) {
		return ""
	}
	return said(c)
}

// heloHostDenied begins with the client itself: who lists a network means who is in it.
func heloHostDenied(c *Case) string {
	if !c.Deny.Hosts() {
		return ""
	}
	addrs := append([]netip.Addr{c.Client, c.Helo.Addr}, c.Addrs()...)
	for _, h := range c.Hosts {
		if c.Deny.helo(h.Name) {
			return h.Name
		}
		addrs = append(addrs, h.Addrs.Values...)
	}
	if i := slices.IndexFunc(addrs, c.Deny.network); i >= 0 {
		return addrs[i].String()
	}
	return ""
}

func heloListed(c *Case) string { return strings.Join(c.Greeting.Lists.Values, ", ") }

// heloUnresolvable takes an MX for enough: the name of a domain is a bad HELO, not a false one.
func heloUnresolvable(c *Case) string {
	if c.A.Status == Unasked || len(c.Addrs()) > 0 || c.MX.Status == Found {
		return ""
	}
	return said(c)
}

func heloBogusAddress(c *Case) string {
	addrs := c.Addrs()
	if len(addrs) == 0 || slices.ContainsFunc(addrs, Public) {
		return ""
	}
	return joinAddrs(addrs)
}

func heloIPMismatch(c *Case) string {
	addrs := c.Addrs()
	if len(addrs) == 0 || slices.Contains(addrs, c.Client) {
		return ""
	}
	return joinAddrs(addrs)
}

// heloPTRMismatch compares with confirmed names only: an unconfirmed one is whatever its owner writes.
func heloPTRMismatch(c *Case) string {
	if c.Owns(c.Helo) {
		return ""
	}
	return cmp.Or(strings.Join(c.Confirmed(), ", "), "no confirmed name")
}

func heloBareDomain(c *Case) string {
	if orgDomain(c.Helo.Name) != c.Helo.Name {
		return ""
	}
	return said(c)
}

func heloForgedBrand(c *Case) string {
	if c.PTR.Status == Unasked || c.PTR.Status == Missing || !c.forgesBrand() {
		return ""
	}
	return cmp.Or(strings.Join(c.ptrNames(), ", "), said(c))
}

func heloBrandNoPTR(c *Case) string {
	if c.PTR.Status != Missing || !c.forgesBrand() || c.brandLeavesOpen() {
		return ""
	}
	return said(c)
}

// heloBrandHostNoPTR takes over where the brand does not say which its hosts are: there are relays of providers
// without a PTR name, and of the few such hops on record most are those.
func heloBrandHostNoPTR(c *Case) string {
	if c.PTR.Status != Missing || !c.forgesBrand() || !c.brandLeavesOpen() {
		return ""
	}
	return said(c)
}

func heloSPF(c *Case) string {
	if !slices.Contains(c.SPF.Values, "fail") {
		return ""
	}
	return said(c)
}

func heloGeneric(c *Case) string {
	if !c.spelled(c.Helo.Name).look.generic() {
		return ""
	}
	return said(c)
}

func heloChanged(c *Case) string {
	if len(c.Greetings) < 2 {
		return ""
	}
	names := make([]string, len(c.Greetings))
	for i, g := range c.Greetings {
		names[i] = g.Helo.Raw
	}
	return strings.Join(names, ", ")
}

func heloShared(c *Case) string {
	if c.Greeting.Seen == nil || c.Greeting.Seen.Networks < sharedNetworks {
		return ""
	}
	return fmt.Sprintf("%s, said in %d networks", said(c), c.Greeting.Seen.Networks)
}

func heloMany(c *Case) string {
	if c.Facts.Seen == nil || c.Facts.Seen.Names < manyNames {
		return ""
	}
	return fmt.Sprintf("%d names", c.Facts.Seen.Names)
}

// forgesBrand reports whether the HELO is in the domain of a well-known provider that does not vouch for the
// client: by no confirmed PTR name in any of its domains, and by no SPF record.
func (c *Case) forgesBrand() bool {
	b := brandOf(c.Helo.Name)
	return b != nil && !c.anyConfirmed(b.has) && !c.spfSays("pass")
}

// brandLeavesOpen reports whether the HELO is a host's name below a brand's domain, and neither that domain's SPF
// record nor the name's own says that the client is another's: RFC 7208 §2.6.2.
func (c *Case) brandLeavesOpen() bool {
	below := orgDomain(c.Helo.Name) != c.Helo.Name
	return below && c.spfSays("neutral") && !c.spfSays("fail") && !c.spfSays("softfail")
}

// spfSays reports whether that is the SPF result for the HELO name or for its brand's domain.
func (c *Case) spfSays(result string) bool {
	return slices.Contains(c.SPF.Values, result) || slices.Contains(c.Greeting.BrandSPF.Values, result)
}

func joinAddrs(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
