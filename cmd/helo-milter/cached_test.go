package main

import (
	"context"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/dnscache"
	"helo-milter/dnscache/dnstest"
)

// cachedWorld has a client without a fault with and without SPF, and one whose HELO is another name.
const cachedWorld = `
1.113.0.203.in-addr.arpa.  300 IN PTR mail.example.org.
mail.example.org.          300 IN A   203.0.113.1
smtp.example.org.          300 IN A   203.0.113.1
smtp.example.org.          300 IN TXT "v=spf1 ip4:203.0.113.0/24 -all"
`

// cached returns what a session of the daemon asks and is judged by, with a DNS that is behind a cache.
func cached(b *testing.B) (*checks.Judge, *checks.DNS) {
	zone := dnstest.Parse(b, cachedWorld)
	resolver, err := dnscache.New(dnscache.Config{
		Servers: []string{"192.0.2.53:53"},
		Exchange: func(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
			return zone.Reply(query), nil
		},
		OnRequest: func(dnscache.CacheResult) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	cfg := &config.Config{DNS: checks.DNS{Timeout: 5 * time.Second}}
	judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
	return judge, cfg.Asking(resolver)
}

// greeted opens a session and greets.
func greeted(judge *checks.Judge, asks *checks.DNS, helo string) *checks.Session {
	client, site := netip.MustParseAddr("203.0.113.1"), checks.Site{Hostname: "mx.example.net"}
	s := judge.Open(context.Background(), asks, client, site)
	s.Greet(checks.ParseHelo(helo))
	return s
}

// BenchmarkCached is a session from CONNECT to the decision when all answers are in the cache: its CPU time
// over all threads, and allocations.
func BenchmarkCached(b *testing.B) {
	for _, helo := range []string{"mail.example.org", "smtp.example.org"} {
		b.Run(helo, func(b *testing.B) {
			judge, asks := cached(b)
			b.ReportAllocs()
			began := used(b)
			for b.Loop() {
				s := greeted(judge, asks, helo)
				s.Mail(time.Time{})
				s.Rcpt("example.net")
				s.Passing()
				s.Decision()
				s.Close()
			}
			b.ReportMetric(float64(used(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// used is the CPU time of the program.
func used(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkIdle is what a session keeps after HELO: of the heap, and of its goroutine's stack, which has the
// frames of the library above.
func BenchmarkIdle(b *testing.B) {
	const sessions = 5000
	judge, asks := cached(b)
	greeted(judge, asks, "mail.example.org").Close()
	for b.Loop() {
		open := make([]*checks.Session, sessions)
		heap, _ := memory()
		for i := range open {
			open[i] = greeted(judge, asks, "mail.example.org")
		}
		after, _ := memory()
		b.ReportMetric(float64(after-heap)/sessions, "heap-B/session")
		for _, s := range open {
			s.Close()
		}
		var left sync.WaitGroup
		end := make(chan struct{})
		_, stacks := memory()
		for range sessions {
			left.Go(func() { idle(judge, asks, end) })
		}
		time.Sleep(100 * time.Millisecond)
		_, deeper := memory()
		b.ReportMetric(float64(deeper-stacks)/sessions, "stack-B/session")
		close(end)
		left.Wait()
	}
}

//go:noinline
func idle(judge *checks.Judge, asks *checks.DNS, end chan struct{}) {
	var above [700]byte
	s := greeted(judge, asks, "mail.example.org")
	defer s.Close()
	<-end
	runtime.KeepAlive(&above)
}

func memory() (heap, stacks uint64) {
	runtime.GC()
	runtime.GC()
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}
