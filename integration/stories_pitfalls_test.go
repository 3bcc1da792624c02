package integration

// pitfallStories are about known mistakes of other programs that check HELO and PTR, one by one.
var pitfallStories = []story{
	// A literal compared by prefix, in either direction; that of a neighbour; compared as text.
	{"203.0.113.10", "EHLO [203.0.113.100]", "accept pass only +helo-literal-mismatch", ""},
	{"203.0.113.10", "EHLO [203.0.113.1]", "accept pass only +helo-literal-mismatch", ""},
	{"203.0.113.10", "EHLO [203.0.113.11]", "accept pass only +helo-literal-mismatch", ""},
	{"203.0.113.10", "EHLO [IPv6:::ffff:203.0.113.10]", "accept pass only", ""},

	// The legal literal treated as a bare address; IPv6 literals that never match.
	{"203.0.113.10", "HELO [203.0.113.10]", "accept pass only -helo-bare-ip -helo-literal-mismatch", ""},
	{"2001:db8::10", "HELO [IPv6:2001:db8::10]", "accept pass only -helo-literal-mismatch", ""},
	{"2001:db8::10", "EHLO [ipv6:2001:DB8::0010]", "accept pass only -helo-literal-malformed", ""},
	{"2001:db8::10", "EHLO [IPv6:2001:db8::1]", "accept pass only +helo-literal-mismatch", ""},

	// A name that starts with a number treated as an address.
	{"203.0.113.72", "EHLO 0.r1.example.org", "accept pass only", strict},

	// "Last two labels" as the organization; two unknown organizations compared equal.
	{
		"203.0.113.73", "EHLO mail.b.co.uk",
		"accept pass only +helo-ip-mismatch +helo-ptr-mismatch +helo-unverified", "",
	},
	{"203.0.113.73", "EHLO mail.a.co.uk", "accept pass only", strict},
	{"203.0.113.73", "EHLO smtp.a.co.uk", "accept pass only +helo-unresolvable -helo-ptr-mismatch", ""},
	{
		"203.0.113.74", "EHLO co.uk",
		"accept pass only +helo-public-suffix +helo-unresolvable +helo-ptr-mismatch +helo-unverified", "",
	},

	// A tolerance of /24: the name has a neighbour's address.
	{"203.0.113.33", "EHLO smtp.example.org", "accept fail +helo-ip-mismatch +helo-unverified", ""},

	// A timeout or SERVFAIL treated as a missing record.
	{"203.0.113.66", "EHLO mail.example.org", "accept temperror -ptr-missing -helo-unverified", strict},
	{
		"203.0.113.10", "EHLO b.broken.example.org",
		"accept pass ?helo-unresolvable -helo-unresolvable -helo-unverified", strict,
	},

	// Only the first PTR name looked at; an outdated one besides it; one whose lookup fails.
	{"203.0.113.75", "EHLO first.example.com", "accept pass only", strict},
	{"203.0.113.75", "EHLO second.example.org", "accept pass only", strict},
	{"203.0.113.75", "EHLO smtp.example.org", "accept pass only +helo-ip-mismatch", strict},
	{"203.0.113.40", "EHLO relay.example.org", "accept pass only -ptr-unconfirmed", strict},
	{"203.0.113.41", "EHLO relay41.example.org", "accept pass only -ptr-unconfirmed", strict},

	// NODATA for AAAA, and for A, treated as an error.
	{"203.0.113.10", "EHLO mail.example.org", "accept pass only -helo-unresolvable", tryLater},
	{"2001:db8::10", "EHLO mail6.example.org", "accept pass only -helo-unresolvable", tryLater},

	// HELO compared with unconfirmed PTR names.
	{
		"203.0.113.33", "EHLO gone.example.org",
		"accept fail +helo-ptr-mismatch +helo-unverified +ptr-unconfirmed", "",
	},

	// A trailing dot or upper case treated as a mismatch, or as a changed name.
	{"203.0.113.10", "EHLO mail.example.org.", "accept pass only", strict},
	{"203.0.113.10", "EHLO MAIL.EXAMPLE.ORG.", "accept pass only", strict},
	{
		"203.0.113.10", "EHLO mail.example.org|EHLO Mail.Example.ORG.",
		"accept pass only -helo-changed", strict,
	},
	{"203.0.113.10", "EHLO MX.example.net.", "reject 550 5.7.1 helo-own-name pass", ""},

	// The second EHLO not judged, or the first one forgotten: in either order, and back and forth.
	{
		"203.0.113.10", "EHLO mail.example.org|HELO friend",
		"reject 504 5.5.2 helo-not-fqdn pass only +helo-changed", fqdnOnly,
	},
	{
		"203.0.113.10", "HELO friend|EHLO mail.example.org",
		"reject 504 5.5.2 helo-not-fqdn pass only +helo-changed", fqdnOnly,
	},
	{
		"203.0.113.10", "EHLO mail.example.org|EHLO friend|EHLO mail.example.org", // the last is helo=
		"reject 504 5.5.2 helo-not-fqdn pass only +helo-changed", fqdnOnly,
	},
}
