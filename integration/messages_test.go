package integration

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"helo-milter/checks"
	"helo-milter/integration/rig"
)

// Two messages in one connection each get their own header.
func TestTwoMessages(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		t.Parallel()
		one := strings.TrimSuffix(toNet, "|QUIT")
		s := w.hold(t, "", "203.0.113.10", "EHLO mail.example.org"+one+toNet, rig.Message)
		for _, mail := range s.sink.Wait(t, 2) {
			s.header(mail, parseOutcome("accept pass only"))
		}
	})
}

// Who has authenticated is not judged, whatever the name.
func TestAuth(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		t.Parallel()
		const script = "EHLO friend|AUTH PLAIN AHNvbWVvbmUAc2VjcmV0|EHLO friend"
		s := w.hold(t, "", "203.0.113.30", script, rig.Message, "AUTH")
		if reply := s.reply("AUTH"); reply.Code != 235 {
			t.Errorf("%+v\n%s", reply, s.log)
		}
		s.judge(parseOutcome("exempt none only"))
	})
}

// Headers of our name that came with the message are gone, however many and however written.
func TestForgedHeaders(t *testing.T) {
	const forged = "X-HELO-Check: accept; forged=1\n" +
		"X-Helo-check: accept;\n\tforged=2\n" +
		"From: sender@example.org\n" +
		"x-hElO-cHeCk:forged\n" +
		"Subject: a message\n" +
		"X-HELO-CHECK: reject; forged=4\n" +
		"\nHello.\n"
	everyWay(t, func(t *testing.T, w way) {
		t.Parallel()
		s := w.hold(t, "", "203.0.113.10", "EHLO mail.example.org", forged)
		s.judge(parseOutcome("accept pass only"))
		if text := s.sink.Wait(t, 1)[0].Text; strings.Contains(text, "forged") {
			t.Errorf("a forged header was delivered:\n%s", text)
		}
	})
}

// Bytes that would panic go-milter end a connection, not the daemon: mail goes on.
func TestHostileBytes(t *testing.T) {
	someWays(t, func(t *testing.T, w way) {
		t.Parallel()
		milter := rig.StartMilter(t, w.network, fmt.Sprintf("mode = %q\n", w.mode))
		const optneg = "\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
		for _, bytes := range []string{
			"\x00\x00\x00\x00",
			optneg + "\x00\x00\x00\x00",
			optneg + "\x00\x00\x00\x05Chost",
			optneg + "\x00\x00\x00\x06Chost\x00",
			optneg + "\x00\x00\x00\x02Ma",
			optneg + "\x00\x00\x00\x02Ra",
			optneg + "\x00\x00\x00\x03Ra\x00" + "\x00\x00\x00\x01E", // a recipient and an end without a beginning
			optneg + "\xff\xff\xff\xffB",
			"GET / HTTP/1.1\r\n\r\n",
		} {
			milter.Send(t, bytes)
		}
		sink := rig.StartSink(t)
		server := rig.Start(t, w.mta, sink, milter.Socket)
		client := netip.MustParseAddr("203.0.113.10")
		rig.Talk(t, client, server.Endpoint(client), "EHLO mail.example.org"+toNet, rig.Message)
		if mail := sink.Wait(t, 1)[0]; !strings.Contains(mail.Text, "X-HELO-Check: accept; ") {
			t.Errorf("delivered:\n%s\nmilter:\n%s", mail.Text, milter.Log())
		}
	})
}

// longURL is as long as the configuration takes it: a reply with it can have more than one line.
var longURL = "https://example.net/" + strings.Repeat("why/", 45)

// refusals are what clients are told, up to the rule's sentence.
var refusals = []struct{ client, says, config, rule, begins, url string }{
	{"203.0.113.10", "EHLO friend", fqdnOnly, "helo-not-fqdn", `504 5.5.2 HELO "friend" from 203.0.113.10`, ""},
	{
		"203.0.113.20", "EHLO spf.example.org", "", "helo-spf",
		`550 5.7.23 HELO "spf.example.org" from 203.0.113.20`, "https://example.net/mail?a=b#helo",
	},
	{
		"203.0.113.80", "EHLO mail.example.org", strict, "ptr-dynamic",
		`550 5.7.25 HELO "mail.example.org" from 203.0.113.80 (203-0-113-80.dsl.example.org)`, longURL,
	},
	{
		"203.0.113.21", "EHLO smtp.example.org", tempfailAt + "1" + sum2, "helo-unverified",
		`450 4.7.1 HELO "smtp.example.org" from 203.0.113.21`, longURL,
	},
	{
		"203.0.113.10", "EHLO " + strings.Repeat("A%n\"\\<é>", 12), "", "helo-malformed",
		`501 5.5.2 HELO "` + strings.Repeat("A%n??<??>", 12)[:100] + `" from 203.0.113.10`, longURL,
	},
}

// A reply tells everything: who, what is wrong, what to change, which rule, where to read on. Sendmail puts
// the recipient in, once.
func TestReply(t *testing.T) {
	for _, mta := range rig.Programs {
		for _, tt := range refusals {
			t.Run(mta+" "+tt.rule, func(t *testing.T) {
				t.Parallel()
				config := "help_url = '" + tt.url + "'\n" + tt.config
				s := way{mta, "enforce", "unix"}.hold(t, config, tt.client, tt.says, rig.Message)
				reply := s.reply("RCPT")
				s.wellFormed(reply)
				rule := checks.All[checks.Index(tt.rule)]
				want := tt.begins + ": " + rule.Doc + ". " + rule.Fix + " Rule: " + tt.rule
				want = strings.TrimSpace(want + " " + tt.url)
				enhanced, text, _ := strings.Cut(reply.Text, " ")
				if mta == "Sendmail" && reply.Code/10 != 50 {
					want = strings.Replace(want, " HELO", " <reader@example.net>... HELO", 1)
				}
				text = strings.ReplaceAll(text, "\n"+enhanced+" ", " ")
				if got := fmt.Sprint(reply.Code, " ", enhanced, " ", text); got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
			})
		}
	}
}
