package faults

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"helo-milter/integration/rig"
)

// Clients have hundreds of questions asked of servers that are silent, each with a file of its own, where the
// daemon may have 1024. It says at the start that they do not suffice, and shares them out: the DNS takes
// none that connections need, Accept does not fail, and all mail is judged.
func TestDescriptorsOfDNS(t *testing.T) {
	t.Parallel()
	const files, sessions, greetings = 1024, 30, 20
	server := startDNS(t, "mail.example.org. A 203.0.113.10\n203.0.113.10 PTR mail.example.org.\n")
	l := newLoadTest(t, "unix", strict+fmt.Sprintf("[dns]\nservers = [%q]", server.addr))
	l.milter.Wrap = []string{"prlimit", fmt.Sprintf("--nofile=%d", files)}
	l.milter.Start(t)
	awaitLog(t, l.milter, "set LimitNOFILE of the service, or ulimit -Hn\" open_files=1024", 1)
	s := l.stream(accept + shortTimeouts)
	s.wait(3)
	var strangers sync.WaitGroup
	for n := range sessions {
		stranger := netip.AddrFrom4([4]byte{198, 51, 100, byte(rig.FleetFirst + n)})
		c := rig.Dial(t, stranger, s.postfix.Endpoint(stranger))
		defer c.Close()
		strangers.Go(func() { c.Say(greet("EHLO drop.stranger%d.com", n*greetings, greetings), "") })
	}
	strangers.Wait()
	most := l.files()
	s.wait(5)
	t.Logf("%d of %d files are open", most, files)
	if spare := 100; most > files-spare {
		t.Errorf("%d of %d files are open", most, files)
	}
	if log := l.milter.Log(); strings.Contains(log, "kind=accept") {
		t.Errorf("Accept failed:\n%s", log)
	}
	if messages, passed := s.end(); passed != messages {
		t.Errorf("%d messages bypassed the milter", messages-passed)
	}
}
