package dnscache

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A panic in any goroutine is the failure of one question, and calls OnPanic once. The next question may
// have an answer.
func TestPanic(t *testing.T) {
	const answered, failed = "192.0.2.1", "internal error, temporary"
	for _, test := range []struct {
		story, script, want string
		panics              int
	}{
		{"in the answer of one server", "a=panic ask ask", answered + "; " + answered, 2},
		{"in the answers of all servers", "a=panic b=panic ask a=ok b=ok ask", failed + "; " + answered, 2},
		{
			"in a probe", "a=unreachable ask ask a=panic pause ask",
			strings.Repeat(answered+"; ", 2) + answered, 1,
		},
		{
			"in OnDegraded, called by the canary",
			"a=unreachable b=unreachable" + strings.Repeat(" ask", 20) + " pause a=ok b=ok ask",
			strings.Repeat("no route to host, temporary; ", 20) + answered, 1,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			panics := 0
			world := newFleet(t)
			r := newResolver(t, Config{
				Servers: []string{"a:53", "b:53"}, Exchange: world.exchange,
				OnDegraded: func(degraded bool) {
					if degraded {
						panic("in OnDegraded")
					}
				},
				OnPanic: func(_ any, stack []byte) {
					mu.Lock()
					defer mu.Unlock()
					if panics++; !strings.Contains(string(stack), "_test.go") {
						t.Errorf("%s: not the stack of the panic:\n%s", test.story, stack)
					}
				},
			})
			var got []string
			for i, step := range strings.Fields(test.script) {
				if host, way, ok := strings.Cut(step, "="); ok {
					world.set(host, way)
				} else if step == "pause" {
					time.Sleep(minPause)
				} else {
					result := resolve(t.Context(), r, fmt.Sprintf("A mx.d%d.example", i))
					got = append(got, strings.TrimPrefix(result, "udp: "))
				}
			}
			synctest.Wait() // for the probe
			if got := strings.Join(got, "; "); got != test.want || panics != test.panics {
				t.Errorf("%s:\n got %s\nwant %s, %d panics", test.story, got, test.want, panics)
			}
		})
	}
}

// OnRefused is called from the timer of a question that has waited too long, too: it panics, and the next
// question is answered.
func TestPanicInOnRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := 0
		r := newResolver(t, Config{
			Servers: []string{"a:53"}, InFlight: 1, Exchange: silence(t),
			OnRefused: func(string) { panic("in OnRefused") },
			OnPanic:   func(any, []byte) { panics++ },
		})
		go resolve(t.Context(), r, "A a.silent")
		synctest.Wait()
		if got := resolve(t.Context(), r, "A b.example.org"); got != "internal error, temporary" || panics != 1 {
			t.Errorf("%s, %d panics", got, panics)
		}
		time.Sleep(5 * time.Second)
		if got := resolve(t.Context(), r, "A c.example.org"); got != "192.0.2.1" {
			t.Error(got)
		}
	})
}
