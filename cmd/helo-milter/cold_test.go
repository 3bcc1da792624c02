package main

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"helo-milter/checks"
	"helo-milter/dnscache"
	"helo-milter/dnscache/dnstest"
)

// BenchmarkCold is how long a session waits for its facts when nothing is cached and the DNS answers after
// 20 ms, in round trips to it. CONNECT and HELO come at once: a real client gives us time between them.
func BenchmarkCold(b *testing.B) {
	const rtt = 20 * time.Millisecond
	zone := dnstest.Parse(b, `
1.113.0.203.in-addr.arpa.  300 IN PTR mail.example.org.
mail.example.org.          300 IN A   203.0.113.1
smtp.example.org.          300 IN A   203.0.113.1
smtp.example.org.          300 IN TXT "v=spf1 a -all"
`)
	far := func(ctx context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
		select {
		case <-time.After(rtt):
			return zone.Reply(query), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for _, helo := range []string{"mail.example.org", "smtp.example.org"} {
		b.Run("PTR mail.example.org HELO "+helo, func(b *testing.B) {
			var took []float64
			for b.Loop() {
				resolver, err := dnscache.New(dnscache.Config{Servers: []string{"192.0.2.53:53"}, Exchange: far})
				if err != nil {
					b.Fatal(err)
				}
				begin := time.Now()
				checks.Lookup(b.Context(), &checks.DNS{Resolver: resolver, Timeout: 5 * time.Second},
					netip.MustParseAddr("203.0.113.1"), checks.Site{}, checks.ParseHelo(helo))
				took = append(took, float64(time.Since(begin))/float64(rtt))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "RTT-p50")
			b.ReportMetric(took[len(took)*95/100], "RTT-p95")
		})
	}
}
