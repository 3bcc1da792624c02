package dnscache

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/miekg/dns"
)

func BenchmarkCached(b *testing.B) {
	r, _ := resolverOf(b, zone, Config{})
	for _, lookup := range []struct {
		name string
		do   func() error
	}{
		{"A", func() error { _, err := r.LookupNetIP(b.Context(), "ip4", "mx.example.org"); return err }},
		{"PTR", func() error { _, err := r.LookupAddr(b.Context(), "192.0.2.1"); return err }},
		{"MX", func() error { _, err := r.LookupMX(b.Context(), "example.org"); return err }},
	} {
		b.Run(lookup.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := lookup.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMemory tells the size of an entry: a name of 20 octets with one address, or with none.
func BenchmarkMemory(b *testing.B) {
	const entries = 100_000
	for _, kind := range []string{"address", "NXDOMAIN"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				r := newResolver(b, Config{
					Servers: []string{"192.0.2.53:53"},
					Entries: entries,
					Exchange: func(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
						if kind == "address" {
							return message(b, query, dns.RcodeSuccess, query.Question[0].Name+" 300 A 192.0.2.1"), nil
						}
						m := message(b, query, dns.RcodeNameError)
						m.Ns = append(m.Ns, &dns.SOA{Hdr: dns.RR_Header{Name: ".", Ttl: 300}, Minttl: 300})
						return m, nil
					},
				})
				for i := range entries {
					look(b.Context(), r, fmt.Sprintf("A mx%06d.example.org", i))
				}
				r.cache.CleanUp()
				b.ReportMetric(float64(heap()-before)/float64(r.cache.EstimatedSize()), "B/entry")
			}
		})
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
