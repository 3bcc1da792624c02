package checks_test

import (
	"net/netip"
	"testing"
	"time"

	"helo-milter/checks"
)

// A recipient's verdict is by its own domain, in whatever order they come; the record has the worst of all, the
// header that of those that were not refused. No recipient changes what was found for another.
func TestRecipients(t *testing.T) {
	facts := &checks.Facts{
		Client: netip.MustParseAddr("203.0.113.9"), PTR: checks.Answer[checks.Host]{Status: checks.Missing},
		Greetings: []checks.Greeting{{Helo: checks.ParseHelo("example.net")}},
	}
	policy := enforcing(checks.Careful)
	policy.Actions[checks.Index("helo-rcpt-domain")] = checks.Reject
	s := (&checks.Judge{Exempt: &checks.Exemptions{}, Policy: policy}).Reopen(facts)
	s.Mail(time.Time{})
	var first, worst []checks.Finding
	for _, domain := range []string{"example.com", "example.com", "example.net", "example.net", "example.com"} {
		v := s.Rcpt(domain)
		if got, want := v.Did() == checks.Reject, domain == "example.net"; got != want {
			t.Errorf("%s: refused %v, want %v", domain, got, want)
		}
		if first == nil {
			first = v.Findings
		}
		worst = s.Findings()
	}
	rule := checks.Index("helo-rcpt-domain")
	passing := s.Passing()
	for what, got := range map[string]checks.Result{
		"first": first[rule].Result, "passing": passing.Findings[rule].Result,
	} {
		if got != checks.Pass {
			t.Errorf("%s: %v", what, got)
		}
	}
	if worst[rule].Result != checks.Fail || s.Decision().Verdict.Rule != &checks.All[rule] {
		t.Errorf("worst: %+v", worst[rule])
	}
}
