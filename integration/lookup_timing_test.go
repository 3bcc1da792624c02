package integration

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/dnscache/dnstest"
	"helo-milter/integration/rig"
)

// The lookups start at CONNECT and HELO and run while the client talks: a name server that takes 600 ms for
// PTR records and for the addresses of the HELO name does not delay a client that waits 900 ms after each.
// Postfix buffers events that the milter does not answer until there is one that it does, so CONNECT and HELO
// must be answered.
//
// One reply of several has to be fast: a machine with much else to do may hold up any.
func TestLookupTiming(t *testing.T) {
	t.Parallel()
	const attempts = 3
	zone := ""
	for n := range attempts {
		zone += strings.ReplaceAll(`
mail{n}.example.org.             A    203.0.113.1{n}
mail{n}.example.org.             TXT  "dnstest" "slow" "A"
1{n}.113.0.203.in-addr.arpa.     PTR  mail{n}.example.org.
1{n}.113.0.203.in-addr.arpa.     TXT  "dnstest" "slow" "PTR"
`, "{n}", fmt.Sprint(n))
	}
	dns := dnstest.Start(t, zone)
	const slow = 600 * time.Millisecond // what a lookup would take that starts at RCPT
	pairwiseHosts(t, func(t *testing.T, v variant) {
		t.Parallel()
		milter := rig.StartMilter(t, v.socket(), fmt.Sprintf("mode = %q\n[dns]\nservers = [%q]", v.mode, dns.Addr()))
		sink := rig.StartSink(t)
		server := rig.Start(t, v.mta, sink, milter.Socket)
		for n := range attempts { // each with a client that is not in the cache
			client := netip.MustParseAddr(fmt.Sprint("203.0.113.1", n))
			script := fmt.Sprintf("900ms|EHLO mail%d.example.org|900ms", n) + toNet
			replies := rig.Talk(t, client, server.Endpoint(client), script, rig.Message)
			s := &session{T: t, variant: v, client: client, replies: replies, sink: sink, milter: milter}
			s.checkHeader(sink.Wait(t, n+1)[n], parseOutcome("accept pass only"))
			took := s.reply("RCPT").Took
			if took < slow {
				return
			}
			t.Logf("the reply to RCPT took %v", took)
		}
		t.Errorf("each reply to RCPT took %v or more\n%s", slow, milter.Log())
	})
}
