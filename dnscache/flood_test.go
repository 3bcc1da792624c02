package dnscache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// A flood of distinct names, with any kind of answer, takes no more memory than Config.Entries allows: 512
// octets each.
func TestFloodIsBounded(t *testing.T) {
	const entries, names = 2_000, 20_000
	long := strings.Repeat("a23456789012345678901234567890."[1:], 7) + "example.org."
	for _, flood := range []struct{ story, suffix, answer string }{
		{"names of mail hosts", "mx.example.org.", "address"},
		{"names that do not exist", "mx.example.org.", "NXDOMAIN"},
		{"failures", "mx.example.org.", "SERVFAIL"},
		{"long names", long, "address"},
		{"long names that do not exist", long, "NXDOMAIN"},
		{"many addresses", "mx.example.org.", "addresses"},
	} {
		t.Run(flood.story, func(t *testing.T) {
			before := heap()
			r := flooded(t, entries, flood.answer)
			for i := range names {
				r.readThrough(t.Context(), question{fmt.Sprintf("%08d.%s", i, flood.suffix), dns.TypeA})
			}
			r.cache.CleanUp()
			grown := int64(heap()) - int64(before)
			if n := r.cache.EstimatedSize(); n > entries || n < entries/8 {
				t.Errorf("%d entries, want at most %d, and not much less for short ones", n, entries)
			}
			t.Logf("%d entries, %d octets for each of Config.Entries", r.cache.EstimatedSize(), grown/entries)
			if bound := int64(entries * 512); grown > bound {
				t.Errorf("the heap has grown by %d octets, want at most %d", grown, bound)
			}
			runtime.KeepAlive(r)
		})
	}
}

// The working set stays in the cache during a flood of names that are seen once.
func TestFloodKeepsWorkingSet(t *testing.T) {
	const entries = 1000
	r := flooded(t, entries, "address")
	random := rand.New(rand.NewPCG(1, 2))
	hits, asked := 0, 0
	for i := range 40_000 {
		r.readThrough(t.Context(), question{fmt.Sprintf("once%d.example.org.", i), dns.TypeA})
		if i%4 == 0 { // each comes once in 2000 questions, when an LRU cache has evicted it
			mx := question{fmt.Sprintf("mx%d.example.org.", random.IntN(entries/2)), dns.TypeA}
			if r.readThrough(t.Context(), mx).transport == "cache" {
				hits++
			}
			asked++
		}
	}
	if 100*hits < 70*asked {
		t.Errorf("%d of %d questions about the working set came from the cache, want 70 %%", hits, asked)
	}
}

// BenchmarkFlood reports the memory that a million distinct names take, and the time for one.
func BenchmarkFlood(b *testing.B) {
	const names = 1_000_000
	for b.Loop() {
		before := heap()
		r := flooded(b, *entries, "NXDOMAIN")
		for i := range names {
			r.readThrough(b.Context(), question{fmt.Sprintf("mx%07d.example.org.", i), dns.TypeA})
		}
		r.cache.CleanUp()
		b.ReportMetric(float64(heap()-before)/float64(*entries), "B/Config.Entries")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N+1)/names, "ns/name")
		runtime.KeepAlive(r)
	}
}
