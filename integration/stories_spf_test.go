package integration

// spfUnsure is the outcome for a client of another organization while SPF says nothing.
const spfUnsure = "accept pass only ?helo-spf +helo-ip-mismatch +helo-ptr-mismatch +helo-unverified"

// spfStories are about the SPF record of the HELO name (RFC 7208 §2.3).
var spfStories = []story{
	{"203.0.113.10", "EHLO spf.example.org", "accept pass only", ""},
	{
		"203.0.113.21", "EHLO spf.example.org",
		"reject 550 5.7.23 helo-spf pass only +helo-ip-mismatch +helo-ptr-mismatch +helo-unverified", "",
	},
	{
		"203.0.113.21", "EHLO SPF.example.org.",
		"reject 550 5.7.23 helo-spf pass only +helo-ip-mismatch +helo-ptr-mismatch +helo-unverified", "",
	},
	{"203.0.113.21", "EHLO spf.example.org", "accept pass +helo-spf +helo-ip-mismatch", careful},
	{"203.0.113.20", "EHLO spf.example.org", "accept pass only +helo-ip-mismatch", ""}, // of its organization
	{"203.0.113.10", "EHLO exists.example.org", "accept pass only", ""},
	{
		"203.0.113.21", "EHLO exists.example.org",
		"reject 550 5.7.23 helo-spf pass only +helo-ip-mismatch +helo-ptr-mismatch +helo-unverified", "",
	},
	{"2001:db8::10", "EHLO spf6.example.org", "accept pass only", ""},
	{"2001:db8::30", "EHLO spf6.example.org", "reject 550 5.7.23 helo-spf permerror", ""},

	// Softfail, an error, and no record are not a fail.
	{"203.0.113.10", "EHLO soft.example.org", "accept pass only", strict},
	{"203.0.113.10", "EHLO text.example.org", "accept pass only", strict},
	{"203.0.113.10", "EHLO [203.0.113.10]", "accept pass only +helo-literal", strict},
	{"203.0.113.10", "EHLO friend", "accept pass only +helo-not-fqdn", ""},
	{"203.0.113.21", "EHLO typo.example.org", spfUnsure, strict},  // permerror
	{"203.0.113.21", "EHLO twice.example.org", spfUnsure, strict}, // two records
	{"203.0.113.21", "EHLO loop.example.org", spfUnsure, strict},  // an endless include
	{"203.0.113.21", "EHLO void.example.org", spfUnsure, strict},  // includes SERVFAIL
	{
		"203.0.113.21", "EHLO slow.example.org",
		spfUnsure, oneSecond + "\n" + strict,
	},
	{"203.0.113.21", "EHLO void.example.org", "tempfail 451 4.4.3 pass ?helo-spf", tryLater},
	{"203.0.113.10", "EHLO void.example.org", "accept pass only", strict}, // it is the client's name

	// A provider's SPF record passes clients whose PTR is not theirs; a failed lookup of it refuses nobody.
	{
		"203.0.113.21", "EHLO relay.microsoft.com",
		"accept pass only +helo-ip-mismatch +helo-ptr-mismatch +helo-unverified", "",
	},
	{
		"203.0.113.30", "EHLO relay.microsoft.com",
		"accept permerror -helo-brand-no-ptr -helo-forged-brand", "",
	},
	{"203.0.113.20", "EHLO relay.microsoft.com", "reject 550 5.7.1 helo-forged-brand pass +helo-spf", ""},
	{
		"203.0.113.31", "EHLO relay.microsoft.com",
		"reject 550 5.7.25 helo-brand-no-ptr permerror +helo-spf", "",
	},
	{
		"203.0.113.21", "EHLO void.microsoft.com",
		"accept pass ?helo-forged-brand ?helo-spf -helo-forged-brand", strict + unverified,
	},
}
