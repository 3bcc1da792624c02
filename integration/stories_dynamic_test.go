package integration

// dynamicStories are about names that look like those of dynamic addresses: the generic and dynamic rules.
var dynamicStories = []story{
	// The HELO has the client's address or a dial-up word; in most cases it is the PTR name.
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
		"203.0.113.83", "EHLO pc7.dialup.example.org", // the word only
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

	// The PTR name only, with a good HELO.
	{
		"203.0.113.80", "EHLO mail.example.org",
		"accept pass only +helo-ip-mismatch +ptr-generic +ptr-dynamic", "",
	},
	{"203.0.113.80", "EHLO mail.example.org", "reject 550 5.7.25 ptr-dynamic pass", strict},
	{"203.0.113.81", "EHLO mail.example.org", "accept pass only +helo-ip-mismatch +ptr-generic", strict},
	{
		"203.0.113.86", "EHLO mail.example.org", // which is not confirmed
		"accept fail +ptr-generic +ptr-dynamic +ptr-unconfirmed", "",
	},
	{"203.0.113.84", "EHLO post84.example.org", "accept pass only", strict}, // it has another name as well

	// A static address is not dynamic.
	{"203.0.113.82", "EHLO static-203-0-113-82.example.org", "accept pass only +ptr-generic", strict},

	// Another host's address, two octets of the client's, and words that only contain a dial-up word.
	{"203.0.113.10", "EHLO 203-0-113-99.example.org", "accept pass only +helo-unresolvable", ""},
	{"203.0.113.10", "EHLO 113-10.example.org", "accept pass only +helo-unresolvable", ""},
	{"203.0.113.10", "EHLO dynamics.poolside.example.org", "accept pass only +helo-unresolvable", ""},
	{"203.0.113.10", "EHLO mail.dynv6.example", "accept pass +helo-reserved-tld -helo-generic", ""},

	// Real mail servers, which other programs refuse.
	{"167.89.97.77", "EHLO o167-89-97-77.outbound-mail.sendgrid.net", "accept pass only", strict},
	{"66.220.155.151", "EHLO 66-220-155-151.mail-pages.facebook.com", "accept pass only", strict},
	{"203.205.221.128", "EHLO out203-205-221-128.mail.qq.com", "accept pass only", strict},
	{"54.240.85.218", "EHLO a85-218.smtp-out.us-west-2.amazonses.com", "accept pass only", strict},
	{"74.125.82.182", "EHLO mail-we0-f182.google.com", "accept pass only", strict},
	{"193.108.91.155", "EHLO ns1-155.akam.net", "accept pass only", strict},
	{"220.181.17.178", "EHLO m17-178.vip.126.com", "accept pass only", strict},
	{"203.0.113.90", "EHLO mx.dynamicinternet.com", "accept pass only", strict},
	{"203.0.113.91", "EHLO mail.generaldynamics.com", "accept pass only", strict},
	{"203.0.113.92", "EHLO pc.dsl.online", "accept pass only", strict}, // the domain, not the kind of line
	{"203.0.113.93", "EHLO 203-0-113-93.online", "reject 550 5.7.1 helo-generic pass only +ptr-generic", strict},
}
