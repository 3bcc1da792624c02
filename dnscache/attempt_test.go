package dnscache

import (
	"testing"
	"testing/synctest"
	"time"
)

// An attempt is answered from what is fresh in the cache, and counts once, if nothing was missed.
func TestAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, calls := &switchable{t: t}, new(counted)
		cfg := calls.config()
		cfg.Servers, cfg.Exchange = []string{"192.0.2.53:53"}, server.exchange
		r := newResolver(t, cfg)
		server.word.Store("good")
		try := func(lookups ...string) (last string, kept bool) {
			a := r.Attempt()
			for _, lookup := range lookups {
				last = resolve(t.Context(), &a.Resolver, lookup)
			}
			return last, a.Keep()
		}
		hits := func() uint32 { return r.peek(question{"mx.example.org.", 1}).hits.Load() }

		if got, kept := try("A mx.example.org"); got != "not cached, temporary" || kept {
			t.Errorf("nothing is cached: %s, %v", got, kept)
		}
		if got := calls.take(); got != "" {
			t.Errorf("an attempt that is given up counts: %s", got)
		}
		resolve(t.Context(), r, "A mx.example.org")
		calls.take()

		got, kept := try("A MX.example.org.")
		if counted := calls.take(); got != "192.0.2.1" || !kept || counted != "hit" || hits() != 1 {
			t.Errorf("cached: %s, %v, %s, %d hits", got, kept, counted, hits())
		}
		if _, kept := try("A mx.example.org", "A mx2.example.org"); kept || calls.take() != "" || hits() != 1 {
			t.Errorf("given up after a hit: %v, %d hits", kept, hits())
		}
		if got, kept := try("A mx2.example.org", "A mx.example.org"); got != "not cached, temporary" || kept {
			t.Errorf("after a miss: %s, %v", got, kept)
		}
		if got, kept := try("A not..a.name"); got != "not a DNS name, not found" || !kept || calls.take() != "" {
			t.Errorf("no name: %s, %v", got, kept)
		}
		ctx := WithTrace(t.Context(), func(Trace) { t.Error("an attempt has a trace") })
		a := r.Attempt()
		if resolve(ctx, &a.Resolver, "A mx.example.org"); a.Keep() {
			t.Error("a lookup that is traced is an attempt")
		}

		resolve(t.Context(), r, "A mx.example.org")
		time.Sleep(r.peek(question{"mx.example.org.", 1}).expires - r.now() - time.Second)
		calls.take()
		if _, kept := try("A mx.example.org"); kept || hits() != 2 || calls.take() != "" {
			t.Errorf("the prefetch is due: %v, %d hits", kept, hits())
		}
		resolve(t.Context(), r, "A mx.example.org")
		synctest.Wait()
		if got := calls.take(); got != "hit, A found udp 0s" && got != "A found udp 0s, hit" {
			t.Errorf("the lookup that follows does not prefetch: %s", got)
		}
		time.Sleep(time.Hour)
		if got, kept := try("A mx.example.org"); got != "not cached, temporary" || kept {
			t.Errorf("expired: %s, %v", got, kept)
		}
	})
}
