package dnscache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// fleet is an ExchangeFunc of servers a, b... that change while they are asked: "ok" after 10 ms,
// "late" after 600 ms, "silent", "lossy" (silent once, then ok), "unreachable", "servfail", "panic".
type fleet struct {
	t     *testing.T
	start time.Time

	mu    sync.Mutex
	ways  map[string]string // "ok" where there is none
	asked []string          // since somebody looked
	times map[string][]time.Duration
}

func newFleet(t *testing.T) *fleet {
	return &fleet{t: t, start: time.Now(), ways: map[string]string{}, times: map[string][]time.Duration{}}
}

func (f *fleet) exchange(ctx context.Context, _, server string, query *dns.Msg) (*dns.Msg, error) {
	host, _, _ := strings.Cut(server, ":")
	f.mu.Lock()
	way := f.ways[host]
	if way == "lossy" {
		delete(f.ways, host)
	}
	f.asked = append(f.asked, host)
	f.times[host] = append(f.times[host], time.Since(f.start))
	f.mu.Unlock()

	wait, rcode := 10*time.Millisecond, dns.RcodeSuccess
	switch way {
	case "late":
		wait = 600 * time.Millisecond
	case "silent", "lossy":
		wait = time.Hour
	case "unreachable":
		return nil, errors.New("no route to host")
	case "servfail":
		rcode = dns.RcodeServerFailure
	case "panic":
		panic("what is this?")
	}
	select {
	case <-time.After(wait):
		return response(f.t, query, rcode, query.Question[0].Name+" 300 A 192.0.2.1"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fleet) set(host, way string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ways[host] = way
}

// whom returns the hosts asked since the last call, sorted.
func (f *fleet) whom() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.asked)
	whom := strings.Join(f.asked, "")
	f.asked = nil
	return whom
}

// A script sets a server ("a=silent"), waits ("wait 1000") or asks a new question, and tells how many
// milliseconds it takes and who is asked ("410 ab").
func TestHealth(t *testing.T) {
	for _, test := range []struct{ story, script string }{
		{"one that is down is asked last", "a=silent; 410 ab; 410 ab; 10 b; 10 b"},
		{"or does not exist", "a=unreachable; 10 ab; 10 ab; 10 b; 10 b"},
		{"one loss is none", "a=silent; 410 ab; a=ok; 10 a; a=silent; 410 ab; a=ok; 10 a"},
		{"who says no is up", "a=servfail; 20 ab; 20 ab; 20 ab"},
		{"who is late is up", "a=late; 410 ab; a=ok; 10 a"},
		{
			"one question probes",
			"a=silent; 410 ab; 410 ab; wait 1000; 10 ab; 10 b; wait 1900; 10 b; wait 100; 10 ab",
		},
		{
			"and finds it well",
			"a=silent; 410 ab; 410 ab; a=ok; 10 b; wait 1000; 10 ab; 10 a",
		},
		{
			"though it is the slower one",
			"a=silent; 410 ab; 410 ab; a=late; wait 1000; 10 ab; wait 600; 410 ab",
		},
		{
			"one that is down again",
			"a=silent; 410 ab; 410 ab; a=ok; wait 1000; 10 ab; " +
				"a=silent; 410 ab; 410 ab; 10 b; wait 990; 10 ab",
		},
		{
			"who had no time to answer is up",
			"a=late; b=silent; 600 ab; 600 ab; a=silent; b=ok; wait 1000; 410 ab",
		},
		{"the last resort", "a=silent; 410 ab; 410 ab; a=ok; b=servfail; 20 ab; 10 a"},
		{
			"a probe that is the last resort",
			"a=silent; 410 ab; 410 ab; a=late; wait 1000; b=silent; 600 aabb; 600 ab",
		},
		{"all down: asked as ever", "a=silent; b=silent; 5000 aaabbb; 5000 aaabbb; 5000 aaabbb"},
		{"and one comes back", "a=silent; b=silent; 5000 aaabbb; 5000 aaabbb; b=ok; 410 ab; 10 b"},
		{"who says what we cannot bear is up", "a=panic; 10 ab; 10 ab; a=ok; 10 a"},
		{"a lost datagram beside one that is down", "a=silent; 410 ab; 410 ab; b=lossy; 410 abb"},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := newFleet(t)
				r := newResolver(t, Config{Servers: []string{"a:53", "b:53"}, Exchange: world.exchange})
				for i, step := range strings.Split(test.script, "; ") {
					if host, way, ok := strings.Cut(step, "="); ok {
						world.set(host, way)
					} else if text, ok := strings.CutPrefix(step, "wait "); ok {
						ms, _ := strconv.Atoi(text)
						time.Sleep(time.Duration(ms) * time.Millisecond)
					} else if got := askNew(t, r, world, i); got != step {
						t.Errorf("step %d: got %s, want %s", i, got, step)
					}
				}
				time.Sleep(minPause) // for the probes
			})
		})
	}
}

func askNew(t *testing.T, r *Resolver, world *fleet, i int) string {
	began := time.Now()
	resolve(t.Context(), r, fmt.Sprintf("A n%d.example.org", i))
	synctest.Wait()
	return fmt.Sprintf("%d %s", time.Since(began).Milliseconds(), world.whom())
}

// One that stays down is probed less and less.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newFleet(t)
		world.set("a", "silent")
		r := newResolver(t, Config{Servers: []string{"a:53", "b:53"}, Exchange: world.exchange})
		for i := range 1200 {
			resolve(t.Context(), r, fmt.Sprintf("A n%d.example.org", i))
			time.Sleep(90 * time.Millisecond)
		}
		var got []string
		times := world.times["a"][maxMisses:]
		for i := range times[1:] {
			got = append(got, fmt.Sprint((times[i+1] - times[i]).Round(time.Second)))
		}
		if got, want := strings.Join(got, " "), "2s 4s 8s 16s 30s 30s"; got != want {
			t.Errorf("probes after %s, want %s", got, want)
		}
		time.Sleep(minPause)
	})
}

// What counts as lost in a row.
func TestLost(t *testing.T) {
	for _, test := range []struct {
		story  string
		events string // "began-now", or the time of an answer
		want   bool   // down
	}{
		{"one after the other", "0-4 4-8", true},
		{"at the same time", "0-4 1-5 2-6 3-7", false},
		{"with an answer between", "0-4 5 6-9", false},
		{"with an answer while it was waited for", "0-4 6 5-9 9-12", false},
		{"after an answer", "0 1-4 4-9", true},
	} {
		p, u := new(pool), new(upstream)
		for _, event := range strings.Fields(test.events) {
			began, now, lost := strings.Cut(event, "-")
			if !lost {
				p.answered(u, at(began))
				continue
			}
			p.unanswered(u, at(began), at(now))
		}
		if down := u.pause > 0; down != test.want {
			t.Errorf("%s: down %v, want %v", test.story, down, test.want)
		}
	}
}

func at(seconds string) time.Duration {
	n, _ := strconv.Atoi(seconds)
	return time.Duration(n) * time.Second
}
