package integration

import (
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// policyStories are about profiles, actions, scores and the allow list.
var policyStories = []story{
	// Profiles, and single rules on top of them.
	{"203.0.113.10", "EHLO friend", "accept pass only +helo-not-fqdn", careful},
	{"203.0.113.10", "EHLO mail;rules=none", "accept pass only +helo-malformed", careful},
	{"203.0.113.21", "EHLO private.example.org", "accept pass +helo-bogus-address", careful},
	{"203.0.113.10", "EHLO localhost", "accept pass only +helo-localhost", careful},
	{"203.0.113.10", "EHLO localhost", "reject 550 5.7.1 helo-localhost pass only", strict},
	{
		"203.0.113.10", "EHLO friend",
		"reject 504 5.5.2 helo-not-fqdn pass only", careful + notFQDN + `"reject"`,
	},
	{"203.0.113.10", "EHLO friend", "tempfail 450 4.5.2 helo-not-fqdn pass only", notFQDN + `"tempfail"`},
	{"203.0.113.10", "EHLO friend", "accept pass only score=1.2 +helo-not-fqdn", notFQDN + `"mark"`},
	{"203.0.113.10", "EHLO friend", "accept pass only score=0.0", notFQDN + `"off"`},
	{"203.0.113.71", "EHLO under_score.example.org", "accept pass +helo-underscore", careful},
	{"203.0.113.10", "EHLO gone.example.org", "reject 550 5.7.1 helo-unresolvable pass only", strict},
	{
		"203.0.113.32", "EHLO mail.example.org",
		"reject 550 5.7.25 ptr-unconfirmed fail +helo-unverified", strict,
	},
	{"203.0.113.20", "EHLO smtp.example.org", "accept pass only +helo-ip-mismatch", strict},

	// The sum of the scores refuses where no rule does, with the reply of the rule with the highest score,
	// the first one of a tie.
	{"203.0.113.21", "EHLO smtp.example.org", "accept pass score=2.0", "[scores]" + sum2},
	{
		"203.0.113.21", "EHLO smtp.example.org",
		"reject 550 5.7.1 helo-unverified pass score=2.0", rejectAt + "2.0" + sum2,
	},
	{"203.0.113.21", "EHLO smtp.example.org", "accept pass score=2.0", rejectAt + "2.1" + sum2},
	{
		"203.0.113.21", "EHLO smtp.example.org",
		"tempfail 450 4.7.1 helo-unverified pass", tempfailAt + "1" + sum2,
	},
	{"203.0.113.21", "EHLO smtp.example.org", "accept pass", tempfailAt + "3\nreject_at = 3" + sum2},
	{
		"203.0.113.21", "EHLO smtp.example.org",
		"reject 550 5.7.1 helo-unverified pass", tempfailAt + "1\nreject_at = 2" + sum2,
	},
	{
		"203.0.113.21", "EHLO smtp.example.org",
		"reject 550 5.7.1 helo-ip-mismatch pass score=1.1", rejectAt + "1" + strings.Replace(sum2, "1.0", "0.1", 1),
	},
	{
		"203.0.113.21", "EHLO smtp.example.org", // a rule that is off does not count
		"accept pass only +helo-ip-mismatch +helo-ptr-mismatch score=1.0", rejectAt + "2" + sum2 + unverified,
	},
	{
		"203.0.113.80", "EHLO mail.example.org",
		"reject 550 5.7.25 ptr-dynamic pass", rejectAt + "2\nptr-dynamic = 2.0",
	},
	{
		"203.0.113.10", "EHLO friend", // the stricter action counts
		"reject 504 5.5.2 helo-not-fqdn pass", tempfailAt + "1\n" + fqdnOnly,
	},
	{"203.0.113.10", "EHLO mail.example.org", "accept pass only score=0.0", rejectAt + "0.1"},
	{
		"203.0.113.66", "EHLO servfail.example.org", // nor do unsure rules
		"accept temperror score=0.0", rejectAt + "0.1",
	},

	// The allow list: until its date is over, and never by the HELO.
	{
		"203.0.113.10", "EHLO friend",
		"reject 504 5.5.2 helo-not-fqdn pass", allow24 + "until = 2020-12-31\n" + fqdnOnly,
	},
	{"203.0.113.10", "EHLO friend", "exempt pass only", allow24 + "until = 2099-12-31"},
	{"203.0.113.10", "EHLO friend", "exempt pass only", allow24 + "until = 2099-12-31T12:00:00Z"},
	{"203.0.113.30", "EHLO friend", "exempt permerror only", allow24},
	{"203.0.113.10", "EHLO friend", "exempt pass only", allow24 + "name = \".example.org\""},
	{
		"203.0.113.30", "EHLO friend",
		"reject 504 5.5.2 helo-not-fqdn permerror", allow24 + "name = \".example.org\"\n" + fqdnOnly,
	},
	{
		"2001:db8::10", "EHLO friend",
		"reject 504 5.5.2 helo-not-fqdn pass", allow24 + "name = \".example.org\"\n" + fqdnOnly,
	},
	{"203.0.113.30", "EHLO mail.example.org", "accept permerror +ptr-missing", allowMail},
	{"203.0.113.33", "EHLO mail.example.org", "accept fail +ptr-unconfirmed", allowMail},
	{
		"203.0.113.21", "EHLO mail.example.org", // another confirmed name
		"accept pass +helo-ptr-mismatch", allowMail,
	},
	{ // a failed lookup leaves open whether it is allowed
		"203.0.113.66", "EHLO 0x7f000001", "accept temperror ?allow +helo-numeric", allowMail,
	},
	{"203.0.113.66", "EHLO 0x7f000001", "tempfail 451 4.4.3 temperror ?allow", tryLater + allowMail},
	{"203.0.113.10", "EHLO friend", "exempt pass only", allowMail},
	{"203.0.113.10", "EHLO friend", "exempt pass only", allowMail + deny("network 203.0.113.0/24")},
}

const (
	careful    = "profile = \"careful\"\n"
	notFQDN    = "[rules]\nhelo-not-fqdn = "
	unverified = "\n[rules]\nhelo-unverified = \"off\""
	rejectAt   = "[scores]\nreject_at = "
	tempfailAt = "[scores]\ntempfail_at = "
	sum2       = "\nhelo-ip-mismatch = 0.5\nhelo-ptr-mismatch = 0.5\nhelo-unverified = 1.0"
	allow24    = "[[allow]]\nnetwork = \"203.0.113.0/24\"\n"
	allowMail  = "[[allow]]\nname = \"mail.example.org\"\n"
)

// An expired entry is logged.
func TestExpiredAllow(t *testing.T) {
	t.Parallel()
	config := allow24 + "until = 2020-12-31\nreason = \"a migration\"\n[[allow]]\nname = \"a.example.org\""
	s := variant{"Postfix", "observe", "unix"}.session(t, config, "203.0.113.10", "EHLO friend", rig.Message)
	s.check(parseOutcome("accept pass only +helo-not-fqdn"))
	if log := s.milter.Log(); strings.Count(log, "has expired") != 1 || !strings.Contains(log, "a migration") {
		t.Error(log)
	}
}
