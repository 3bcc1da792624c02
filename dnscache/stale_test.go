package dnscache

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// switchable is an ExchangeFunc of a server that behaves as its word says, and counts its queries.
type switchable struct {
	t       *testing.T
	word    atomic.Value
	queries atomic.Int32
}

func (w *switchable) exchange(ctx context.Context, _, _ string, query *dns.Msg) (*dns.Msg, error) {
	w.queries.Add(1)
	name := query.Question[0].Name
	soa := "example.org. 60 SOA . . 1 1 1 1 60"
	good := []string{name + " 60 A 192.0.2.1"}
	for word, reply := range map[string]struct {
		rcode  int
		answer []string
		soa    string
	}{
		"good":     {dns.RcodeSuccess, good, ""},
		"moved":    {dns.RcodeSuccess, []string{name + " 60 A 192.0.2.2"}, ""},
		"zero":     {dns.RcodeSuccess, []string{name + " 0 A 192.0.2.3"}, ""},
		"nxdomain": {dns.RcodeNameError, nil, soa},
		"nodata":   {dns.RcodeSuccess, nil, soa},
		"no-soa":   {dns.RcodeNameError, nil, ""},
		"servfail": {dns.RcodeServerFailure, nil, ""},
		"late":     {dns.RcodeSuccess, good, ""},
	} {
		if word != w.word.Load() {
			continue
		}
		if word == "late" {
			time.Sleep(3 * time.Second)
		}
		m := response(w.t, query, reply.rcode, reply.answer...)
		if reply.soa != "" {
			m.Ns = response(w.t, query, 0, reply.soa).Answer
		}
		return m, nil
	}
	<-ctx.Done() // silent
	return nil, ctx.Err()
}

// A scenario is a list of "TIME WORD: RESULT", with " after DURATION" if it takes time: what resolve returns
// at that time, while the server behaves as WORD says.
func TestStale(t *testing.T) {
	const gone, stale = "timeout, temporary, timeout", "192.0.2.1 stale, temporary"
	for _, test := range []struct{ story, scenario string }{
		{"the server fails", "0s good: 192.0.2.1; 59s servfail: 192.0.2.1; 60s servfail: " + stale},
		{"it is silent: a caller waits 1.8 s", "0s good: 192.0.2.1; 60s silent: " + stale + " after 1.8s"},
		{"it stays silent: later callers do not wait", "0s good: 192.0.2.1; 60s silent: " + stale +
			" after 1.8s; 66s silent: " + stale + "; 67s silent: " + stale + "; 180s silent: " + stale},
		{"it was silent long ago: a caller waits again", "0s good: 192.0.2.1; 60s silent: " + stale +
			" after 1.8s; 370s silent: " + stale + " after 1.8s"},
		{"it is late", "0s good: 192.0.2.1; 60s late: " + stale + " after 1.8s; 64s silent: 192.0.2.1"},
		{"it recovers", "0s good: 192.0.2.1; 60s servfail: " + stale + "; 60.5s moved: " + stale + "; 61s moved: " +
			stale + "; 61.1s moved: 192.0.2.2"},
		{"for a day", "0s good: 192.0.2.1; 86459s servfail: " + stale + "; 86459.9s servfail: " + stale +
			"; 86460s servfail: SERVFAIL, temporary"},
		{"for a day without questions", "0s good: 192.0.2.1; 86460s silent: " + gone + " after 5s"},
		{"the name is removed", "0s good: 192.0.2.1; 60s nxdomain: NXDOMAIN, not found; " +
			"120s servfail: SERVFAIL, temporary"},
		{"the data is removed", "0s good: 192.0.2.1; 60s nodata: NODATA, not found; " +
			"120s servfail: SERVFAIL, temporary"},
		{"the name is removed, without an SOA record", "0s good: 192.0.2.1; 60s no-soa: NXDOMAIN, not found; " +
			"61s servfail: SERVFAIL, temporary"},
		{"a TTL of 0 is never stale", "0s zero: 192.0.2.3; 0s servfail: SERVFAIL, temporary"},
		{"the TTL becomes 0", "0s good: 192.0.2.1; 60s zero: 192.0.2.3; 61s servfail: SERVFAIL, temporary"},
		{"a negative answer is not served stale", "0s nxdomain: NXDOMAIN, not found; " +
			"60s servfail: SERVFAIL, temporary"},
	} {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &switchable{t: t}
				r := newResolver(t, Config{Servers: []string{"192.0.2.53:53"}, Exchange: w.exchange})
				play(t, r, w, test.scenario)
				time.Sleep(time.Minute) // the queries end
			})
		})
	}
}

func play(t *testing.T, r *Resolver, w *switchable, scenario string) {
	start := time.Now()
	for step := range strings.SplitSeq(scenario, "; ") {
		when, want, _ := strings.Cut(step, ": ")
		var moment, word string
		fmt.Sscan(when, &moment, &word)
		at, err := time.ParseDuration(moment)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(start.Add(at)))
		w.word.Store(word)
		asked := time.Now()
		got := resolve(t.Context(), r, "A mx.example.org")
		if took := time.Since(asked); took > 0 {
			got += " after " + took.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
		synctest.Wait()
	}
}

// A caller whose deadline comes first gets the stale answer then; one that cancels does not.
func TestStaleAtCallerDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &switchable{t: t}
		r := newResolver(t, Config{Servers: []string{"192.0.2.53:53"}, Exchange: w.exchange})
		play(t, r, w, "0s good: 192.0.2.1")
		time.Sleep(time.Minute)
		w.word.Store("silent")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		canceled, giveUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, giveUp)
		var callers sync.WaitGroup
		for _, caller := range []struct {
			ctx  context.Context
			want string
		}{{ctx, "192.0.2.1 stale, temporary"}, {canceled, "canceled, temporary"}} {
			callers.Go(func() {
				if got := resolve(caller.ctx, r, "A mx.example.org"); got != caller.want {
					t.Errorf("got %s, want %s", got, caller.want)
				}
			})
		}
		callers.Wait()
		time.Sleep(time.Minute)
	})
}

// The trace has the failure that made an answer stale.
func TestTraceOfStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &switchable{t: t}
		r := newResolver(t, Config{Servers: []string{"192.0.2.53:53"}, Exchange: w.exchange})
		play(t, r, w, "0s good: 192.0.2.1; 60s servfail: 192.0.2.1 stale, temporary")
		for _, want := range []string{
			"mx.example.org. A 192.0.2.53:53 cache SERVFAIL 1s 0s 192.0.2.1 stale",
			"mx.example.org. A 192.0.2.53:53 cache SERVFAIL 0s 0s 192.0.2.1 stale", // a query is under way
		} {
			resolve(WithTrace(t.Context(), func(trace Trace) {
				if got := line(trace); got != want || !trace.Stale {
					t.Errorf("got  %s, stale %v\nwant %s", got, trace.Stale, want)
				}
			}), r, "A mx.example.org")
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
	})
}
