package integration

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/integration/rig"
)

// After a frame that the milter does not answer, Nagle's algorithm makes the MTA's next write on TCP wait for
// an ACK, which the kernel delays by 40 ms (TCP_DELACK_MIN). That would be one stall per message with
// Postfix, and one for almost every command with Sendmail, which writes macros and command separately. With
// our guard there is none; with go-milter alone, in interleaved sessions, there are some.
func TestNoDelayedACK(t *testing.T) {
	const rounds = 11
	for _, mta := range rig.MTAs {
		t.Run(mta, func(t *testing.T) {
			t.Parallel()
			sink, client := rig.StartSink(t), netip.MustParseAddr(good)
			servers := map[string]rig.MTA{
				"unix": rig.Start(t, mta, sink, rig.StartMilter(t, "unix", "").Socket),
				"inet": rig.Start(t, mta, sink, rig.StartMilter(t, "inet", "").Socket),
				"bare": rig.Start(t, mta, sink, startUnguarded(t, rig.Noop(""))),
			}
			// A busy machine may spoil one series of measurements, hardly all of them.
			var ours, bare []string
			for try := 0; try == 0 || try < 5 && (len(ours) > 0 || len(bare) == 0); try++ {
				times := map[string]*[6][]time.Duration{"unix": {}, "inet": {}, "bare": {}} // of each command
				for range rounds {
					for name, server := range servers {
						replies := rig.Talk(t, client, server.Endpoint(client), "EHLO mail.example.org"+toNet, rig.Message)
						if got := codes(replies); got != "220 250 250 250 354 250 221" {
							t.Fatalf("%s: %s\n%s", name, got, server.Log())
						}
						for i, reply := range replies[:6] {
							times[name][i] = append(times[name][i], reply.Took)
						}
					}
				}
				ours, bare = stalls(times["inet"], times["unix"]), stalls(times["bare"], times["unix"])
			}
			if len(ours) > 0 {
				t.Errorf("stalls over TCP: %v", ours)
			}
			if len(bare) == 0 {
				t.Error("no stalls with go-milter alone: this test shows nothing")
			}
		})
	}
}

// stalls returns the commands whose median time exceeds that of others by more than half of a delayed ACK.
func stalls(times, others *[6][]time.Duration) (names []string) {
	for i, name := range []string{"connect", "EHLO", "MAIL", "RCPT", "DATA", "end of message"} {
		if median(times[i])-median(others[i]) > 25*time.Millisecond {
			names = append(names, name)
		}
	}
	return names
}

func median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}

// startUnguarded starts a milter on TCP without our guard.
func startUnguarded(t *testing.T, server *gomilter.Server) (socket string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return "inet:" + ln.Addr().String()
}
