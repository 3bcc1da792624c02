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

// fleet is an ExchangeFunc of servers a, b... whose behaviour can be set: "ok" after 10 ms, "late" after 600
// ms, "silent", "lossy" (silent once, then ok), "unreachable", "servfail", "panic".
type fleet struct {
	t     *testing.T
	start time.Time

	mu    sync.Mutex
	ways  map[string]string // "ok" if there is none
	asked []string          // since the last call of whom
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

// A script sets a server ("a=silent"), waits for milliseconds ("wait 1000"), or asks a new question: "410
// ab" is how many milliseconds that takes and which servers are asked.
func TestHealth(t *testing.T) {
	for _, test := range []struct{ story, script string }{
		{"silent twice: down, and asked last", "a=silent; 410 ab; 410 ab; 10 b; 10 b"},
		{"unreachable twice: down", "a=unreachable; 10 ab; 10 ab; 10 b; 10 b"},
		{"one miss is not enough", "a=silent; 410 ab; a=ok; 10 a; a=silent; 410 ab; a=ok; 10 a"},
		{"SERVFAIL is an answer", "a=servfail; 20 ab; 20 ab; 20 ab"},
		{"a late answer is an answer", "a=late; 410 ab; a=ok; 10 a"},
		{
			"one question probes, after 1 s and 2 s",
			"a=silent; 410 ab; 410 ab; wait 1000; 10 ab; 10 b; wait 1900; 10 b; wait 100; 10 ab",
		},
		{
			"a probe finds it up",
			"a=silent; 410 ab; 410 ab; a=ok; 10 b; wait 1000; 10 ab; 10 a",
		},
		{
			"a probe finds it up, later than the other answers",
			"a=silent; 410 ab; 410 ab; a=late; wait 1000; 10 ab; wait 600; 410 ab",
		},
		{
			"down again",
			"a=silent; 410 ab; 410 ab; a=ok; wait 1000; 10 ab; " +
				"a=silent; 410 ab; 410 ab; 10 b; wait 990; 10 ab",
		},
		{
			"canceled early is not a miss",
			"a=late; b=silent; 600 ab; 600 ab; a=silent; b=ok; wait 1000; 410 ab",
		},
		{"down, but the only one left", "a=silent; 410 ab; 410 ab; a=ok; b=servfail; 20 ab; 10 a"},
		{
			"probed, but the only one left",
			"a=silent; 410 ab; 410 ab; a=late; wait 1000; b=silent; 600 aabb; 600 ab",
		},
		{"all down: asked as if up", "a=silent; b=silent; 5000 aaabbb; 5000 aaabbb; 5000 aaabbb"},
		{"all down, and one comes back", "a=silent; b=silent; 5000 aaabbb; 5000 aaabbb; b=ok; 410 ab; 10 b"},
		{"an answer that causes a panic is an answer", "a=panic; 10 ab; 10 ab; a=ok; 10 a"},
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

// A server that stays down is probed less and less often.
func TestProbeBackoff(t *testing.T) {
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

// Which queries count as unanswered in a row.
func TestUnanswered(t *testing.T) {
	for _, test := range []struct {
		story  string
		events string // "began-now", or the time of an answer
		want   bool   // down
	}{
		{"one after the other", "0-4 4-8", true},
		{"at the same time", "0-4 1-5 2-6 3-7", false},
		{"with an answer between", "0-4 5 6-9", false},
		{"with an answer during the wait", "0-4 6 5-9 9-12", false},
		{"after an answer", "0 1-4 4-9", true},
	} {
		p, u := new(pool), new(upstream)
		for _, event := range strings.Fields(test.events) {
			began, now, missed := strings.Cut(event, "-")
			if !missed {
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
