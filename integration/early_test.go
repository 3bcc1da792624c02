package integration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"helo-milter/dnscache/dnstest"
	"helo-milter/integration/rig"
)

// The lookups run while the client talks: of a name server that takes 600 ms for PTR records, and for the
// addresses of the HELO name, who waits 800 ms after EHLO notices nothing. Postfix keeps what we do not answer
// to itself until something comes that we do, so CONNECT and HELO must be answered.
func TestEarly(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, `
mail.example.org.             A    203.0.113.10
mail.example.org.             TXT  "dnstest" "slow" "A"
10.113.0.203.in-addr.arpa.    PTR  mail.example.org.
10.113.0.203.in-addr.arpa.    TXT  "dnstest" "slow" "PTR"
`)
	const slow = 600 * time.Millisecond // what a lookup takes that begins at RCPT
	someWays(t, func(t *testing.T, w way) {
		t.Parallel()
		milter := rig.StartMilter(t, w.network, fmt.Sprintf("mode = %q\n[dns]\nservers = [%q]", w.mode, dns.Addr()))
		sink := rig.StartSink(t)
		server := rig.Start(t, w.mta, sink, milter.Socket)
		client := netip.MustParseAddr("203.0.113.10")
		replies := rig.Talk(t, client, server.Endpoint(client), "900ms|EHLO mail.example.org|900ms"+toNet, rig.Message)
		s := &session{T: t, way: w, client: client, replies: replies, sink: sink, milter: milter}
		if took := s.reply("RCPT").Took; took >= slow {
			t.Errorf("the reply to RCPT took %v\n%s", took, milter.Log())
		}
		s.header(sink.Wait(t, 1)[0], parseOutcome("accept pass only"))
	})
}
