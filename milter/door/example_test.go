package door_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"helo-milter/checks"
	"helo-milter/milter/door"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What an adapter does for a session of two messages. Without a DNS, nothing is looked up.
func ExampleSession() {
	cfg := &door.Config{
		Judge: &checks.Judge{
			Policy: checks.NewPolicy(checks.Careful),
			Exempt: &checks.Exemptions{Private: true, Authenticated: true},
		},
		Header:  "X-HELO-Check",
		Log:     slog.New(slog.DiscardHandler),
		Decided: func(d *checks.Decision) { fmt.Println("decided:", d.QueueID, d.Verdict.Want(), d.Did.Outcome()) },
		Ended:   func(class string) { fmt.Println("ended:", class) },
	}
	cfg.Policy.Mode = checks.Enforce
	var transactions door.Transactions
	s := door.New(cfg, &transactions)
	s.Connect(netip.MustParseAddr("203.0.113.1"), "mx.example.net")

	s.Greet("mail.example.org")
	s.Mail("alice@example.org")
	fmt.Println("refused:", s.Rcpt("bob@example.net") != nil)
	s.Marked(s.Value())
	s.Finish("Q1")

	s.Greet("203.0.113.1") // the greeting before counts, too
	s.Mail("alice@example.org")
	reply := s.Rcpt("bob@example.net")
	fmt.Println(reply.Code.Reply, reply.Enhanced)
	fmt.Println("open:", transactions.Open())
	s.Leave()
	// Output:
	// refused: false
	// decided: Q1 accept accept
	// 504 5.5.2
	// open: 1
	// decided:  reject reject
	// ended: judged
}
