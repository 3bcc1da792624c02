package dnscache

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// scripted is an ExchangeFunc of a server that answers the n-th query as the n-th of words says, and all
// further ones as the last: a TTL, or servfail. It takes 100 ms, and records when it was asked.
type scripted struct {
	t     *testing.T
	words []string
	start time.Time

	mu    sync.Mutex
	asked []string
}

func newScripted(t *testing.T, words string) (*Resolver, *scripted) {
	l := &scripted{t: t, words: strings.Fields(words), start: time.Now()}
	return newResolver(t, Config{Servers: []string{"192.0.2.53:53"}, Exchange: l.exchange}), l
}

func (l *scripted) exchange(_ context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
	l.mu.Lock()
	word := l.words[min(len(l.asked), len(l.words)-1)]
	l.asked = append(l.asked, time.Since(l.start).String())
	l.mu.Unlock()
	time.Sleep(100 * time.Millisecond)
	if word == "servfail" {
		return response(l.t, query, dns.RcodeServerFailure), nil
	}
	return response(l.t, query, dns.RcodeSuccess, query.Question[0].Name+" "+word+" A 192.0.2.1"), nil
}

func (l *scripted) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.asked, " ")
}

// A question that fails is asked again after 1 s, 2 s, 4 s, at most 5 min (RFC 9520 §3.2), however often it
// comes. The words are those of scripted.
func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		story, words string
		every        time.Duration // between lookups
		until        time.Duration
		want         string // when the server is asked
	}{
		{
			"doubled each time", "servfail", 100 * time.Millisecond, 20 * time.Minute,
			"0s 1.1s 3.2s 7.3s 15.4s 31.5s 1m3.6s 2m7.7s 4m15.8s 8m31.9s 13m32s 18m32.1s",
		},
		{
			"a success resets it", "servfail servfail 2 servfail", 100 * time.Millisecond, 10 * time.Second,
			"0s 1.1s 3.2s 5.1s 5.3s 6.4s 8.5s", // 5.1s is a prefetch
		},
		{
			"so does a pause of 5 min", "servfail", 301100 * time.Millisecond, 21 * time.Minute,
			"0s 5m1.1s 10m2.2s 15m3.3s",
		},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, server := newScripted(t, test.words)
				for range test.until / test.every {
					go resolve(t.Context(), r, "A mx.example.org")
					time.Sleep(test.every)
				}
				if got := server.String(); got != test.want {
					t.Errorf("asked at %s\n     want %s", got, test.want)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// The backoff of one question does not affect another.
func TestBackoffIsPerQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newScripted(t, "servfail")
		for _, test := range []struct {
			lookup string
			want   time.Duration
		}{
			{"A a.example.org", time.Second},
			{"A a.example.org", 2 * time.Second},
			{"AAAA a.example.org", time.Second},
			{"A b.example.org", time.Second},
		} {
			var kept time.Duration
			resolve(WithTrace(t.Context(), func(trace Trace) { kept = trace.TTL }), r, test.lookup)
			if kept != test.want {
				t.Errorf("%s: kept for %v, want %v", test.lookup, kept, test.want)
			}
			time.Sleep(time.Second)
		}
	})
}

// All callers that wait for an answer get its failure, and do not ask one after the other.
func TestFailureIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := newScripted(t, "servfail")
		var callers sync.WaitGroup
		for i := range 1000 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond) // some before it fails, some after
				if got, want := resolve(t.Context(), r, "A mx.example.org"), "SERVFAIL, temporary"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
		callers.Wait()
		if got := server.String(); got != "0s" {
			t.Errorf("asked at %s, want once", got)
		}
	})
}

// A popular answer is fetched again in the last tenth of its TTL, and no caller waits for that.
func TestPrefetch(t *testing.T) {
	for _, test := range []struct{ story, words, hits, want string }{
		{"popular", "100 100", "1s 2s 95s 96s 150s", "0s 1m35s"},
		{"from the third hit", "100 100", "95s 96s 97s 98s", "0s 1m37s"},
		{"not popular enough", "100 100", "1s 99s 101s", "0s 1m41s"},
		{"not in the last tenth", "100 100", "1s 2s 3s 80s 90s 101s", "0s 1m41s"},
		{"again and again", "100 100", "1s 2s 95s 96s 97s 190s 191s", "0s 1m35s 3m10s"},
		{"it fails: the old answer stays", "100 servfail 100", "1s 2s 95s 96s 97s 101s", "0s 1m35s 1m41s"},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, server := newScripted(t, test.words)
				resolve(t.Context(), r, "A mx.example.org")
				for moment := range strings.FieldsSeq(test.hits) {
					at, err := time.ParseDuration(moment)
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Until(server.start.Add(at)))
					asked := time.Now()
					if got := resolve(t.Context(), r, "A mx.example.org"); got != "192.0.2.1" {
						t.Errorf("got %s", got)
					}
					if took := time.Since(asked); took > 0 && at < 100*time.Second {
						t.Errorf("waited %v at %v", took, at)
					}
				}
				if got := server.String(); got != test.want {
					t.Errorf("asked at %s\n     want %s", got, test.want)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// Many hits in the last tenth are one query.
func TestPrefetchIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := newScripted(t, "100")
		resolve(t.Context(), r, "A mx.example.org")
		time.Sleep(95 * time.Second)
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() { resolve(t.Context(), r, "A mx.example.org") })
		}
		callers.Wait()
		time.Sleep(time.Minute)
		if got, want := server.String(), "0s 1m35.1s"; got != want {
			t.Errorf("asked at %s, want %s", got, want)
		}
	})
}

// A clock that jumps moves no expiry: time is read from the monotonic clock.
func TestMonotonicTime(t *testing.T) {
	r, _ := newScripted(t, "100")
	if r.start == r.start.Round(0) { // Round strips it, and Since would go by the wall clock
		t.Errorf("%v has no monotonic reading", r.start)
	}
}
