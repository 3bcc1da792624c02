package faults

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"helo-milter/integration/rig"
)

// While the DNS is silent, clients, each of another network, greet again and again, each time with another
// name. The questions that wait take no more memory than limitsPage says, however many one session causes and
// however many sessions there are, and are gone with them.
func TestWaitingQuestions(t *testing.T) {
	for name, tt := range map[string]struct{ sessions, greetings int }{
		"many sessions": {60, 100},
		"one session":   {1, 5000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newMemoryTest(t, fmt.Sprintf("[dns]\nservers = [%q, %q, %q]", silent(t), silent(t), silent(t)))
			l.milter.Start(t)
			base := l.milter.Memory(t, "VmRSS")
			all := make([]*rig.FrameConn, tt.sessions)
			var running sync.WaitGroup
			for n := range all {
				all[n] = l.dialFrames(1, "")[0]
				running.Go(func() {
					err := all[n].Greet(fmt.Sprintf("2001:db8:%x::1", n), "mail.example.org") // a network each
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
			if most := l.promised(`with the DNS or wait: at most .* (\d+) MB`) * 1e6 / (1 << 20); held-base > most {
				t.Errorf("%d sessions of %d greetings take %.0f MiB, more than %.0f", tt.sessions, tt.greetings,
					held-base, most)
			}
			hangUp(all)
			l.waitFor("helo_milter_connections", "<=", 0)
			l.waitFor("go_goroutines", "<=", 200)
			l.waitFor("process_open_fds", "<=", 40)
		})
	}
}

// silent returns the address of a DNS server that never answers.
func silent(t *testing.T) string {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server.LocalAddr().String()
}
