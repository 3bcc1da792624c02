package dnscache

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// roundTrip is what a question takes about a zone that answers.
const roundTrip = 20 * time.Millisecond

// wideWeb is an ExchangeFunc. Each host with an address in 192.0.2.0/24 has a name in example.org, and all
// names exist; what has "tarpit" in it, and the reverse zone of 198.51.0.0/16, is answered as tarpit does.
type wideWeb struct {
	t      *testing.T
	tarpit func(ctx context.Context, began time.Duration) error
	start  time.Time
}

func (w *wideWeb) exchange(ctx context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
	name := query.Question[0].Name
	if strings.Contains(name, "tarpit") || strings.HasSuffix(name, ".51.198.in-addr.arpa.") {
		if err := w.tarpit(ctx, time.Since(w.start)); err != nil {
			return nil, err
		}
	} else {
		time.Sleep(roundTrip)
	}
	host, reverse := strings.CutSuffix(name, ".2.0.192.in-addr.arpa.")
	text := map[uint16]string{dns.TypeA: "192.0.2.1", dns.TypeAAAA: "2001:db8::1", dns.TypeTXT: "v=spf1"}
	data := text[query.Question[0].Qtype]
	if query.Question[0].Qtype == dns.TypePTR {
		if data = "mx.example.com."; reverse {
			data = "mx" + host + ".example.org."
		}
	}
	return response(w.t, query, dns.RcodeSuccess,
		fmt.Sprintf("%s 300 %s %s", name, dns.TypeToString[query.Question[0].Qtype], data)), nil
}

// silent never answers.
func silent(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// session asks what a session of the client asks that greets with helo, and returns how long it takes: the
// PTR name and then its addresses, and with that the addresses and the SPF record of the HELO name.
func session(ctx context.Context, r *Resolver, client, helo string) time.Duration {
	begin := time.Now()
	r = r.For(netip.MustParseAddr(client), nil)
	var all sync.WaitGroup
	all.Go(func() {
		if names, err := r.LookupAddr(ctx, client); err == nil {
			resolve(ctx, r, "A "+names[0])
		}
	})
	for _, qtype := range []string{"A", "AAAA", "TXT"} {
		all.Go(func() { resolve(ctx, r, qtype+" "+helo) })
	}
	all.Wait()
	return time.Since(begin)
}

// The hosts of a big sender, in one network and one domain, do not wait for each other; and clients whose
// zones are slow, in whatever way, hold up nobody else.
func TestSlowZone(t *testing.T) {
	long := func(ctx context.Context, _ time.Duration) error {
		select {
		case <-time.After(10 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, test := range []struct {
		story  string
		tarpit func(ctx context.Context, began time.Duration) error
		helo   string // of client %d
		client string // of 250 networks with two hosts each
		most   int    // places that the zone takes
	}{
		{"10 s for an answer", long, "mx.d%d.tarpit.example", "2001:db8:%x::%x", 111},
		{"a zone that was fast, and is silent now", func(ctx context.Context, began time.Duration) error {
			if began < 2*time.Second {
				return nil
			}
			return silent(ctx, 0)
		}, "mx.d%d.tarpit.example", "2001:db8:%x::%x", 111},
		{"the reverse zone of a provider", silent, "mx%d.example.net", "198.51.%d.%d", 500},
	} {
		synctest.Test(t, func(t *testing.T) {
			world := &wideWeb{t: t, tarpit: test.tarpit, start: time.Now()}
			r := newResolver(t, Config{Servers: []string{"a:53"}, Exchange: world.exchange})
			stop, end := context.WithCancel(t.Context())
			var slow sync.WaitGroup
			for n := range 500 {
				slow.Go(func() {
					for i := 0; stop.Err() == nil; i++ {
						session(stop, r, fmt.Sprintf(test.client, n/2, n%2), fmt.Sprintf("s%d-"+test.helo, i, n))
						time.Sleep(2 * time.Second)
					}
				})
			}
			var others, same, unlike []time.Duration
			most := 0
			for n := range 5 { // for longer than the slow questions have
				time.Sleep(1500 * time.Millisecond)
				inFlight, _ := r.Load()
				most = max(most, inFlight)
				for host := range 25 {
					client, helo := fmt.Sprintf("203.0.%d.%d", n, host), fmt.Sprintf("mx.d%d-%d.com", n, host)
					others = append(others, session(t.Context(), r, client, helo))
				}
				same = append(same, sixteen(t, r, 32*n, "mx%d.example.org")...)
				unlike = append(unlike, sixteen(t, r, 32*n+16, "out%d.example.org")...)
			}
			end()
			slow.Wait()
			time.Sleep(6 * time.Second)
			if p99 := quantile(others, 99); p99 > 200*time.Millisecond {
				t.Errorf("%s: p99 of other zones is %v", test.story, p99)
			}
			if p50 := quantile(same, 50); 100*p50 > 115*roundTrip {
				t.Errorf("%s: p50 of 16 sessions of a sender is %v", test.story, p50)
			}
			if p95 := quantile(unlike, 95); 100*p95 > 215*roundTrip {
				t.Errorf("%s: p95 of 16 sessions with another HELO is %v", test.story, p95)
			}
			if most > test.most {
				t.Errorf("%s: it takes %d places, want at most %d", test.story, most, test.most)
			}
		})
	}
}

// sixteen returns how long sessions of 16 clients in 192.0.2.0/24 take at the same time.
func sixteen(t *testing.T, r *Resolver, first int, helo string) []time.Duration {
	took := make([]time.Duration, 16)
	var all sync.WaitGroup
	for i := range took {
		n := first + i
		all.Go(func() { took[i] = session(t.Context(), r, fmt.Sprintf("192.0.2.%d", n), fmt.Sprintf(helo, n)) })
	}
	all.Wait()
	return took
}

func quantile(took []time.Duration, percent int) time.Duration {
	slices.Sort(took)
	return took[(len(took)-1)*percent/100]
}
