package dnscache

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A script has questions ("10 fail", "3 ok": each about a domain of its own, from a network of its own; "99
// evil": failures of one domain; "99 net": failures of one client network, each about a domain of its own; "5
// dead": all servers were down), times in seconds ("at 30") and what becomes of canaries from then on
// ("sings", "dies"; it dies at first). The edges are the calls of OnDegraded, with the second.
func TestBreaker(t *testing.T) {
	for _, test := range []struct{ story, script, want string }{
		{"no questions", "at 100", ""},
		{"too few", "19 fail", ""},
		{"enough", "20 fail", "true@0"},
		{"half", "10 ok, 10 fail", ""},
		{"more than half", "10 ok, 11 fail", "true@0"},
		{"as soon as more than half fail", "100 ok, at 5, 100 fail, at 6, 1 fail", "true@6"},
		{"it ends when they are old", "20 fail, at 29, 0 ok, at 30", "true@0 false@30"},
		{"it ends when too few are left", "10 fail, at 20, 10 fail, at 29, 0 ok, at 30", "true@20 false@30"},
		{"it ends when half are answered", "20 fail, at 3, 19 ok, at 4, 1 ok", "true@0 false@4"},
		{
			"it comes back", "20 fail, at 3, 20 ok, at 9, 1 fail, at 90, 20 fail",
			"true@0 false@3 true@9 false@90 true@90",
		},
		{"it goes on without a gap", "20 fail, at 20, 20 fail, at 40, 20 fail", "true@0"},
		{"one broken domain is ignored", "1000 evil, at 1, 1000 evil", ""},
		{"one broken domain beside others", "16 fail, 1000 evil", "true@0"},
		{"one broken domain does not hide others", "100 ok, 1000 evil, 97 fail", "true@0"},
		{"one broken domain counts four times", "20 ok, 15 fail, 1000 evil", ""},
		{"one broken domain, all the time", "12 ok, 4 evil, at 29, 99 evil, 12 ok, at 31, 99 evil", ""},
		{"all servers down, too few", "19 dead, 0 ok", ""},
		{"all servers down: no domain is to blame", "20 dead", "true@0"},
		{"a flood of domains", "3000 fail, 2999 ok", "true@0"},
		{"one client network is ignored", "1000 net, at 1, 1000 net", ""},
		{"one client network beside others", "16 fail, 1000 net", "true@0"},
		{"the canary sings", "sings, 1000 fail, 99 dead", ""},
		{"it sings, and is believed for 5 s", "sings, 50 fail, dies, at 4, 50 fail, at 5, 0 ok", "true@5"},
		{"the canary recovers first", "50 fail, at 4, sings, 9 fail, at 5, 9 fail", "true@0 false@5"},
		{"what it said of an old time is forgotten", "20 fail, at 40, sings, 30 fail", "true@0 false@40"},
	} {
		got := strings.Join(runBreaker(test.script), " ")
		if got != test.want {
			t.Errorf("%s: edges %q, want %q", test.story, got, test.want)
		}
	}
}

// runBreaker returns the edges.
func runBreaker(script string) (edges []string) {
	var now time.Duration
	var b *breaker
	sings := false
	b = newBreaker(func(degraded bool) {
		edges = append(edges, fmt.Sprintf("%v@%d", degraded, seconds64(now)))
	}, func() { b.hear(now, sings) })
	own := 0
	for step := range strings.SplitSeq(script, ", ") {
		var n int
		var kind string
		if _, err := fmt.Sscanf(step, "at %d", &n); err == nil {
			now = time.Duration(n) * time.Second
			b.degraded(now)
			continue
		}
		if step == "sings" || step == "dies" {
			sings = step == "sings"
			continue
		}
		fmt.Sscanf(step, "%d %s", &n, &kind)
		for range n {
			own++
			network, _ := netip.AddrFrom4([4]byte{10, byte(own >> 8), byte(own)}).Prefix(24)
			from := asked{domain: fmt.Sprintf("d%d.example.", own), network: network}
			switch kind {
			case "dead":
				from = asked{}
			case "evil":
				from.domain = "evil.example."
			case "net":
				from.network = netip.MustParsePrefix("203.0.113.0/24")
			}
			b.record(now, from, kind != "ok", kind == "ok")
		}
	}
	return edges
}

// OnDegraded may use the breaker, and is called again for what that changes.
func TestBreakerReentrant(t *testing.T) {
	var b *breaker
	var edges []bool
	b = newBreaker(func(degraded bool) {
		edges = append(edges, degraded)
		if degraded != b.degraded(0) {
			t.Error("degraded differs from the argument")
		}
		for range 30 {
			b.record(0, asked{domain: "example.org."}, false, true)
		}
	}, func() { b.hear(0, false) })
	for i := range minQuestions {
		b.record(0, asked{domain: fmt.Sprint(i)}, true, false)
	}
	if got, want := fmt.Sprint(edges), "[true false]"; got != want {
		t.Errorf("edges %s, want %s", got, want)
	}
}

func TestDegraded(t *testing.T) {
	for _, test := range []struct {
		story, way, names string
		want              bool
	}{
		{"no answers", "silent", "A mx.d%d.example", true},
		{"no network", "unreachable", "A mx.d%d.example", true},
		{"refusals", "servfail", "A mx.d%d.example", true},
		{"answers", "ok", "A mx.d%d.example", false},
		{"NODATA", "ok", "MX d%d.example", false},
		{"a failure that is cached", "servfail", "A mx.example", false},
		{"a failing domain", "servfail", "A mx%d.example.org", false},
		{"a failing network", "servfail", "PTR 192.0.2.%d", false},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := newFleet(t)
				world.set("a", test.way)
				var edges []bool
				r := newResolver(t, Config{
					Servers: []string{"a:53"}, Exchange: world.exchange, Timeout: time.Second,
					OnDegraded: func(degraded bool) { edges = append(edges, degraded) },
				})
				for i := range 25 {
					name := test.names
					if strings.Contains(name, "%d") {
						name = fmt.Sprintf(name, i)
					}
					resolve(t.Context(), r, name)
				}
				time.Sleep(time.Second) // for the canary
				if got := r.Degraded(); got != test.want {
					t.Errorf("degraded %v, want %v", got, test.want)
				}
				time.Sleep(30 * time.Second)
				if r.Degraded() {
					t.Error("still degraded after 30s")
				}
				want := "[]"
				if test.want {
					want = "[true false]"
				}
				if got := fmt.Sprint(edges); got != want {
					t.Errorf("edges %s, want %s", got, want)
				}
			})
		})
	}
}
