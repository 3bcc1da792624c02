package faults

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// A client greets with names whose questions all fail, to make the DNS count as degraded: then no rule that
// needs it refuses anybody. It is refused for another's name all the same, in the same session and in the
// next ones, whether its domains are few or hundreds: the resolver answers everybody else. Postfix lets it
// greet a hundred times; Sendmail delays the third greeting by a second, and each further one by more
// (checksmtpattack in srvrsmtp.c).
func TestDegradedByStranger(t *testing.T) {
	for name, tt := range map[string]struct {
		mta                 string
		sessions, greetings int
	}{
		"one session":             {"Postfix", 1, 5},
		"fifteen sessions":        {"Postfix", 15, 20},
		"four sessions, Sendmail": {"Sendmail", 4, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startDNS(t, `
mail.example.org.   A    203.0.113.10
203.0.113.10        PTR  mail.example.org.
s1.xnnd.com.        A    206.125.175.2
206.125.175.2       PTR  s1.xnnd.com.
microsoft.com.      A    192.0.2.80
`)
			l := newLoadTest(t, "unix", fmt.Sprintf("mode = \"enforce\"\n[dns]\nservers = [%q]", server.addr))
			l.milter.Start(t)
			s := l.stream(accept)
			s.wait(3)
			mta := rig.Start(t, tt.mta, rig.StartSink(t), l.milter.Socket)
			stranger := netip.MustParseAddr("206.125.175.2")
			for n := range tt.sessions {
				c := rig.Dial(t, stranger, mta.Endpoint(stranger))
				greetings := greetInTurn("EHLO servfail.stranger%d.com", n*tt.greetings, tt.greetings)
				if code := rig.Result(c.Say(greetings, "")); code != 250 {
					t.Fatalf("a greeting got %d", code)
				}
				c.Say(envelope, "") // waits for the answers
				refused := c.Say("EHLO bob.microsoft.com|"+envelope, "")
				if code := rig.Result(refused); code != 550 {
					t.Fatalf("in session %d, EHLO bob.microsoft.com got %d, degraded=%v", n+1, code,
						l.metric("helo_milter_dns_degraded"))
				}
				c.Close()
			}
			if l.metric("helo_milter_dns_degraded") != 0 || strings.Contains(l.milter.Log(), "dns degraded") {
				t.Error("a stranger made the DNS count as degraded")
			}
			if messages, passed := s.end(); passed != messages {
				t.Errorf("%d messages bypassed the milter", messages-passed)
			}
		})
	}
}
