package integration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"helo-milter/dnscache/dnstest"
	"helo-milter/integration/rig"
)

// The lookups start at CONNECT and HELO and run while the client talks: a name server that takes 600 ms for
// PTR records and for the addresses of the HELO name does not delay a client that waits 900 ms after each.
// Postfix buffers events that the milter does not answer until there is one that it does, so CONNECT and HELO
// must be answered.
func TestLookupTiming(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, `
mail.example.org.             A    203.0.113.10
mail.example.org.             TXT  "dnstest" "slow" "A"
10.113.0.203.in-addr.arpa.    PTR  mail.example.org.
10.113.0.203.in-addr.arpa.    TXT  "dnstest" "slow" "PTR"
`)
	const slow = 600 * time.Millisecond // what a lookup would take that starts at RCPT
	pairwiseHosts(t, func(t *testing.T, v variant) {
		t.Parallel()
		milter := rig.StartMilter(t, v.socket(), fmt.Sprintf("mode = %q\n[dns]\nservers = [%q]", v.mode, dns.Addr()))
		sink := rig.StartSink(t)
		server := rig.Start(t, v.mta, sink, milter.Socket)
		client := netip.MustParseAddr("203.0.113.10")
		const script = "900ms|EHLO mail.example.org|900ms" + toNet
		replies := rig.Talk(t, client, server.Endpoint(client), script, rig.Message)
		s := &session{T: t, variant: v, client: client, replies: replies, sink: sink, milter: milter}
		if took := s.reply("RCPT").Took; took >= slow {
			t.Errorf("the reply to RCPT took %v\n%s", took, milter.Log())
		}
		s.checkHeader(sink.Wait(t, 1)[0], parseOutcome("accept pass only"))
	})
}
