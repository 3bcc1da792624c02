package faults

import (
	"fmt"
	"sync"
	"testing"

	"helo-milter/integration/rig"
)

// While the DNS is silent, clients greet again and again, each time with another name. The questions that
// wait are bounded, however many one session causes and however many sessions there are, and are gone with
// them.
func TestWaitingQuestions(t *testing.T) {
	const most = 80.0 // MiB: wide enough for a machine that others use meanwhile
	for name, tt := range map[string]struct{ sessions, greetings int }{
		"many sessions": {60, 100},
		"one session":   {1, 5000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newMemoryTest(t, fmt.Sprintf("[dns]\nservers = [%q]", rig.DeadResolver))
			l.milter.Start(t)
			base := l.milter.Memory(t, "VmRSS")
			all := make([]*rig.FrameConn, tt.sessions)
			var running sync.WaitGroup
			for n := range all {
				all[n] = l.dialFrames(1, "")[0]
				running.Go(func() {
					err := all[n].Greet(fmt.Sprintf("203.0.113.%d", n), "mail.example.org")
					for i := 0; i < tt.greetings && err == nil; i++ {
						err = all[n].Say(rig.Frame('H', fmt.Sprintf("host.stranger%d-%d.com\x00", n, i)), "c")
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			running.Wait()
			held, goroutines := l.milter.Memory(t, "VmHWM"), l.metric("go_goroutines")
			t.Logf("%.0f MiB, then at most %.0f, with %v goroutines", base, held, goroutines)
			if held > most {
				t.Errorf("%d sessions of %d greetings take %.0f MiB", tt.sessions, tt.greetings, held)
			}
			hangUp(all)
			l.waitFor("helo_milter_connections", "<=", 0)
			l.waitFor("go_goroutines", "<=", 200)
			l.waitFor("process_open_fds", "<=", 40)
		})
	}
}
