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

// What an MTA writes on TCP after a frame that was not answered waits, by Nagle's algorithm, for the
// acknowledgement, and the kernel delays that by 40 ms (TCP_DELACK_MIN). That is one stall a message in
// Postfix, and one for almost every command in Sendmail, which writes macros and command apart. With ours
// none does; with go-milter alone, in the sessions between, some do.
func TestNoStall(t *testing.T) {
	const rounds = 11
	for _, mta := range rig.Programs {
		t.Run(mta, func(t *testing.T) {
			t.Parallel()
			sink, client := rig.StartSink(t), netip.MustParseAddr(good)
			servers := map[string]rig.MTA{
				"unix": rig.Start(t, mta, sink, rig.StartMilter(t, "unix", "").Socket),
				"inet": rig.Start(t, mta, sink, rig.StartMilter(t, "inet", "").Socket),
				"bare": rig.Start(t, mta, sink, startBare(t, rig.Noop(""))),
			}
			// What a busy machine does to one series it does not do to the next.
			var ours, bare []string
			for try := 0; try == 0 || try < 5 && (len(ours) > 0 || len(bare) == 0); try++ {
				times := map[string]*[6][]time.Duration{"unix": {}, "inet": {}, "bare": {}} // of each command
				for range rounds {
					for way, server := range servers {
						replies := rig.Talk(t, client, server.Endpoint(client), "EHLO mail.example.org"+toNet, rig.Message)
						if got := codes(replies); got != "220 250 250 250 354 250 221" {
							t.Fatalf("%s: %s\n%s", way, got, server.Log())
						}
						for i, reply := range replies[:6] {
							times[way][i] = append(times[way][i], reply.Took)
						}
					}
				}
				ours, bare = stalls(times["inet"], times["unix"]), stalls(times["bare"], times["unix"])
			}
			if len(ours) > 0 {
				t.Errorf("over TCP these stall: %v", ours)
			}
			if len(bare) == 0 {
				t.Error("nothing stalls with go-milter alone: this test shows nothing")
			}
		})
	}
}

// stalls names the commands that take longer than others by most of a stall, in the median of the sessions.
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

// startBare starts a milter on TCP without our guard.
func startBare(t *testing.T, server *gomilter.Server) (socket string) {
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
