package dnscache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"helo-milter/dnscache/dnstest"
)

// countingResolver returns a resolver whose server takes 100 ms for each reply from zone, and its number of
// queries. change, if not nil, is applied to each reply.
func countingResolver(t *testing.T, zone string, change func(*dns.Msg)) (*Resolver, *atomic.Int32) {
	parsed := dnstest.Parse(t, zone)
	queries := new(atomic.Int32)
	exchange := func(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
		queries.Add(1)
		time.Sleep(100 * time.Millisecond)
		reply := parsed.Reply(query)
		if change != nil {
			change(reply)
		}
		return reply, nil
	}
	return newResolver(t, Config{Servers: []string{"192.0.2.53:53"}, Exchange: exchange}), queries
}

func TestTTL(t *testing.T) {
	const zone = `
$TTL 7200
example.org.            SOA   . . 1 1 1 1 120
short.example.net.      300   SOA . . 1 1 1 1 7200
long.example.net.       SOA   . . 1 1 1 1 7200
strange.example.net.    SOA   . . 1 1 1 1 4294967295
a.example.org.          60    A 192.0.2.1
a.example.org.          30    A 192.0.2.2
day.example.org.        86400 A 192.0.2.3
zero.example.org.       0     A 192.0.2.4
wrapped.example.org.    2147483648 A 192.0.2.5
most.example.org.       2147483647 A 192.0.2.5
alias.example.org.      20    CNAME a.example.org.
alias2.example.org.     CNAME a.example.org.
lost.example.org.       90    CNAME none.example.org.
`
	for _, test := range []struct {
		lookup string
		want   time.Duration
	}{
		{"A a.example.org", 30 * time.Second},           // the least of the RRset
		{"A day.example.org", time.Hour},                // maxTTL
		{"A most.example.org", time.Hour},               //
		{"A zero.example.org", 0},                       // not kept
		{"A wrapped.example.org", 0},                    // RFC 2181 §8
		{"A alias.example.org", 20 * time.Second},       // the least of the chain
		{"A alias2.example.org", 30 * time.Second},      //
		{"A none.example.org", 120 * time.Second},       // NXDOMAIN: the SOA's minimum
		{"AAAA a.example.org", 120 * time.Second},       // NODATA
		{"A lost.example.org", 90 * time.Second},        // the chain is part of the negative answer
		{"A none.short.example.net", 300 * time.Second}, // the SOA's own TTL
		{"A none.long.example.net", 30 * time.Minute},   // maxNegTTL
		{"A none.strange.example.net", 0},               //
	} {
		t.Run(test.lookup, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, queries := countingResolver(t, zone, nil)
				expectKept(t, r, queries, test.lookup, test.want)
			})
		})
	}
}

func TestFailureTTL(t *testing.T) {
	for _, test := range []struct {
		story  string
		change func(*dns.Msg)
		want   time.Duration
	}{
		{"SERVFAIL", func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, failureTTL},
		{"lame", func(m *dns.Msg) { m.RecursionAvailable, m.Ns, m.Rcode = false, nil, 0 }, failureTTL},
		{"an alias with an unknown target", func(m *dns.Msg) {
			alias, _ := dns.NewRR("mx.example.org. 300 CNAME mx.example.net.")
			m.RecursionAvailable, m.Authoritative, m.Ns, m.Rcode = false, true, nil, 0
			m.Answer = []dns.RR{alias}
		}, failureTTL},
		{"no SOA record", func(m *dns.Msg) { m.Ns = nil }, 0},
		{"an SOA record of another zone", func(m *dns.Msg) { m.Ns[0].Header().Name = "example.com." }, 0},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, queries := countingResolver(t, "", test.change)
				expectKept(t, r, queries, "A mx.example.org", test.want)
			})
		})
	}
}

// expectKept looks up just before and when the answer should expire.
func expectKept(t *testing.T, r *Resolver, queries *atomic.Int32, lookup string, want time.Duration) {
	t.Helper()
	resolve(t.Context(), r, lookup)
	if want > 0 {
		time.Sleep(want - time.Nanosecond)
		if resolve(t.Context(), r, lookup); queries.Load() != 1 {
			t.Errorf("%d queries before %v were over, want 1", queries.Load(), want)
		}
		time.Sleep(time.Nanosecond)
	}
	if resolve(t.Context(), r, lookup); queries.Load() != 2 {
		t.Errorf("%d queries after %v, want 2", queries.Load(), want)
	}
}

func TestOneQueryForAll(t *testing.T) {
	for _, lookup := range []string{"A mx.example.org", "A none.example.org", "PTR 192.0.2.1"} {
		t.Run(lookup, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, queries := countingResolver(t, "mx.example.org. 0 A 192.0.2.1", func(m *dns.Msg) {
					if m.Question[0].Qtype == dns.TypePTR {
						m.Rcode = dns.RcodeServerFailure
					}
				})
				var callers sync.WaitGroup
				results := make(chan string, 1000)
				for range cap(results) {
					callers.Go(func() { results <- resolve(t.Context(), r, lookup) })
				}
				callers.Wait()
				first := <-results
				for range cap(results) - 1 {
					if other := <-results; other != first {
						t.Fatalf("one caller got %s, another %s", first, other)
					}
				}
				if queries.Load() != 1 {
					t.Errorf("%d queries, want 1", queries.Load())
				}
			})
		})
	}
}

// One caller cancels, and the other still gets the answer.
func TestCancelIsPerCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, queries := countingResolver(t, "mx.example.org. A 192.0.2.1", nil)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			if got, want := resolve(ctx, r, "A mx.example.org"), "canceled, temporary"; got != want {
				t.Errorf("the first got %s, want %s", got, want)
			}
			if took := time.Since(start); took != time.Millisecond {
				t.Errorf("the first left after %v, want 1ms", took)
			}
		})
		time.Sleep(time.Millisecond)
		cancel()
		if got, want := resolve(t.Context(), r, "A mx.example.org"), "192.0.2.1"; got != want {
			t.Errorf("the second got %s, want %s", got, want)
		}
		callers.Wait()
		if took := time.Since(start); took != 100*time.Millisecond || queries.Load() != 1 {
			t.Errorf("the second waited until %v for %d queries, want 100ms and 1", took, queries.Load())
		}
		resolve(ctx, r, "A other.example.org")
		if queries.Load() != 1 {
			t.Error("asked for a caller whose context had ended before")
		}
	})
}

// A query that no caller waits for any more still fills the cache.
func TestAbandonedQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, queries := countingResolver(t, "mx.example.org. A 192.0.2.1", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got, want := resolve(ctx, r, "A mx.example.org"), "timeout, temporary, timeout"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		time.Sleep(time.Second)
		start := time.Now()
		if got, want := resolve(t.Context(), r, "A mx.example.org"), "192.0.2.1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if took := time.Since(start); took != 0 || queries.Load() != 1 {
			t.Errorf("took %v and %d queries, want the answer from the cache", took, queries.Load())
		}
	})
}

// The weight of an answer is what it takes in memory, which may be much more than its message.
func TestValuesAreBounded(t *testing.T) {
	long := strings.Repeat(strings.Repeat(`\200`, 60)+".", 4) // 245 octets of a message, and 964 of memory
	for _, test := range []struct {
		story, answer string
		records       int
		entries       int // of 100
	}{
		{"addresses", "A 192.0.2.1", 10, 100}, // 240 octets and a name of 15
		{"more addresses", "A 192.0.2.1", 11, 50},
		{"texts", "TXT " + strings.Repeat("x", 216), 1, 100},
		{"longer texts", "TXT " + strings.Repeat("x", 218), 1, 50},
		{"long names", "NS " + long, 10, 2},
		{"long hosts", "MX 1 " + long, 10, 2},
		{"more than there is room for", "NS " + long, 30, 0},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exchange := func(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
					record := query.Question[0].Name + " 300 " + test.answer
					records := slices.Repeat([]string{record}, test.records)
					return response(t, query, dns.RcodeSuccess, records...), nil
				}
				r := newResolver(t, Config{Servers: []string{"192.0.2.53:53"}, Entries: 100, Exchange: exchange})
				qtype, _, _ := strings.Cut(test.answer, " ")
				for i := range 100 {
					values := resolve(t.Context(), r, fmt.Sprintf("%s %d.example.org", qtype, i))
					if n := len(strings.Fields(values)); n != test.records {
						t.Fatalf("%d values, want all %d", n, test.records)
					}
				}
				synctest.Wait()
				r.cache.CleanUp()
				if n := r.cache.EstimatedSize(); n != test.entries {
					t.Errorf("%d entries, want %d", n, test.entries)
				}
			})
		})
	}
}

func TestEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := dnstest.Parse(t, "")
		r := newResolver(t, Config{
			Servers: []string{"192.0.2.53:53"},
			Entries: 10,
			Exchange: func(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
				return zone.Reply(query), nil
			},
		})
		for i := range 1000 {
			resolve(t.Context(), r, "A "+string(rune('a'+i%26))+string(rune('a'+i/26))+".example.org")
		}
		synctest.Wait()
		r.cache.CleanUp()
		if n := r.cache.EstimatedSize(); n > 10 {
			t.Errorf("%d entries, want at most 10", n)
		}
	})
}
