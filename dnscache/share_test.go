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

// purse is a Budget.
type purse struct {
	mu   sync.Mutex
	left int
}

func (p *purse) Take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	return p.left >= 0
}

// silence is an ExchangeFunc that answers after 20 ms, or 2 s for slow names, but for names under silent
// never.
func silence(t testing.TB) ExchangeFunc {
	return func(ctx context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
		name := query.Question[0].Name
		if strings.HasSuffix(name, ".silent.") {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		time.Sleep(20 * time.Millisecond)
		if strings.HasPrefix(name, "slow") {
			time.Sleep(1980 * time.Millisecond)
		}
		return response(t, query, dns.RcodeSuccess, name+" 60 A 192.0.2.1"), nil
	}
}

// What costs a session something, and what does not. A script has questions, each with the budget that is
// left.
func TestBudget(t *testing.T) {
	const gone = "budget of this session is used up, temporary"
	for _, test := range []struct{ story, script, want string }{
		{"each question costs one", "a b c", "ok:1 ok:0 " + gone + ":0"},
		{"what is cached costs nothing", "a a a b a", "ok:1 ok:1 ok:1 ok:0 ok:0"},
		{"a refusal is not kept", "a b c +4 c", "ok:1 ok:0 " + gone + ":0 ok:3"},
		{"what another asks costs nothing", "a b other:c c", "ok:1 ok:0 ok:0"},
		{"beyond it the answer may be stale", "a b 61s a", "ok:1 ok:0 ok stale, temporary:0"},
		{"a prefetch costs one, too", "a a a a 55s a b 10s a", "ok:1 ok:1 ok:1 ok:1 ok:0 " + gone + ":0 ok:0"},
		{
			"beyond it there is none", "a a a a b 55s a 10s a",
			"ok:1 ok:1 ok:1 ok:1 ok:0 ok:0 ok stale, temporary:0",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var refused []string
			all := newResolver(t, Config{
				Servers: []string{"a:53"}, Exchange: silence(t),
				OnRefused: func(reason string) { refused = append(refused, reason) },
			})
			budget := &purse{left: 2}
			r := all.For(netip.MustParseAddr("203.0.113.1"), budget)
			var got []string
			for step := range strings.FieldsSeq(test.script) {
				if name, ok := strings.CutPrefix(step, "other:"); ok {
					go resolve(t.Context(), all, "A "+name+".example.org")
					synctest.Wait()
				} else if pause, err := time.ParseDuration(step); err == nil {
					time.Sleep(pause)
				} else if step == "+4" {
					budget.left = 4
				} else {
					result := strings.Replace(resolve(t.Context(), r, "A "+step+".example.org"), "192.0.2.1", "ok", 1)
					got = append(got, fmt.Sprintf("%s:%d", result, max(0, budget.left)))
				}
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("%s:\n got %s\nwant %s", test.story, got, test.want)
			}
			n := strings.Count(test.want, gone) + strings.Count(test.want, "stale")
			if got, want := strings.Join(refused, " "), strings.Repeat(" budget", n); " "+got != want && n+len(got) > 0 {
				t.Errorf("%s: refused %q", test.story, got)
			}
			time.Sleep(time.Minute)
		})
	}
}

// Whatever clients in a few networks do, a client elsewhere is served at once.
func TestShareOfPlaces(t *testing.T) {
	for _, test := range []struct {
		story    string
		networks int
		sessions int // of all of them, with 6 silent questions each: a tenth, as of the places
		host     bool
		neighbor bool // the good client is in the first of these networks
	}{
		{"one network", 1, 10, false, false},
		{"one host, and the good one is its neighbor", 1, 10, true, true},
		{"ten networks", 10, 20, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newResolver(t, Config{Servers: []string{"a:53"}, Exchange: silence(t), InFlight: 100})
			stop, end := context.WithCancel(t.Context())
			var running sync.WaitGroup
			for n := range test.sessions * 6 {
				session := n / 6
				addr := netip.AddrFrom4([4]byte{198, 51, byte(session % test.networks), byte(session)})
				if test.host {
					addr = netip.AddrFrom4([4]byte{198, 51, 0, 7})
				}
				running.Go(func() { resolve(stop, r.For(addr, nil), fmt.Sprintf("A n%d.d%d.silent", n%8, n/8)) })
			}
			synctest.Wait()
			good := netip.MustParseAddr("203.0.113.1")
			if test.neighbor {
				good = netip.MustParseAddr("198.51.0.8")
			}
			var took []time.Duration
			for i := range 100 { // in 2 s, while others still wait
				begin := time.Now()
				got := resolve(t.Context(), r.For(good, nil), fmt.Sprintf("A n%d.good%d.com", i, i))
				if got != "192.0.2.1" {
					t.Fatalf("%s: question %d: %s", test.story, i, got)
				}
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			if p99 := took[98]; p99 > 200*time.Millisecond {
				t.Errorf("%s: p99 is %v", test.story, p99)
			}
			inFlight, waiting := r.Load()
			t.Logf("%s: %d in flight, %d wait, p99 %v", test.story, inFlight, waiting, took[98])
			if waiting == 0 {
				t.Errorf("%s: nobody waits", test.story)
			}
			end()
			synctest.Wait()
			if _, waiting := r.Load(); waiting > 0 {
				t.Errorf("%s: %d still wait when nobody does", test.story, waiting)
			}
			running.Wait()
			time.Sleep(5 * time.Second)
		})
	}
}

// Where all places are taken, the next that becomes free is for the network that has the fewest; and somebody
// else's question is not delayed because a network that floods us asked it first.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResolver(t, Config{Servers: []string{"a:53"}, InFlight: 4, Exchange: silence(t)})
		var mu sync.Mutex
		var order []string
		ask := func(client, names string) {
			for name := range strings.FieldsSeq(names) {
				go func() {
					resolve(t.Context(), r.For(netip.MustParseAddr(client), nil), "A "+name)
					mu.Lock()
					defer mu.Unlock()
					order = append(order, name)
				}()
				time.Sleep(100 * time.Millisecond)
			}
		}
		ask("198.51.100.1", "slow1.com slow2.com slow3.com slow4.com want1.com want2.com shared.com")
		ask("203.0.113.1", "shared.com own.com")
		if inFlight, waiting := r.Load(); inFlight != 4 || waiting != 4 {
			t.Errorf("%d in flight, %d wait", inFlight, waiting)
		}
		time.Sleep(3 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		got := strings.Join(order, " ")
		want := "slow1.com shared.com shared.com own.com want1.com want2.com slow2.com slow3.com slow4.com"
		if got != want {
			t.Errorf(" got %s\nwant %s", got, want)
		}
	})
}

// A question that nobody waits for any more does not wait for a place.
func TestWaitEndsWithItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResolver(t, Config{Servers: []string{"a:53"}, InFlight: 1, Exchange: silence(t)})
		go resolve(t.Context(), r, "A a.silent")
		synctest.Wait()
		first, leave := context.WithCancel(t.Context())
		second, leaveToo := context.WithCancel(t.Context())
		go resolve(first, r, "A mx.example.org")
		go resolve(second, r, "A mx.example.org")
		for _, step := range []struct {
			do   func()
			want int
		}{{func() {}, 1}, {leave, 1}, {leaveToo, 0}} {
			step.do()
			synctest.Wait()
			if _, waiting := r.Load(); waiting != step.want {
				t.Errorf("%d wait, want %d", waiting, step.want)
			}
		}
		time.Sleep(5 * time.Second)
	})
}

// Two networks do not take all the room to wait, though the second one asks what the first one waits for, and
// so has it wait in its name.
func TestRoomIsNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResolver(t, Config{Servers: []string{"a:53"}, InFlight: 100, Exchange: silence(t)})
		stop, end := context.WithCancel(t.Context())
		ask := func(client, name string) {
			go resolve(stop, r.For(netip.MustParseAddr(client), nil), "A "+name+".silent")
			synctest.Wait()
		}
		for n := range 400 {
			for host := range 2 {
				ask(fmt.Sprintf("198.51.100.%d", host), fmt.Sprintf("d%d-%d", n, host))
				ask(fmt.Sprintf("203.0.113.%d", host), fmt.Sprintf("d%d-%d", n, host))
			}
		}
		if _, waiting := r.Load(); waiting > 100 { // a quarter of 200 for each
			t.Errorf("%d questions of two networks wait, where 200 may", waiting)
		}
		end()
		time.Sleep(5 * time.Second)
	})
}
