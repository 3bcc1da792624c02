package integration

// dynamicStories are about names that look like those of dynamic addresses.
var dynamicStories = []story{
	// The HELO carries the client's address, or has a dial-up word; the PTR name is the same, mostly.
	{
		"203.0.113.80", "EHLO 203-0-113-80.dsl.example.org",
		"accept pass only +helo-generic +ptr-generic +ptr-dynamic", "",
	},
	{"203.0.113.80", "EHLO 203-0-113-80.dsl.example.org", "reject 550 5.7.1 helo-generic pass", strict},
	{
		"203.0.113.81", "EHLO host-203-0-113-81.example.org",
		"accept pass only +helo-generic +ptr-generic", "",
	},
	{
		"203.0.113.83", "EHLO pc7.dialup.example.org", // the word alone
		"accept pass only +helo-generic", "",
	},
	{"203.0.113.83", "EHLO PC7.DialUp.Example.ORG.", "accept pass only +helo-generic", ""},
	{
		"203.0.113.85", "EHLO cb007155.pool.example.org", // in hexadecimal
		"accept pass only +helo-generic +ptr-generic +ptr-dynamic", "",
	},
	{
		"2001:db8::80", "EHLO 2001-db8--80.dsl.example.org",
		"accept pass only +helo-generic +ptr-generic +ptr-dynamic", "",
	},

	// The PTR name alone, with a good HELO.
	{
		"203.0.113.80", "EHLO mail.example.org",
		"accept pass only +helo-ip-mismatch +ptr-generic +ptr-dynamic", "",
	},
	{"203.0.113.80", "EHLO mail.example.org", "reject 550 5.7.25 ptr-dynamic pass", strict},
	{"203.0.113.81", "EHLO mail.example.org", "accept pass only +helo-ip-mismatch +ptr-generic", strict},
	{
		"203.0.113.86", "EHLO mail.example.org", // and nobody confirms it
		"accept fail +ptr-generic +ptr-dynamic +ptr-unconfirmed", "",
	},
	{"203.0.113.84", "EHLO post84.example.org", "accept pass only", strict}, // one that somebody gave it

	// A fixed address is not a dynamic one.
	{"203.0.113.82", "EHLO static-203-0-113-82.example.org", "accept pass only +ptr-generic", strict},

	// Somebody else's address, two octets of one's own, and words that are none.
	{"203.0.113.10", "EHLO 203-0-113-99.example.org", "accept pass only +helo-unresolvable", ""},
	{"203.0.113.10", "EHLO 113-10.example.org", "accept pass only +helo-unresolvable", ""},
	{"203.0.113.10", "EHLO dynamics.poolside.example.org", "accept pass only +helo-unresolvable", ""},
	{"203.0.113.10", "EHLO mail.dynv6.example", "accept pass +helo-reserved-tld -helo-generic", ""},

	// Real mail servers, which others catch.
	{"167.89.97.77", "EHLO o167-89-97-77.outbound-mail.sendgrid.net", "accept pass only", strict},
	{"66.220.155.151", "EHLO 66-220-155-151.mail-pages.facebook.com", "accept pass only", strict},
	{"203.205.221.128", "EHLO out203-205-221-128.mail.qq.com", "accept pass only", strict},
	{"54.240.85.218", "EHLO a85-218.smtp-out.us-west-2.amazonses.com", "accept pass only", strict},
	{"74.125.82.182", "EHLO mail-we0-f182.google.com", "accept pass only", strict},
	{"193.108.91.155", "EHLO ns1-155.akam.net", "accept pass only", strict},
	{"220.181.17.178", "EHLO m17-178.vip.126.com", "accept pass only", strict},
	{"203.0.113.90", "EHLO mx.dynamicinternet.com", "accept pass only", strict},
	{"203.0.113.91", "EHLO mail.generaldynamics.com", "accept pass only", strict},
	{"203.0.113.92", "EHLO pc.dsl.online", "accept pass only", strict}, // his domain, not his line
	{"203.0.113.93", "EHLO 203-0-113-93.online", "accept pass only", strict},
}
