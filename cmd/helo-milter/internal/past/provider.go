package past

import (
	"net/netip"
	"regexp"
	"slices"

	"helo-milter/checks"
)

// provider is a site with many hosts, whose mailboxes are widespread: its hosts are known by their names, so
// nobody has to list them with --trusted.
type provider struct {
	// top matches the clause by, behind that word, of a host that writes the topmost field of a mailbox.
	top *regexp.Regexp
	// hosts are the names of those that may stand below it, and nets what they write in place of a name.
	hosts checks.Names
	nets  []netip.Prefix
	inner []inner
	give  string // what to give with --trusted
}

// inner are public addresses of a provider's own hosts that pass mail on to others inside. Nobody else can
// send to these from there: the address decides, and not the HELO, which anybody can make up.
type inner struct {
	to   checks.Names // the hosts that they pass it on to
	from []netip.Prefix
}

var providers = []provider{
	// Exchange Online: store, mailbox server, front end NAME.outlook.office365.com, each with a public IPv6
	// address, and the border NAME.mail.protection.outlook.com. Its own hosts are in networks like
	// 2603:10a6::/32, with a 6 at the end of the second group, and 2a01:111:e400::/40 (Microsoft's list of
	// addresses, service area Exchange; headers of 4000 messages). Azure's customers are in 2603:1010::/32,
	// 2603:1020::/32, 2603:1030::/32. What Exchange Online sends out, also for one customer to another, comes
	// from 2a01:111:f400::/46. It reaches the border, never a front end, for which these are addresses of the
	// border.
	{
		top: regexp.MustCompile(`(?i)^\S+\.(?:prod\.outlook\.com|prod\.exchangelabs\.com|` +
			`outlook\.office365\.com|protection\.outlook\.com)(?: |$)`),
		hosts: exchangeHosts,
		inner: []inner{
			{exchangeHosts, append(exchangeNets(), netip.MustParsePrefix("2a01:111:e400::/40"))},
			{checks.Names{".outlook.office365.com"}, prefixes("2a01:111:f400::/46")},
		},
		give: ".protection.outlook.com",
	},
	// Gmail: hosts inside write an address for their own name, of 10.0.0.0/8 or the same as 6to4.
	// gmr-mx stands in front of groups; smtp and smtp-relay take mail from Google's own customers.
	{
		top:   regexp.MustCompile(`^(?:2002:a[0-9a-f]{2}:[0-9a-f:]+|10(?:\.\d+){3})$`),
		hosts: checks.Names{"mx.google.com", "gmr-mx.google.com", "smtp.gmail.com", "smtp-relay.gmail.com"},
		nets:  prefixes("2002:a00::/24", "10.0.0.0/8"),
		give:  "mx.google.com",
	},
	// Yahoo and AOL: the mail store has received the message from a host inside, which writes its address.
	{
		top:   regexp.MustCompile(`^\S+\.yahoo\.com(?: |$)`),
		hosts: checks.Names{".yahoo.com"},
		nets:  prefixes("10.0.0.0/8"),
		give:  ".yahoo.com",
	},
	// iCloud: the mail store and the border are in 17.0.0.0/8, where Apple has no customers.
	{
		top:   regexp.MustCompile(`^\S+\.(?:mac|me|icloud)\.com(?: |$)`),
		hosts: appleHosts,
		inner: []inner{{appleHosts, prefixes("17.0.0.0/8")}},
		give:  ".mac.com,.me.com,.icloud.com",
	},
	// Fastmail: the mail store behind LMTP, and the border.
	{
		top:   regexp.MustCompile(`^\S+\.internal \((?:LMTPProxy|Cyrus)\b`),
		hosts: checks.Names{".internal", ".messagingengine.com"},
		give:  ".messagingengine.com",
	},
}

var exchangeHosts = checks.Names{
	".prod.outlook.com", ".prod.exchangelabs.com", ".outlook.office365.com", ".protection.outlook.com",
}

var appleHosts = checks.Names{".mac.com", ".me.com", ".icloud.com"}

func exchangeNets() (nets []netip.Prefix) {
	for _, n := range []byte{0x06, 0x16, 0x26, 0x36, 0x46, 0x56, 0x96, 0xa6, 0xb6, 0xc6, 0xd6} {
		nets = append(nets, netip.PrefixFrom(netip.AddrFrom16([16]byte{0x26, 0x03, 0x10, n}), 32))
	}
	return nets
}

func prefixes(texts ...string) (nets []netip.Prefix) {
	for _, text := range texts {
		nets = append(nets, netip.MustParsePrefix(text))
	}
	return nets
}

// providerOf returns the provider whose host wrote the topmost field of a mailbox, or nil.
func providerOf(top received) *provider {
	for i := range providers {
		if providers[i].top.MatchString(top.text("by")) {
			return &providers[i]
		}
	}
	return nil
}

// has reports whether a host of that name, or with an address for a name, is one of the provider's.
func (p *provider) has(by string) bool {
	return p != nil && (p.hosts.Match(by) || contain(p.nets, ip(by)))
}

// inside reports whether the client of a hop is one of the provider's own hosts.
func (p *provider) inside(h *Hop) bool {
	return p != nil && slices.ContainsFunc(p.inner, func(i inner) bool {
		return i.to.Match(h.By) && contain(i.from, h.Client)
	})
}

func contain(nets []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(addr) })
}
