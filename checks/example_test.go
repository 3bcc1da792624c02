package checks_test

import (
	"fmt"
	"net/netip"
	"time"

	"helo-milter/checks"
)

// One client is judged from facts, step by step: its address has no PTR record, and it said EHLO friend.
func Example() {
	facts := &checks.Facts{
		Client:    netip.MustParseAddr("203.0.113.9"),
		PTR:       checks.Answer[checks.Host]{Status: checks.Missing},
		Greetings: []checks.Greeting{{Helo: checks.ParseHelo("friend")}},
	}
	findings := checks.Evaluate(facts, nil, "example.net")
	verdict := checks.NewPolicy(checks.Strict).Decide(findings)
	fmt.Println(verdict.Want(), "because of", verdict.Rule.Name)
	fmt.Println("failed:", verdict.Failed())
	fmt.Println(verdict.Reply(facts, "4afq7n", time.Now(), &checks.Help{}))
	// Output:
	// reject because of helo-not-fqdn
	// failed: helo-not-fqdn,ptr-missing
	// 504 5.5.2 HELO "friend" from 203.0.113.9: the HELO name is a single label, not a full host name. Set the mail server's HELO name to its full public host name, such as mail.example.org. Rule: helo-not-fqdn Id: 4afq7n
}

// A session whose facts were recorded takes the same way as one of a daemon, with exemptions, and without DNS.
func ExampleJudge_Reopen() {
	recorded := &checks.Facts{
		Client:    netip.MustParseAddr("10.0.0.1"),
		Greetings: []checks.Greeting{{Helo: checks.ParseHelo("printer")}},
	}
	judge := &checks.Judge{
		Exempt: &checks.Exemptions{Private: true},
		Policy: checks.NewPolicy(checks.Careful),
	}
	s := judge.Reopen(recorded)
	s.Mail(time.Date(2026, 11, 10, 8, 0, 0, 0, time.UTC))
	s.Rcpt("example.net")
	decision := s.Decision()
	fmt.Println(decision.Verdict.Want(), decision.Verdict.Exempt)
	// Output:
	// exempt private
}
