package dnscache

import (
	recency "container/list"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/miekg/dns"
)

// entries is the size of the cache that is measured: 1000000 for the figures that the targets are about.
var entries = flag.Int("entries", 100_000, "size of the cache in benchmarks")

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

// answers fill in a reply without zone text, fast enough for floods.
var answers = map[string]func(m *dns.Msg, name string){
	"address": func(m *dns.Msg, name string) {
		h := dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 3600}
		m.Answer = []dns.RR{&dns.A{Hdr: h, A: net.IP{192, 0, 2, 1}}}
	},
	"NXDOMAIN": func(m *dns.Msg, _ string) {
		m.Rcode = dns.RcodeNameError
		h := dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 3600}
		m.Ns = []dns.RR{&dns.SOA{Hdr: h, Minttl: 3600}}
	},
	"SERVFAIL": func(m *dns.Msg, _ string) { m.Rcode = dns.RcodeServerFailure },
	"addresses": func(m *dns.Msg, name string) {
		h := dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 3600}
		for range 40 {
			m.Answer = append(m.Answer, &dns.A{Hdr: h, A: net.IP{192, 0, 2, 1}})
		}
	},
}

// flooded returns a resolver of this many entries whose server gives one of answers to all questions.
func flooded(t testing.TB, entries int, answer string) *Resolver {
	return newResolver(t, Config{
		Servers: []string{"192.0.2.53:53"},
		Entries: entries,
		Exchange: func(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
			m := new(dns.Msg).SetReply(query)
			m.RecursionAvailable = true
			answers[answer](m, query.Question[0].Name)
			return m, nil
		},
	})
}

// BenchmarkBytesPerEntry reports the size of an entry with a name of 20 octets and one address, or NXDOMAIN,
// compared with a map of the same data. The target is 200.
func BenchmarkBytesPerEntry(b *testing.B) {
	for _, answer := range []string{"address", "NXDOMAIN"} {
		b.Run(answer, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				r := flooded(b, *entries, answer)
				for i := range *entries {
					resolve(b.Context(), r, fmt.Sprintf("A mx%07d.example.org", i))
				}
				r.cache.CleanUp()
				b.ReportMetric(float64(heap()-before)/float64(r.cache.EstimatedSize()), "B/entry")
				runtime.KeepAlive(r)
			}
		})
	}
	b.Run("anchor: a map", func(b *testing.B) {
		for b.Loop() {
			before := heap()
			all := map[question]*entry{}
			for i := range *entries {
				q := question{fmt.Sprintf("mx%07d.example.org.", i), dns.TypeA}
				all[q] = &entry{answer: answer{result: []string{"192.0.2.1"}}}
			}
			b.ReportMetric(float64(heap()-before)/float64(len(all)), "B/entry")
			runtime.KeepAlive(all)
		}
	})
}

// BenchmarkHitRatio reports how many questions about names with a Zipf distribution are answered from the
// cache, while as many names come once only, as spammers' names do. The target is 78 %. It is compared with
// an LRU cache of the same size.
func BenchmarkHitRatio(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		r := flooded(b, *entries, "address")
		measureHits(b, func(q question) bool { return r.readThrough(b.Context(), q).transport == "cache" })
	})
	b.Run("anchor: LRU", func(b *testing.B) {
		recent := &lru{entries: *entries, order: recency.New(), places: map[question]*recency.Element{}}
		measureHits(b, recent.find)
	})
}

func measureHits(b *testing.B, find func(question) bool) {
	requests := 10 * *entries
	for b.Loop() {
		// so many that an LRU cache comes to about 72 %
		names := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, uint64(5**entries))
		hits := 0
		for i := range requests {
			find(question{fmt.Sprintf("once%d.example.org.", i), dns.TypeA})
			if find(question{fmt.Sprintf("mx%d.example.org.", names.Uint64()), dns.TypeA}) && i >= requests/2 {
				hits++ // once the cache is full
			}
		}
		b.ReportMetric(100*float64(hits)/float64(requests/2), "%hits")
	}
}

// lru is a simple LRU cache of questions.
type lru struct {
	entries int
	order   *recency.List
	places  map[question]*recency.Element
}

func (l *lru) find(q question) bool {
	place, ok := l.places[q]
	if ok {
		l.order.MoveToFront(place)
		return true
	}
	l.places[q] = l.order.PushFront(q)
	if len(l.places) > l.entries {
		delete(l.places, l.order.Remove(l.order.Back()).(question))
	}
	return false
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkTurn reports what it costs to hand on a place that has become free when as many questions wait as
// may, of clients in 200 networks.
func BenchmarkTurn(b *testing.B) {
	const places = 1000
	l := newLimits(places)
	of := func(n int) place {
		client := netip.AddrFrom4([4]byte{198, 51, byte(n % 200), byte(n / 200)})
		p := placeFor(fmt.Sprintf("d%d.com.", n), client)
		l.open(&p)
		return p
	}
	var held []*place
	for n := range places {
		p := of(n)
		l.take(&p, 0)
		held = append(held, &p)
	}
	for n := range waitersPerPlace * places {
		l.wait(&flight{place: of(places + n)})
	}
	for i := 0; b.Loop(); i = (i + 1) % places {
		l.release(held[i])
		f := l.next(0)
		if l.next(0) != nil {
			b.Fatal("two places for one")
		}
		held[i] = &f.place
		p := of(places + i)
		l.wait(&flight{place: p})
	}
}
