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

// meter is an ExchangeFunc that takes this long for each query, and counts how many questions are in progress
// at a time.
type meter struct {
	t     *testing.T
	takes time.Duration
	mu    sync.Mutex
	now   map[string]int // queries by name
	most  int            // the greatest len(now)
}

func (m *meter) exchange(ctx context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
	name := query.Question[0].Name
	m.count(name, 1)
	defer m.count(name, -1)
	select {
	case <-time.After(m.takes):
		return response(m.t, query, dns.RcodeSuccess, name+" 300 A 192.0.2.1"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *meter) count(name string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[name] += n; m.now[name] == 0 {
		delete(m.now, name)
	}
	m.most = max(m.most, len(m.now))
}

// resolveMany looks up n names of domain at the same time. It returns the results in the order in which they
// came, with their number and the milliseconds that they took: "8x192.0.2.1@399".
func resolveMany(t *testing.T, r *Resolver, n int, domain string) string {
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

// A domain has an eighth of the free places, and no further ones while 8 of its questions are slow; and it
// does not delay another. Questions are asked 450 ms apart.
func TestPerDomain(t *testing.T) {
	for _, test := range []struct {
		story     string
		answers   time.Duration // take this long
		questions []int
		domain    string
		want      string // of each n questions
		most      int    // at a time, with 8 of the other; 0 if two moments meet
	}{
		{"an eighth of the free places", 399, []int{200}, "example.com", "110x192.0.2.1@399 90x192.0.2.1@798", 118},
		{"subdomains are the same domain", 399, []int{111}, "a.b.example.com", "110x192.0.2.1@399 1x192.0.2.1@798", 118},
		{"a public suffix has many domains", 399, []int{200}, "com", "200x192.0.2.1@399", 208},
		{"7 are slow", 1000, []int{7, 9}, "example.com", "7x192.0.2.1@1000 9x192.0.2.1@1000", 24},
		{"8 are slow", 1000, []int{8, 9}, "example.com", "8x192.0.2.1@1000 9x192.0.2.1@1550", 0},
		{
			"failure after half the timeout", 4000,
			[]int{8, 9},
			"example.com",
			"8x192.0.2.1@4000 9xtoo many questions, temporary@2500", 16,
		},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := &meter{t: t, takes: test.answers * time.Millisecond, now: map[string]int{}}
				r := newResolver(t, Config{Servers: []string{"a:53"}, Exchange: world.exchange})
				var all sync.WaitGroup
				all.Go(func() {
					want := fmt.Sprintf("8x192.0.2.1@%d", test.answers)
					if got := resolveMany(t, r, 8, "example.org"); got != want {
						t.Errorf("the other one: got %s, want %s", got, want)
					}
				})
				synctest.Wait()
				got := make([]string, len(test.questions))
				for i, n := range test.questions {
					all.Go(func() { got[i] = resolveMany(t, r, n, strings.Repeat("m.", i)+test.domain) })
					time.Sleep(450 * time.Millisecond)
				}
				all.Wait()
				if got := strings.Join(got, " "); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				if test.most > 0 && world.most != test.most {
					t.Errorf("%d at a time, want %d", world.most, test.most)
				}
				synctest.Wait()
				if n, held := len(r.flights.limits.domains), r.flights.limits.held; n > 0 || held > 0 {
					t.Errorf("%d domains and %d places are left", n, held)
				}
			})
		})
	}
}

func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := &meter{t: t, takes: hedgeDelay - time.Millisecond, now: map[string]int{}}
		r := newResolver(t, Config{Servers: []string{"a:53"}, InFlight: 3, Exchange: world.exchange})
		want := "3x192.0.2.1@399 3x192.0.2.1@798 2x192.0.2.1@1197"
		if got := resolveMany(t, r, 8, "com"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if world.most != 3 {
			t.Errorf("%d at a time, want 3", world.most)
		}
	})
}

// The failure of a question without a slot is not kept: the next time it may find one. If too many wait
// already, it fails at once.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newFleet(t)
		world.set("a", "silent")
		r := newResolver(t, Config{Servers: []string{"a:53"}, InFlight: 1, Exchange: world.exchange})
		want := "17xtoo many questions, temporary@0 2xtoo many questions, temporary@2500 " +
			"1xtimeout, temporary, timeout@5000"
		if got := resolveMany(t, r, 20, "com"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		world.set("a", "ok")
		answered := 0
		for i := range 20 {
			if resolve(t.Context(), r, fmt.Sprintf("A n%d.com", i)) == "192.0.2.1" {
				answered++
			}
		}
		if answered != 19 { // all but the one that timed out
			t.Errorf("%d are answered the next time, want 19", answered)
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
