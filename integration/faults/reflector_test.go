package faults

import (
	"fmt"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// A client greets a hundred times, as often as Postfix lets it (smtpd_junk_command_limit), or three times,
// which costs a second with Sendmail, each time with a name whose SPF record has it asked for ten MX records
// of ten hosts each. It does not make us ask a third party thousands of questions: a session has a budget.
func TestReflector(t *testing.T) {
	for mta, greetings := range map[string]int{"Postfix": 100, "Sendmail": 3} {
		t.Run(mta, func(t *testing.T) {
			t.Parallel()
			server := startDNS(t, reflectingZone(greetings))
			l := startLoadTest(t, "unix", fmt.Sprintf("[dns]\nservers = [%q]", server.addr))
			endpoint := rig.Start(t, mta, rig.StartSink(t), l.milter.Socket).Endpoint(client)
			c := rig.Dial(t, client, endpoint)
			defer c.Close()
			if code := rig.Result(c.Say(greetInTurn("EHLO n%d.example.net", 0, greetings), "")); code != 250 {
				t.Fatalf("a greeting got %d: %+v", code, c.Replies)
			}
			c.Say(envelope+"|QUIT", "") // waits for the answers
			l.waitFor("helo_milter_connections", "<=", 0)
			l.waitFor("helo_milter_dns_in_flight", "<=", 0)
			questions := server.queries.Load()
			t.Logf("%d questions", questions)
			const budget, own, again = 60, 4, 2 // the client's own, and a server asked twice
			if questions < 10 || questions > again*(budget+own) {
				t.Errorf("one session made %d questions", questions)
			}
		})
	}
}

// reflectingZone has names whose SPF records make more than a hundred questions each.
func reflectingZone(names int) string {
	var zone strings.Builder
	zone.WriteString("mail.example.org. A 203.0.113.10\n203.0.113.10 PTR mail.example.org.\n")
	for n := range names {
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
	return zone.String()
}
