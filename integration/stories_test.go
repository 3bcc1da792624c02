package integration

import (
	"slices"
	"testing"

	"helo-milter/integration/rig"
)

// A story is an SMTP session and its expected outcome: the client's address, the script (see rig.Client.Say),
// the outcome in the words of outcome (outcome_test.go), and the milter's configuration, top-level keys
// first. A script without RCPT goes on with one message from example.org to example.net. {mx} and {mx6} are
// the MTA's own addresses. What the DNS says is in rig/dns.txt.
type story struct{ client, says, outcome, config string }

// TestStories runs the stories of all tables with both MTAs, and replays the decision logs.
func TestStories(t *testing.T) {
	replay := &decisionReplay{logs: map[string]string{}}
	all := slices.Concat(stories, dynamicStories, listStories, spfStories, policyStories, pitfallStories)
	eachVariant(t, func(t *testing.T, v variant) {
		for i, story := range all {
			if !v.runs(i, story.says, story.outcome) || v.unsupported(story.says) != "" {
				continue
			}
			t.Run(story.client+" "+story.says, func(t *testing.T) {
				t.Parallel()
				s := v.session(t, story.config, story.client, story.says, rig.Message)
				s.check(parseOutcome(story.outcome))
				replay.add(s, story.config)
			})
		}
	})
	replay.run(t)
}

// stories are about the greeting, its DNS records and the client's.
var stories = []story{
	// The cases that this project began with.
	{"206.125.175.2", "EHLO s1.xnnd.com", "accept pass only", ""},
	{
		"206.125.175.2", "EHLO bob.microsoft.com", // no such host, and the client is not theirs
		"reject 550 5.7.1 helo-forged-brand pass +helo-unresolvable +helo-ptr-mismatch +helo-unverified", "",
	},
	{"203.0.113.30", "EHLO mail.microsoft.com", "reject 550 5.7.25 helo-brand-no-ptr permerror", ""},

	// Valid greetings.
	{"203.0.113.10", "EHLO mail.example.org", "accept pass only", ""},
	{"203.0.113.10", "HELO mail.example.org", "accept pass only", ""},
	{"203.0.113.10", "EHLO MAIL.Example.ORG", "accept pass only", ""},
	{"203.0.113.10", "EHLO mail.example.org", "accept pass only", strict},
	{"203.0.113.50", "EHLO classless.example.org", "accept pass only", ""}, // RFC 2317
	{"203.0.113.51", "EHLO alias.example.org", "accept pass only", ""},     // the PTR name is a CNAME

	// No greeting.
	{"203.0.113.10", "", "reject 503 5.5.1 helo-missing pass only", ""},

	// Addresses instead of names: the client's own, and ours.
	{"203.0.113.10", "EHLO 203.0.113.10", "reject 504 5.5.2 helo-bare-ip pass only", ""},
	{"203.0.113.10", "EHLO 0x7f000001", "reject 504 5.5.2 helo-numeric pass only", ""},
	{"203.0.113.10", "EHLO {mx}", "reject 504 5.5.2 helo-bare-ip pass only +helo-own-address", ""},
	{"203.0.113.10", "EHLO [{mx}]", "reject 550 5.7.1 helo-own-address pass only +helo-literal-mismatch", ""},
	{"2001:db8::10", "EHLO [IPv6:{mx6}]", "reject 550 5.7.1 helo-own-address pass", ""},
	{
		"203.0.113.10", "EHLO [192.0.2.25]", "reject 550 5.7.1 helo-own-address pass",
		"[site]\naddresses = [\"192.0.2.25\"]",
	},

	// Literals.
	{"203.0.113.10", "EHLO [203.0.113.10]", "accept pass only", ""},
	{"203.0.113.10", "EHLO [203.0.113.99]", "accept pass only +helo-literal-mismatch", ""},
	{"203.0.113.10", "EHLO [203.0.113.99]", "reject 550 5.7.1 helo-literal-mismatch", strict},
	{"203.0.113.10", "EHLO [203.0.113]", "accept pass only +helo-literal-malformed", ""},
	{"2001:db8::10", "EHLO [IPv6:2001:db8::10]", "accept pass only", ""},
	{"2001:db8::10", "EHLO [IPv6:2001:0DB8:0:0:0:0:0:10]", "accept pass only", ""},
	{"2001:db8::10", "EHLO [IPv6:2001:db8::99]", "accept pass only +helo-literal-mismatch", ""},
	{"2001:db8::10", "EHLO [2001:db8::10]", "accept pass only +helo-literal-malformed", ""}, // no tag
	{"2001:db8::10", "EHLO 2001:db8::10", "reject 504 5.5.2 helo-bare-ip pass only", ""},

	// Our names, and the recipient's domain.
	{"203.0.113.10", "EHLO mx.example.net", "reject 550 5.7.1 helo-own-name pass", ""},
	{"203.0.113.10", "EHLO MX.Example.Net", "reject 550 5.7.1 helo-own-name pass", ""},
	{"203.0.113.10", "EHLO example.net", "reject 550 5.7.1 helo-own-name", site},
	{"203.0.113.10", "EHLO www.example.net", "reject 550 5.7.1 helo-own-name", site},
	{"203.0.113.10", "EHLO example.com" + toCom, "accept pass +helo-rcpt-domain +helo-bare-domain", ""},
	{"203.0.113.10", "EHLO example.com" + toCom, "reject 550 5.7.1 helo-rcpt-domain pass", rcptRejects},
	{"203.0.113.10", "EHLO mail.example.org" + toCom, "accept pass only", rcptRejects},
	{"203.0.113.21", "EHLO example.com" + toCom, "accept pass -helo-rcpt-domain", rcptRejects}, // their host

	// Names that cannot be those of hosts on the Internet.
	{"203.0.113.10", "EHLO friend", "accept pass only +helo-not-fqdn", ""},
	{"203.0.113.10", "EHLO friend", "reject 504 5.5.2 helo-not-fqdn pass -helo-ptr-mismatch", fqdnOnly},
	{"203.0.113.10", "EHLO localhost", "accept pass only +helo-localhost", ""},
	{"203.0.113.10", "EHLO localhost", "reject 550 5.7.1 helo-localhost pass only", fqdnOnly},
	{"203.0.113.10", "EHLO localhost.localdomain", "reject 550 5.7.1 helo-localhost pass", fqdnOnly},
	{
		"203.0.113.10", "EHLO rad.internal",
		"accept pass +helo-reserved-tld -helo-unknown-tld -helo-unresolvable", "",
	},
	{"203.0.113.10", "EHLO rad.internal", "reject 550 5.7.1 helo-reserved-tld", strict},
	{"203.0.113.71", "EHLO under_score.example.org", "reject 501 5.5.2 helo-underscore pass -helo-malformed", ""},
	{"203.0.113.10", "EHLO mail;rules=none", "reject 501 5.5.2 helo-malformed pass", ""},
	{"203.0.113.10", "EHLO mail.example.org <b>&%s", "reject 501 5.5.2 helo-malformed pass", ""},

	// The DNS records of the name.
	{"203.0.113.10", "EHLO gone.example.org", "accept pass +helo-unresolvable -helo-ptr-mismatch", ""},
	{"203.0.113.21", "EHLO loopback.example.org", "reject 550 5.7.1 helo-bogus-address pass", ""},
	{"203.0.113.21", "EHLO private.example.org", "reject 550 5.7.1 helo-bogus-address pass", ""},
	{"203.0.113.10", "EHLO private.example.org", "accept pass only +helo-ip-mismatch", ""}, // of its organization

	// The PTR: another name of the same organization passes, that of another one is marked.
	{"203.0.113.20", "EHLO smtp.example.org", "accept pass only +helo-ip-mismatch", ""},
	{
		"203.0.113.21", "EHLO smtp.example.org",
		"accept pass only +helo-ip-mismatch +helo-ptr-mismatch +helo-unverified", "",
	},
	{"203.0.113.40", "EHLO relay.example.org", "accept pass only", ""},   // one of two confirms
	{"203.0.113.41", "EHLO relay41.example.org", "accept pass only", ""}, // and the other is SERVFAIL
	{"203.0.113.60", "EHLO many1.example.org", "accept pass +ptr-many -ptr-unconfirmed", ""},
	{"203.0.113.70", "EHLO mail.example.org", "accept fail +ptr-reserved +ptr-unconfirmed", ""},

	// No PTR (NXDOMAIN, NODATA), and unconfirmed PTR names: another address, no such name, the other address
	// family only.
	{
		"203.0.113.30", "EHLO noptr.example.org",
		"accept permerror +ptr-missing -ptr-unconfirmed -helo-unverified", "",
	},
	{"203.0.113.30", "EHLO noptr.example.org", "reject 550 5.7.25 ptr-missing permerror", strict},
	{"203.0.113.31", "EHLO nodata.example.org", "accept permerror +ptr-missing -ptr-unconfirmed", ""},
	{
		"203.0.113.32", "EHLO forged.example.org",
		"accept fail +ptr-unconfirmed +helo-unverified -ptr-missing", "",
	},
	{"203.0.113.33", "EHLO mail.example.org", "accept fail +ptr-unconfirmed -ptr-missing", ""},
	{"203.0.113.34", "EHLO mail.example.org", "accept fail +ptr-unconfirmed -ptr-missing", ""},
	{"2001:db8::10", "EHLO mail6.example.org", "accept pass only", ""},
	{"2001:db8::30", "EHLO noptr6.example.org", "accept permerror +ptr-missing -helo-unverified", ""},
	{"2001:db8::32", "EHLO forged.example.org", "accept fail +ptr-unconfirmed -ptr-missing", ""},

	// A DNS failure never makes a rule fail, not even under strict.
	{
		"203.0.113.66", "EHLO servfail.example.org", // the reverse zone is broken
		"accept temperror ?ptr-missing ?ptr-unconfirmed -ptr-missing -ptr-unconfirmed", strict,
	},
	{
		"203.0.113.67", "EHLO silent.example.org", // the reverse zone's server never answers
		"accept temperror ?ptr-missing ?ptr-unconfirmed ?helo-ptr-mismatch -ptr-missing -helo-unverified",
		oneSecond,
	},
	{
		"203.0.113.42", "EHLO unknown.example.org", // the PTR name's zone is broken
		"accept temperror ?ptr-unconfirmed -ptr-missing -ptr-unconfirmed", strict,
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"accept temperror ?ptr-missing ?ptr-unconfirmed ?helo-unresolvable ?helo-unverified", deadDNS,
	},
	{"203.0.113.10", "EHLO mx.example.net", "accept temperror ?helo-own-name ?ptr-missing", deadDNS},
	{"203.0.113.10", "EHLO 0x7f000001", "reject 504 5.5.2 helo-numeric temperror ?ptr-missing", deadDNS},
	{"203.0.113.10", "EHLO mail.example.org", "tempfail 4 temperror", tryLater + deadDNS},

	// A second greeting does not get around the first.
	{
		"203.0.113.10", "EHLO mail.example.org|EHLO mx.example.net",
		"reject 550 5.7.1 helo-own-name pass +helo-changed", "",
	},
	{
		"203.0.113.10", "EHLO mx.example.net|EHLO mail.example.org",
		"reject 550 5.7.1 helo-own-name pass +helo-changed", "",
	},
	{
		"203.0.113.10", "EHLO mx.example.net|MAIL FROM:<a@example.org>|EHLO mail.example.org" + toNet,
		"reject 550 5.7.1 helo-own-name pass +helo-changed", "",
	},
	{"203.0.113.20", "EHLO out.example.org|EHLO smtp.example.org", "accept pass +helo-changed", ""},
	{"203.0.113.10", "EHLO mail.example.org|EHLO mail.example.org", "accept pass only", ""},
	{"203.0.113.10", "EHLO mail.example.org|HELO MAIL.example.org", "accept pass only", ""},

	// Exempt clients.
	{"203.0.113.30", "XCLIENT LOGIN=someone|EHLO friend", "exempt none only", ""},
	{
		"203.0.113.30", "XCLIENT LOGIN=someone|EHLO friend", "reject 504 5.5.2 helo-not-fqdn permerror",
		"[exempt]\nauthenticated = false\n" + fqdnOnly,
	},
	{"127.0.0.1", "EHLO friend", "exempt none only", ""},
	{"203.0.113.30", "EHLO friend", "exempt none only", "[exempt]\nnetworks = [\"203.0.113.0/24\"]"},
	{"203.0.113.10", "EHLO friend", "exempt pass only", allowOrg},                         // a confirmed name
	{"203.0.113.32", "EHLO forged.example.org", "accept fail +ptr-unconfirmed", allowOrg}, // an unconfirmed one

	// The refusal at MAIL.
	{"203.0.113.10", "EHLO friend", "reject 504 5.5.2 helo-not-fqdn pass", "reply_at = \"mail\"\n" + fqdnOnly},
}

const (
	toNet = "|MAIL FROM:<sender@example.org>|RCPT TO:<reader@example.net>|DATA|QUIT"
	toCom = "|MAIL FROM:<sender@example.org>|RCPT TO:<reader@example.com>|DATA|QUIT"

	oneSecond   = `timeout = "1s"`
	strict      = `profile = "strict"`
	fqdnOnly    = "[rules]\nhelo-not-fqdn = \"reject\"\nhelo-localhost = \"reject\"\n" // README's two lines
	tryLater    = "on_dns_error = \"tempfail\"\n"
	site        = "[site]\nnames = [\"example.net\", \".example.net\"]"
	rcptRejects = "[rules]\nhelo-rcpt-domain = \"reject\""
	allowOrg    = "[[allow]]\nname = \".example.org\""
	deadDNS     = oneSecond + "\n[dns]\nservers = [\"198.51.100.66:53\"]"
)
