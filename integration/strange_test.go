package integration

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// strangeStories are about what MTAs do besides the usual. They may need something for it, see rig.Start; the
// client is who is presented. Decided is what the milter's log says in the end, in the words of decided.
var strangeStories = []struct{ client, says, outcome, needs, decided string }{
	// The old protocols of milters: no macros can be asked for, and not every event can be declined.
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 2", accepted},
	{good, "EHLO mx.example.net", ownName, "milter_protocol = 2", itIsUs},
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 3", accepted},
	{good, "EHLO mx.example.net", ownName, "milter_protocol = 3", itIsUs},
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 4", accepted},
	{good, "EHLO mx.example.net", ownName, "milter_protocol = 4", itIsUs},
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 6", accepted},
	{good, "EHLO mx.example.net", ownName, "milter_protocol = 6", itIsUs},

	// XCLIENT begins a second milter connection, about the client that it presents. Nothing remains of the
	// first one, not even its name.
	{
		"203.0.113.30", "XCLIENT ADDR=203.0.113.30 NAME=[UNAVAILABLE]|EHLO noptr.example.org",
		"accept permerror +ptr-missing -helo-changed", "", "accept/203.0.113.30/noptr.example.org",
	},
	{
		good, "EHLO mx.example.net|XCLIENT ADDR=203.0.113.10 NAME=mail.example.org|EHLO mail.example.org",
		"accept pass only", "", accepted,
	},
	{
		good, "EHLO noptr.example.org|XCLIENT ADDR=203.0.113.10 NAME=mail.example.org|EHLO mx.example.net",
		ownName + " -helo-changed", "", itIsUs,
	},
	{
		"2001:db8::10", "EHLO mail.example.org|XCLIENT ADDR=IPV6:2001:db8::10|EHLO mail6.example.org",
		"accept pass only", "", "accept/2001:db8::10/mail6.example.org",
	},
	{
		good, "EHLO mail.example.org|XCLIENT ADDR=203.0.113.10 HELO=mail.example.org", // no event for that
		"reject 503 5.5.1 helo-missing pass only", "", "reject/203.0.113.10/",
	},

	// STARTTLS. The greeting before it counts, too.
	{good, "EHLO mail.example.org|STARTTLS|EHLO mail.example.org", "accept pass only", startTLS, accepted},
	{good, "EHLO mail.example.org|STARTTLS|HELO MAIL.example.org.", "accept pass only", startTLS, accepted},
	{good, "EHLO mail.example.org|STARTTLS", "accept pass only", startTLS, accepted}, // no other
	{good, "EHLO mx.example.net|STARTTLS", ownName, startTLS, itIsUs},
	{good, "STARTTLS|EHLO mail.example.org", "accept pass only", startTLS, accepted},
	{
		"203.0.113.20", "EHLO smtp.example.org|STARTTLS|EHLO out.example.org",
		"accept pass +helo-changed", startTLS, "accept/203.0.113.20/out.example.org",
	},
	{
		good, "EHLO mx.example.net|STARTTLS|EHLO mail.example.org",
		ownName + " +helo-changed", startTLS, "reject/203.0.113.10/mail.example.org",
	},

	// Many commands in one packet (RFC 2920), and the message in chunks (RFC 3030).
	{good, "EHLO mail.example.org" + atOnce, "accept pass only", "", accepted},
	{good, "EHLO mx.example.net" + atOnce, ownName, "", itIsUs},
	{good, "EHLO mail.example.org" + envelope + "|BDAT LAST|QUIT", "accept pass only", "", accepted},
	{good, "EHLO mail.example.org" + envelope + inChunks, "accept pass only", "", accepted},
	{good, "EHLO mail.example.org" + chunksAtOnce, "accept pass only", "", accepted},
	{good, "EHLO mx.example.net" + envelope + "|BDAT LAST|QUIT", ownName, "", itIsUs},
	{good, "EHLO mx.example.net" + envelope + inChunks, ownName, "", itIsUs},

	// A greeting ends the transaction (RFC 5321 §4.1.4), not the session.
	{
		good, "EHLO mail.example.org|MAIL FROM:<a@example.org>|HELO mail.example.org" + toNet,
		"accept pass only", "", accepted,
	},
	{
		good, "EHLO mail.example.org|MAIL FROM:<a@example.org>|RCPT TO:<b@example.net>|" +
			"HELO mail.example.org" + toNet,
		"accept pass only", "", accepted + " " + accepted,
	},
	{
		good, "MAIL FROM:<a@example.org>|HELO mail.example.org" + toNet, // too late is not never
		"accept pass only", "", accepted,
	},

	// Nobody as the sender, and addresses beyond ASCII (RFC 6531).
	{good, "EHLO mail.example.org" + bounce, "accept pass only", "", accepted},
	{good, "EHLO mx.example.net" + bounce, ownName, "", itIsUs},
	{good, "EHLO mail.example.org" + toUTF8, "accept pass only", smtputf8, accepted},
	{good, "EHLO mx.example.net" + toUTF8, ownName, smtputf8, itIsUs},
	{
		good, "EHLO xn--bcher-kva.example.net|MAIL FROM:<a@example.org> SMTPUTF8|" +
			"RCPT TO:<reader@bücher.example.net>|DATA|QUIT",
		"accept pass +helo-rcpt-domain", smtputf8, "accept/203.0.113.10/xn--bcher-kva.example.net",
	},
}

const (
	good     = "203.0.113.10" // is mail.example.org
	ownName  = "reject 550 5.7.1 helo-own-name pass"
	itIsUs   = "reject/203.0.113.10/mx.example.net"
	accepted = "accept/203.0.113.10/mail.example.org"

	envelope     = "|MAIL FROM:<sender@example.org>|RCPT TO:<reader@example.net>"
	inChunks     = "|BDAT 9|BDAT 40|BDAT LAST|QUIT"
	atOnce       = "|MAIL FROM:<sender@example.org>\nRCPT TO:<reader@example.net>\nDATA|QUIT"
	chunksAtOnce = "|MAIL FROM:<sender@example.org>\nRCPT TO:<reader@example.net>\n" +
		"BDAT 9\nBDAT 40\nBDAT LAST\nQUIT"

	startTLS = "STARTTLS"
	smtputf8 = "SMTPUTF8"
	bounce   = "|MAIL FROM:<>|RCPT TO:<reader@example.net>|DATA|QUIT"
	toUTF8   = "|MAIL FROM:<sénder@exämple.org> SMTPUTF8|RCPT TO:<léser@example.net>|" +
		"RCPT TO:<reader@example.net>|DATA|QUIT"
)

func TestStrange(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		for i, tt := range strangeStories {
			if !w.holds(i, tt.says+tt.needs, tt.outcome) || w.lacks(tt.says) != "" || w.lacks(tt.needs) != "" {
				continue
			}
			t.Run(tt.needs+" "+tt.says, func(t *testing.T) {
				t.Parallel()
				client := tt.client
				if strings.Contains(tt.says, "ADDR=") {
					client = "192.0.2.1"
				}
				s := w.hold(t, "", client, tt.says, rig.Message, tt.needs)
				s.client = netip.MustParseAddr(tt.client)
				s.judge(parseOutcome(tt.outcome))
				s.decides(tt.decided)
				if tt.needs == startTLS && s.reply("STARTTLS").Code != 220 {
					t.Errorf("%+v\n%s", s.reply("STARTTLS"), s.log)
				}
			})
		}
	})
}

// decides wants those decisions in the milter's log, and no others.
func (s *session) decides(want string) {
	s.Helper()
	if s.stage != nil {
		s.stage.decisions() // there will be no more
	}
	decides(s, s.milter, want)
}

// decides wants those decisions in a milter's log. The last may not have been written yet.
func decides(t rig.T, milter *rig.Milter, want string) {
	t.Helper()
	rig.Eventually(t, func() error {
		if got := decided(milter.Log()); got != want {
			return fmt.Errorf("decided %s, want %s:\n%s", got, want, milter.Log())
		}
		return nil
	})
}

var decision = regexp.MustCompile(`msg=decision .*client=("[^"]*"|\S+) helo=(\S+) .*want=(\S+)`)

// decided are the decisions of a log, as WANT/CLIENT/HELO.
func decided(log string) string {
	var list []string
	for _, d := range decision.FindAllStringSubmatch(log, -1) {
		list = append(list, strings.ReplaceAll(d[3]+"/"+d[1]+"/"+d[2], `"`, ""))
	}
	return strings.Join(list, " ")
}

// Local programs come with sendmail(1): in Postfix as a client that is nobody's business, which is not
// judged, and in Sendmail past the milters. The message is delivered once.
func TestLocalSubmission(t *testing.T) {
	someWays(t, func(t *testing.T, w way) {
		t.Parallel()
		milter := rig.StartMilter(t, w.network, fmt.Sprintf("mode = %q\nprofile = \"strict\"\n", w.mode))
		sink := rig.StartSink(t)
		var more []string
		if w.mta == "Postfix" {
			more = append(more, "non_smtpd_milters = "+milter.Socket)
		}
		server := rig.Start(t, w.mta, sink, milter.Socket, more...)
		server.Submit(t, "sender@example.org", "reader@example.net", rig.Message)
		s := &session{T: t, way: w, client: netip.MustParseAddr("127.0.0.1"), milter: milter}
		mail := sink.Wait(t, 1)[0]
		if w.lacks("non_smtpd_milters") != "" {
			s.decides("")
			if strings.Contains(mail.Text, "X-HELO-Check") {
				t.Error(mail.Text)
			}
			return
		}
		s.header(mail, parseOutcome("exempt none only"))
		s.decides("exempt/127.0.0.1/localhost")
		if n := len(sink.Mails()); n != 1 {
			t.Errorf("%d messages:\n%s", n, server.Log())
		}
	})
}

// 100 messages in one connection, every fourth of which the client gives up after RCPT. Its HELO is no reason
// to refuse the others.
func TestManyMessages(t *testing.T) {
	const says, messages, kept = "EHLO example.com", 100, 75
	script := says
	for n := range messages {
		rcpt, end := "reader@example.net", "DATA"
		if n%4 == 3 {
			rcpt, end = "reader@example.com", "RSET"
		}
		script += fmt.Sprintf("|MAIL FROM:<sender%d@example.org>|RCPT TO:<%s>|%s", n, rcpt, end)
	}
	someWays(t, func(t *testing.T, w way) {
		t.Parallel()
		s := w.hold(t, rcptRejects, good, script+"|QUIT", rig.Message)
		codes := map[int]int{}
		for _, reply := range s.replies {
			codes[reply.Code]++
		}
		if want := map[string]int{"observe": 0, "enforce": messages - kept}[w.mode]; codes[550] != want {
			t.Errorf("%d refusals, want %d: %v", codes[550], want, codes)
		}
		var senders []string
		for _, mail := range s.sink.Wait(t, kept) {
			senders = append(senders, mail.From)
			s.header(mail, parseOutcome("accept pass -helo-rcpt-domain"))
		}
		slices.Sort(senders)
		four := strings.Repeat("accept/203.0.113.10/example.com ", 3) + "reject/203.0.113.10/example.com "
		s.decides(strings.TrimSpace(strings.Repeat(four, messages/4)))
		if n := len(slices.Compact(senders)); n != kept {
			t.Errorf("messages of %d senders were delivered, want %d", n, kept)
		}
	})
}
