package dnscache

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counted are the calls of the callbacks, in order.
type counted struct {
	mu    sync.Mutex
	calls []string
}

func (c *counted) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, fmt.Sprintf(format, args...))
}

func (c *counted) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := strings.Join(c.calls, ", ")
	c.calls = nil
	return calls
}

func (c *counted) config() Config {
	return Config{
		OnRequest: func(r CacheResult) { c.add("%v", r) },
		OnAsked: func(a Asked) {
			c.add("%s %s %s %v", a.Type, a.Result, a.Transport, a.Took.Round(100*time.Millisecond))
		},
		OnPassedOver: func(why string) { c.add("passed over: %s", why) },
	}
}

// Each lookup is one request, and each question that went to the servers is counted when it ends.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, calls := &switchable{t: t}, new(counted)
		cfg := calls.config()
		cfg.Servers, cfg.Exchange = []string{"192.0.2.53:53"}, server.exchange
		r := newResolver(t, cfg)
		for _, step := range []struct {
			word, lookup string
			after        time.Duration
			want         string
		}{
			{"good", "A mx.example.org", 0, "A found udp 0s, miss"},
			{"good", "A mx.example.org", 0, "hit"},
			{"servfail", "A mx.example.org", time.Minute, "A servfail udp 0s, stale"},
			{"silent", "A mx.example.org", 2 * time.Second, "stale"}, // it failed lately: nobody waits
			{
				"nxdomain", "TXT none.example.org", 10 * time.Second,
				"A timeout udp 5s, TXT nxdomain udp 0s, miss",
			},
			{"nodata", "TXT none.example.org", 0, "hit"}, // a negative answer is one
			{"nodata", "PTR 192.0.2.9", 0, "PTR nodata udp 0s, miss"},
			{"nodata", "A not..a.name", 0, ""},
			{"silent", "A mx2.example.org", 0, "A timeout udp 5s, miss"},
		} {
			time.Sleep(step.after)
			server.word.Store(step.word)
			resolve(t.Context(), r, step.lookup)
			if got := calls.take(); got != step.want {
				t.Errorf("%s, %s: got %q, want %q", step.word, step.lookup, got, step.want)
			}
		}
		if n := r.Entries(); n != 3 { // a negative answer without its SOA record is not kept
			t.Errorf("%d entries", n)
		}
	})
}

// Messages that are not the reply are counted by what is wrong with them.
func TestPassedOver(t *testing.T) {
	calls := new(counted)
	cfg := calls.config()
	cfg.OnRequest, cfg.OnAsked, cfg.CaseRandomization = nil, nil, CaseOn
	r, _ := resolverOf(t, `
wrong-id.example.org.       A 192.0.2.1
wrong-question.example.org. A 192.0.2.2
garbage-first.example.org.  A 192.0.2.3
lowercase.example.org.      A 192.0.2.4
`, cfg)
	for lookup, want := range map[string]string{
		"A wrong-id.example.org":       "id",
		"A wrong-question.example.org": "content",
		"A garbage-first.example.org":  "content",
		"A lowercase.example.org":      "case",
	} {
		resolve(t.Context(), r, lookup)
		got := strings.Split(calls.take(), ", ")
		if got = slices.Compact(got); len(got) != 1 || got[0] != "passed over: "+want {
			t.Errorf("%s: %q, want %s", lookup, got, want)
		}
	}
}

// Each try is told with its server, and each question with what it is about.
func TestObserveTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, calls := &switchable{t: t}, new(counted)
		r := newResolver(t, Config{
			Servers: []string{"192.0.2.53:53", "192.0.2.54:53"}, Exchange: server.exchange,
			OnTried: func(server string, try Asked) { calls.add("%s %s", server, try.Result) },
			OnAsked: func(a Asked) { calls.add("%s %s", a.Domain, a.Result) },
		})
		for _, step := range []struct{ word, lookup, want string }{
			{"good", "A mx.example.org", "192.0.2.53:53 found, example.org. found"},
			{
				"servfail", "TXT none.example.co.uk", "192.0.2.53:53 servfail, 192.0.2.54:53 servfail, example.co.uk. servfail",
			},
			{"nodata", "PTR 192.0.2.9", "192.0.2.53:53 nodata, 2.0.192.in-addr.arpa. nodata"},
		} {
			server.word.Store(step.word)
			resolve(t.Context(), r, step.lookup)
			if got := calls.take(); got != step.want {
				t.Errorf("%s, %s: got %q, want %q", step.word, step.lookup, got, step.want)
			}
		}
	})
}
