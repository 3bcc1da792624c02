package sentinel

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"helo-milter/checks"
	"helo-milter/dnscache"
	"helo-milter/dnscache/dnstest"
)

const right = `
example.org.                    SOA ns.example.org. root.example.org. 1 300 300 300 60
mail.example.org.               A    203.0.113.10
mail.example.org.               AAAA 2001:db8::10
10.113.0.203.in-addr.arpa.      PTR  mail.example.org.
0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.org.
`

// world is a DNS that can be changed and broken.
type world struct {
	zone   atomic.Pointer[dnstest.Zone]
	broken atomic.Bool
}

func (w *world) use(zone dnstest.Zone) { w.zone.Store(&zone) }

func (w *world) exchange(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
	if w.broken.Load() {
		return nil, errors.New("broken")
	}
	return w.zone.Load().Reply(query), nil
}

// watch begins a watch by that DNS. edges are what it has called since.
func (w *world) watch(t *testing.T) (watch *Watch, edges *[]string) {
	t.Helper()
	r, err := dnscache.New(dnscache.Config{Servers: []string{"192.0.2.53:53"}, Exchange: w.exchange})
	if err != nil {
		t.Fatal(err)
	}
	judge := &checks.Judge{Policy: checks.NewPolicy(checks.Careful)}
	d := &checks.DNS{Resolver: r, Timeout: 5 * time.Second}
	d.ForClient = func(client netip.Addr, b *checks.Budget) checks.Resolver { return r.Anew(client, b) }
	watch, edges = NewWatch(Every), new([]string)
	watch.OnEdge = func(s Self) {
		word := map[State]string{OK: "ok", Wrong: "wrong"}[s.State]
		*edges = append(*edges, word+" "+s.Client.String())
	}
	watch.Configure(NewObserver(judge, d),
		[]netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")})
	return watch, edges
}

// A zone that is wrong for 30 minutes alarms once and clears once, and a resolver that is broken for 30 minutes never
// alarms, nor clears what is wrong.
func TestHalfAnHour(t *testing.T) {
	good := dnstest.Parse(t, right)
	bad := dnstest.Parse(t, strings.ReplaceAll(right, "A    203.0.113.10", "A    203.0.113.99"))
	const half = 30 * time.Minute
	for _, tt := range []struct{ story, edges string }{
		{"good good bad good good", "wrong 203.0.113.10,ok 203.0.113.10"},
		{"good good broken good good", ""},
		{"good bad broken bad good good", "wrong 203.0.113.10,ok 203.0.113.10"},
		{"good bad broken broken", "wrong 203.0.113.10"},
		{"broken broken good", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			w := &world{}
			watch, edges := w.watch(t)
			w.use(good)
			done := make(chan struct{})
			go func() { defer close(done); watch.Run(ctx) }()
			for word := range strings.SplitSeq(tt.story, " ") {
				w.broken.Store(word == "broken")
				switch word {
				case "good":
					w.use(good)
				case "bad":
					w.use(bad)
				}
				time.Sleep(half)
			}
			cancel()
			<-done
			if got := strings.Join(*edges, ","); got != tt.edges {
				t.Errorf("%s: edges %q, want %q", tt.story, got, tt.edges)
			}
		})
	}
}

// An edge takes two looks that found the same, with any number between them that found nothing out.
func TestEdges(t *testing.T) {
	client := netip.MustParseAddr("203.0.113.10")
	for looks, edges := range map[string]string{
		"oo": "", "w": "", "ww": "w", "wow": "", "owow": "", "ow?w": "w", "o???": "", "owwww": "w", "wwoo": "wo",
		"wwowwo": "w", "ww?o?o": "wo", "?w?w": "w",
	} {
		watch := NewWatch(time.Minute)
		watch.Configure(nil, []netip.Addr{client})
		got := ""
		for _, look := range looks {
			if watch.saw(Self{Client: client, State: map[rune]State{'o': OK, 'w': Wrong}[look]}) {
				got += string(look)
			}
		}
		if got != edges {
			t.Errorf("%s: edges %q, want %q", looks, got, edges)
		}
	}
}
