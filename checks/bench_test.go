package checks_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"helo-milter/checks"
)

// BenchmarkSession is a client without a fault, from CONNECT to the header, with a DNS that answers at once.
func BenchmarkSession(b *testing.B) {
	dns := &checks.DNS{Resolver: parseZone(world), Timeout: time.Second}
	policy := checks.NewPolicy(checks.Standard)
	client := netip.MustParseAddr("203.0.113.1")
	b.ReportAllocs()
	for b.Loop() {
		l := checks.NewLookups(context.Background(), dns, client, checks.Site{})
		l.Greet(checks.ParseHelo("mail.example.org"))
		facts := l.Facts()
		findings := checks.Evaluate(facts, nil, "example.net")
		verdict := policy.Judge(findings)
		policy.Header("id", facts, findings, &verdict)
		l.Close()
	}
}
