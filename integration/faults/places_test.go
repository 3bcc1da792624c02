package faults

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// Clients of one network greet with names whose servers are silent, so that each question keeps its place
// until its deadline. Clients of another network, of which nothing is cached, are judged meanwhile as fast as
// ever.
func TestPlacesTaken(t *testing.T) {
	t.Parallel()
	const sessions, greetings, others = 17, 20, 30
	var zone strings.Builder
	for n := range others {
		name, addr := fmt.Sprintf("host%d.example.org.", n), fmt.Sprintf("198.51.100.%d", rig.FleetFirst+n)
		fmt.Fprintf(&zone, "%[1]s A %[2]s\n%[2]s PTR %[1]s\n", name, addr)
	}
	server := startDNS(t, zone.String())
	l := startLoadTest(t, "unix", fmt.Sprintf("[dns]\nservers = [%q]", server.addr))
	postfix := rig.StartPostfix(t, rig.StartSink(t), rig.PostfixMilter(l.milter.Socket))
	var strangers sync.WaitGroup
	begin := time.Now()
	for n := range sessions {
		stranger := netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + n)})
		c := rig.Dial(t, stranger, postfix.Endpoint(stranger))
		defer c.Close()
		strangers.Go(func() { c.Say(greet("EHLO drop.stranger%d.com", n*greetings, greetings), "") })
	}
	strangers.Wait()
	t.Logf("%d greetings in %v, %d queries", sessions*greetings, time.Since(begin), server.queries.Load())
	var slowest time.Duration
	for n := range others {
		other := netip.AddrFrom4([4]byte{198, 51, 100, byte(rig.FleetFirst + n)})
		replies := rig.Talk(t, other, postfix.Endpoint(other),
			fmt.Sprintf("EHLO host%d.example.org|%s|QUIT", n, envelope), "")
		if code := rig.Result(replies); code != 250 {
			t.Errorf("%v got %d", other, code)
		}
		slowest = max(slowest, replies[len(replies)-2].Took)
	}
	t.Logf("%d queries; the slowest RCPT of the others took %v", server.queries.Load(), slowest)
	if slowest > 4*200*time.Millisecond { // on a machine at a quarter of the speed
		t.Errorf("the RCPT of a client of another network took %v", slowest)
	}
	awaitLog(t, l.milter, "client=198.51.100.", others)
	if passed := strings.Count(l.milter.Log(), "iprev=pass"); passed != others {
		t.Errorf("%d of %d clients of another network were looked up", passed, others)
	}
}
