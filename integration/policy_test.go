package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// policyExample is Postfix with examples/postfix/policy.cf, of which the lines after #WAY# are in effect, and other
// lines.
func policyExample(t *testing.T, sink *rig.Sink, socket, way string, lines ...string) rig.MTA {
	t.Helper()
	text := rig.PolicyService(t, socket, "policy.cf")
	if way != "" && !strings.Contains(text, "\n#"+way+"# ") {
		t.Fatalf("no lines for %s in\n%s", way, text)
	}
	text = strings.ReplaceAll(text, "\n#"+way+"# ", "\n")
	if way == "domains" { // in place of the lines above
		text = strings.Replace(text, "\nsmtpd_data_restrictions", "\n#smtpd_data_restrictions", 1)
	}
	return rig.Start(t, "Postfix", sink, "", append(lines, text)...)
}

// Each way of examples/postfix/policy.cf does what its comment says. A result is the replies, and what is at
// the top of
// a message; what is logged is a regular expression.
func TestPolicyExamples(t *testing.T) {
	const (
		refused = "220 250 250 550 554 221"
		toAll   = "|MAIL FROM:<sender@example.org>|RCPT TO:<one@example.com>|RCPT TO:<reader@example.net>|DATA|QUIT"
		bad     = "X-HELO-Check: reject; client=203.0.113.10"
	)
	for _, tt := range []struct{ way, says, want, top, logged string }{
		{"", greeting + toNet, delivered, judged, ""},
		{
			"", "EHLO mx.example.net" + toNet, refused, "",
			`reject: RCPT from .*: 550 5\.7\.1 <reader@example.net>: .*helo-own-name`,
		},
		{
			"", "EHLO mx.example.net|RSET|EHLO mail.example.org" + toNet,
			"220 250 250 250 250 250 354 250 221", judged, "",
		},
		{
			"", "EHLO mx.example.net|MAIL FROM:<>|RCPT TO:<reader@example.net>|EHLO mail.example.org" + toNet,
			"220 250 250 550 250 250 550 554 221", "", "helo-own-name",
		},
		{"domains", "EHLO mx.example.net" + toAll, "220 250 250 250 550 354 250 221", "", "helo-own-name"},
		{"domains", greeting + toAll, "220 250 250 250 250 354 250 221", judged, ""},
		{"domains", "EHLO mx.example.net" + toCom, delivered, "", ""},
		{"try", "EHLO mx.example.net" + toNet, delivered, bad, `reject_warning: RCPT from .*helo-own-name`},
		{"try", greeting + toNet, delivered, judged, ""},
	} {
		t.Run(tt.way+" "+tt.says, func(t *testing.T) {
			t.Parallel()
			sink := rig.StartSink(t)
			milter := rig.NewMilter(t, "policy:unix", variant{"Postfix policy", "enforce", "unix"}.config(""))
			milter.Plain = true
			milter.Start(t)
			server := policyExample(t, sink, milter.Socket, tt.way)
			client := netip.MustParseAddr(good)
			replies := rig.Talk(t, client, server.Endpoint(client), tt.says, rig.Message)
			log := server.Session(t)
			if got := codes(replies); got != tt.want {
				t.Errorf("codes %s, want %s\n%+v\n%s", got, tt.want, replies, log)
			}
			if !regexp.MustCompile(tt.logged).MatchString(log) || strings.Contains(log, "]: warning: ") {
				t.Errorf("log:\n%s", log)
			}
			if strings.Contains(tt.want, " 354 250") {
				if got := fields(sink.Wait(t, 1)[0], "X-HELO-Check"); got != tt.top {
					t.Errorf("%q at the top, want %q", got, tt.top)
				}
			}
		})
	}
}

// policyDownTests have Postfix's setting for a policy service that does not answer, and the codes of all
// replies: if it
// is down, or accepts a connection and sends nothing; if it hangs at DATA. words are for examples/README.md.
var policyDownTests = []struct{ setting, down, atData, words string }{
	{"default_action=DUNNO", delivered, delivered, "mail continues unjudged, a second later"},
	{
		"{ default_action = 451 4.3.0 Try again later }", "220 250 250 451 554 221", "220 250 250 250 451 221",
		"451 at the recipient, or where it hangs",
	},
}

// If the policy service is down or hangs, Postfix's setting decides what happens to mail, and a client waits at
// most
// twice the timeout and a second for each request. No other reply comes of it.
func TestPolicyDown(t *testing.T) {
	t.Parallel()
	for _, tt := range policyDownTests {
		for how, want := range map[string]string{
			"down inet": tt.down, "down unix": tt.down, "hangs inet RCPT": tt.down,
			"hangs unix DATA": tt.atData,
		} {
			t.Run(tt.setting+" "+how, func(t *testing.T) {
				t.Parallel()
				words := strings.Fields(how)
				socket := rig.NewMilter(t, "policy:"+words[1], "").Socket
				if words[0] == "hangs" {
					socket = hangingPolicy(t, words[1], words[2])
				}
				sink := rig.StartSink(t)
				service := fmt.Sprintf("check_policy_service { %s, timeout=1s, %s }",
					strings.TrimPrefix(socket, "policy:"), tt.setting)
				server := rig.Start(t, "Postfix", sink, "",
					"smtpd_recipient_restrictions = "+service, "smtpd_data_restrictions = "+service)
				client := netip.MustParseAddr(good)
				replies := rig.Talk(t, client, server.Endpoint(client), greeting+toNet, rig.Message)
				if got := codes(replies); got != want {
					t.Errorf("codes %s, want %s\n%+v\n%s", got, want, replies, server.Session(t))
				}
				for _, reply := range replies {
					if reply.Took > 4*3*time.Second { // on a machine at a quarter of the speed
						t.Errorf("%+v", reply)
					}
				}
			})
		}
	}
}

// hangingPolicy is a policy service that says DUNNO, and nothing at one state until the test is over.
func hangingPolicy(t *testing.T, network, hangsAt string) (socket string) {
	t.Helper()
	address := filepath.Join(socketDir(t), "policy")
	if network == "inet" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen(strings.Replace(network, "inet", "tcp", 1), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_ = os.Chmod(address, 0o666) // for user postfix
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(rig.WaitTimeout))
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					switch lines.Text() {
					case "protocol_state=" + hangsAt:
						<-t.Context().Done()
						return
					case "":
						_, _ = io.WriteString(conn, "action=DUNNO\n\n")
					}
				}
			}()
		}
	}()
	return "policy:" + network + ":" + listener.Addr().String()
}

// A restart between RCPT and DATA costs no mail and no false reply: Postfix asks again, and what comes then has its
// header, once.
func TestPolicyRestart(t *testing.T) {
	for _, how := range []string{"killed", "stopped"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			milter := rig.StartMilter(t, "policy:unix", "[site]\nhostname = \"mx.example.net\"")
			sink := rig.StartSink(t)
			server := policyExample(t, sink, milter.Socket, "")
			client := netip.MustParseAddr(good)
			c := rig.Dial(t, client, server.Endpoint(client))
			defer c.Close()
			c.Say("EHLO mail.example.org|MAIL FROM:<one@example.org>|RCPT TO:<reader@example.net>", "")
			if how == "killed" {
				milter.Kill()
			} else {
				milter.Signal(t, syscall.SIGTERM)
				milter.Exit(t)
			}
			milter.Start(t)
			c.Say("DATA|MAIL FROM:<two@example.org>|RCPT TO:<reader@example.net>|DATA|QUIT", rig.Message)
			mails := sink.Wait(t, 2)
			if got := codes(c.Replies) + ": " + arrivals(mails); got != bothDelivered+": one two" {
				t.Errorf("%s\n%+v\n%s\n%s", got, c.Replies, server.Log(), milter.Log())
			}
			for _, mail := range mails {
				if strings.Count(mail.Text, "X-HELO-Check") != 1 {
					t.Error(mail.Text)
				}
			}
		})
	}
}
