package daemon

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/spool"
)

// BenchmarkDecided is all that follows a decision: its line in the log, the metrics and the decision log.
func BenchmarkDecided(b *testing.B) {
	client := netip.MustParseAddr("203.0.113.1")
	found := checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client}}
	host := checks.Host{Name: "mail.example.org", Addrs: found}
	facts := &checks.Facts{
		Client: client, PTR: checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{host}}, PTRCount: 1,
		Greetings: []checks.Greeting{{Helo: checks.ParseHelo("mail.example.org"), A: found}},
	}
	decision := &checks.Decision{
		ID: "abcdefghijklmnopqrstuvwxyz", QueueID: "4b2Xyz", MailFrom: "a@example.org", RcptTo: []string{"b@example.net"},
		Facts: facts, Verdict: checks.NewPolicy(checks.Standard).Decide(checks.Evaluate(facts, nil, "example.net")),
		Time: time.Now(), Took: 12345 * time.Microsecond,
	}
	decision.Header = decision.Verdict.Header(decision.ID, facts)
	for _, bb := range []struct{ name, config string }{
		{"log", ""},
		{"metrics", "[http]\nlisten = \"127.0.0.1:9999\""},
		{"decision_log", "decision_log = \"-\""},
	} {
		b.Run(bb.name, func(b *testing.B) {
			cfg, err := config.Parse("", []byte(bb.config))
			if err != nil {
				b.Fatal(err)
			}
			d := &Daemon{
				lines: newLines(io.Discard, cfg), metrics: newMetrics(), decisions: spool.New(io.Discard, nil),
			}
			defer d.lines.Close(time.Second)
			defer d.decisions.Close(time.Second)
			decided := d.serving(&change{cfg: cfg}).Decided
			b.ReportAllocs()
			for b.Loop() {
				decided(decision)
			}
		})
	}
}
