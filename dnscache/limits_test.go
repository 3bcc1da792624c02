package dnscache

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// meter is an ExchangeFunc that takes 399 ms for each query, just less than it takes to be asked
// again, and knows how many came at the same time.
type meter struct {
	t  *testing.T
	mu sync.Mutex
	at map[string]int // by domain, "" for all
	up map[string]int // the most of it
}

func (c *meter) exchange(ctx context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
	name := query.Question[0].Name
	c.count(name, 1)
	defer c.count(name, -1)
	select {
	case <-time.After(hedgeDelay - time.Millisecond):
		return response(c.t, query, dns.RcodeSuccess, name+" 300 A 192.0.2.1"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *meter) count(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, domain := range []string{orgDomain(name), ""} {
		c.at[domain] += n
		c.up[domain] = max(c.up[domain], c.at[domain])
	}
}

// lookMany looks up n names of domain at the same time. It returns the results in the order of the
// milliseconds they took, with how often each came: "8x192.0.2.1@399".
func lookMany(t *testing.T, r *Resolver, n int, domain string) string {
	var callers sync.WaitGroup
	var mu sync.Mutex
	var order []string
	times := map[string]int{}
	start := time.Now()
	for i := range n {
		callers.Go(func() {
			got := resolve(t.Context(), r, fmt.Sprintf("A n%d.%s", i, domain))
			got += fmt.Sprintf("@%d", time.Since(start).Milliseconds())
			mu.Lock()
			defer mu.Unlock()
			if times[got]++; times[got] == 1 {
				order = append(order, got)
			}
		})
	}
	callers.Wait()
	for i, result := range order {
		order[i] = fmt.Sprintf("%dx%s", times[result], result)
	}
	return strings.Join(order, " ")
}

// One domain is asked about as much as it may be, and another one does not notice.
func TestPerDomain(t *testing.T) {
	for _, test := range []struct {
		story     string
		questions int
		domain    string
		want      string
		most      int // at a time, with 8 of the other
	}{
		{"8 for a domain", 20, "example.com", "8x192.0.2.1@399 8x192.0.2.1@798 4x192.0.2.1@1197", 16},
		{"fewer", 7, "example.com", "7x192.0.2.1@399", 15},
		{"its hosts are one domain", 9, "a.b.example.com", "8x192.0.2.1@399 1x192.0.2.1@798", 16},
		{"a public suffix is none", 20, "com", "20x192.0.2.1@399", 28},
		{
			"who waits too long is told", 70, "example.com",
			"8x192.0.2.1@399 8x192.0.2.1@798 8x192.0.2.1@1197 " +
				"8x192.0.2.1@1596 8x192.0.2.1@1995 8x192.0.2.1@2394 14xtoo many questions, temporary@2500 " +
				"8x192.0.2.1@2793",
			16,
		},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := &meter{t: t, at: map[string]int{}, up: map[string]int{}}
				r := newResolver(t, Config{Servers: []string{"a:53"}, Exchange: world.exchange})
				var other sync.WaitGroup
				other.Go(func() {
					if got, want := lookMany(t, r, 8, "example.org"), "8x192.0.2.1@399"; got != want {
						t.Errorf("the other one: got %s, want %s", got, want)
					}
				})
				if got := lookMany(t, r, test.questions, test.domain); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				other.Wait()
				if world.up[""] != test.most {
					t.Errorf("%d at a time, want %d", world.up[""], test.most)
				}
				if n, all := len(r.limits.domains), r.limits.questions; n > 0 || all > 0 {
					t.Errorf("%d domains and %d questions are left behind", n, all)
				}
			})
		})
	}
}

func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := &meter{t: t, at: map[string]int{}, up: map[string]int{}}
		r := newResolver(t, Config{Servers: []string{"a:53"}, InFlight: 3, Exchange: world.exchange})
		want := "3x192.0.2.1@399 3x192.0.2.1@798 2x192.0.2.1@1197"
		if got := lookMany(t, r, 8, "com"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if world.up[""] != 3 {
			t.Errorf("%d at a time, want 3", world.up[""])
		}
	})
}

// A question that found no slot is not kept: in the next moment it may find one. Too many do not
// even wait.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newFleet(t)
		world.set("a", "silent")
		r := newResolver(t, Config{Servers: []string{"a:53"}, InFlight: 1, Exchange: world.exchange})
		want := "9xtoo many questions, temporary@0 10xtoo many questions, temporary@2500 " +
			"1xtimeout, temporary, timeout@5000"
		if got := lookMany(t, r, 20, "com"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		world.set("a", "ok")
		answered := 0
		for i := range 20 {
			if resolve(t.Context(), r, fmt.Sprintf("A n%d.com", i)) == "192.0.2.1" {
				answered++
			}
		}
		if answered != 19 { // all but the one that was asked
			t.Errorf("%d are answered in the next moment, want 19", answered)
		}
	})
}

func TestOrgDomain(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"mx.a.example.org.", "example.org."},
		{"example.org.", "example.org."},
		{"mx.example.co.uk.", "example.co.uk."},
		{"co.uk.", "co.uk."},
		{"org.", "org."},
		{".", "."},
		{"mx.example.", "mx.example."}, // an unknown suffix is one label
		{`a\.b.example.org.`, "example.org."},
		{"1.2.0.192.in-addr.arpa.", "2.0.192.in-addr.arpa."},
		{"1.0-31.2.0.192.in-addr.arpa.", "2.0.192.in-addr.arpa."}, // RFC 2317
		{"192.in-addr.arpa.", "192.in-addr.arpa."},
		{"in-addr.arpa.", "in-addr.arpa."},
		{
			"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
			"0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		},
	} {
		if got := orgDomain(test.name); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
