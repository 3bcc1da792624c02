package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// A client greets a hundred times, as often as Postfix lets it (smtpd_junk_command_limit), each time with a
// name whose SPF record has it asked for ten MX records of ten hosts each. It does not make us ask a third
// party thousands of questions: what a session may cause has a budget.
func TestReflector(t *testing.T) {
	t.Parallel()
	const greetings, budget = 100, 60
	var zone strings.Builder
	zone.WriteString("mail.example.org. A 203.0.113.10\n203.0.113.10 PTR mail.example.org.\n")
	for n := range greetings {
		var spf strings.Builder
		for m := range 10 {
			fmt.Fprintf(&spf, " mx:m%d-%d.example.com", n, m)
			for host := range 10 {
				fmt.Fprintf(&zone, "m%d-%d.example.com. MX 10 h%d-%d-%d.example.com.\n", n, m, n, m, host)
				fmt.Fprintf(&zone, "h%d-%d-%d.example.com. A 192.0.2.%d\n", n, m, host, host)
			}
		}
		fmt.Fprintf(&zone, "n%d.example.net. TXT \"v=spf1%s -all\"\n", n, spf.String())
	}
	server := startDNS(t, zone.String())
	l := startLoadTest(t, "unix", fmt.Sprintf("[dns]\nservers = [%q]", server.addr))
	postfix := rig.StartPostfix(t, rig.StartSink(t), rig.PostfixMilter(l.milter.Socket))
	c := rig.Dial(t, client, postfix.Endpoint(client))
	defer c.Close()
	if code := rig.Result(c.Say(greet("EHLO n%d.example.net", 0, greetings), "")); code != 250 {
		t.Fatalf("a greeting got %d", code)
	}
	c.Say(envelope+"|QUIT", "") // waits for the answers
	l.waitFor("helo_milter_connections", "<=", 0)
	before := int64(-1)
	for now := server.queries.Load(); now != before; now = server.queries.Load() { // some may be under way
		before = now
		<-time.After(200 * time.Millisecond)
	}
	t.Logf("%d questions", before)
	const own, again = 4, 2 // the client's own, and a server asked twice
	if before > again*(budget+own) {
		t.Errorf("one session made %d questions", before)
	}
}
