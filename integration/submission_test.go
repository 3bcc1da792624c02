package integration

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

const submission = "submission"

// laptops are greetings of mail clients, from a network without PTR records.
var laptops = []string{"[192.168.1.23]", "laptop.local", "DESKTOP-ABC"}

// Users submit their mail with STARTTLS and AUTH on port 587. Whatever their laptop says in EHLO, they are
// exempt, and the record says why. Exim does not ask about them.
func TestSubmission(t *testing.T) {
	eachVariant(t, func(t *testing.T, v variant) {
		if v.mta == "OpenSMTPD" { // Debian's has no TLS that works: see rig/opensmtpd.go
			return
		}
		for _, laptop := range laptops {
			t.Run(laptop, func(t *testing.T) {
				t.Parallel()
				script := strings.ReplaceAll("EHLO %|STARTTLS|EHLO %|AUTH PLAIN AHNvbWVvbmUAc2VjcmV0", "%", laptop)
				s := v.session(t, strict, "203.0.113.30", script, rig.Message, submission)
				if v.mta == "Exim" {
					s.checkUnasked()
					return
				}
				s.check(parseOutcome("exempt none only"))
				s.checkDecisions("exempt/203.0.113.30/" + laptop)
				if r := s.record(); r.Exempt != "authenticated" {
					t.Errorf("%s", r)
				}
			})
		}
	})
}

// checkUnasked requires a message that was delivered without our header and without a decision.
func (s *session) checkUnasked() {
	s.Helper()
	if text := s.sink.Wait(s, 1)[0].Text; strings.Contains(text, "X-HELO-Check") {
		s.Errorf("delivered:\n%s", text)
	}
	s.checkDecisions("")
}

// Without AUTH the MTA itself refuses, and the milter has nothing to decide: Sendmail asks no milter before
// AUTH, and Postfix and Exim do not pass on recipients that they refuse themselves.
func TestSubmissionAnonymous(t *testing.T) {
	for _, tt := range []struct{ mta, says, codes string }{
		{"Postfix", "EHLO %", "220 250 530 530 530 221"}, // STARTTLS comes first
		{"Postfix", "EHLO %|STARTTLS|EHLO %", "220 250 220 250 250 554 554 221"},
		{"Sendmail", "EHLO %", "220 250 530 503 503 221"},
		{"Sendmail", "EHLO %|STARTTLS|EHLO %", "220 250 220 250 530 503 503 221"},
		{"Exim", "EHLO %", "220 250 250 550 503 221"},
		{"Exim", "EHLO %|STARTTLS|EHLO %", "220 250 220 250 250 550 503 221"},
	} {
		t.Run(tt.mta+" "+tt.says, func(t *testing.T) {
			t.Parallel()
			script := strings.ReplaceAll(tt.says, "%", "laptop.local")
			s := variant{tt.mta, "enforce", "unix"}.session(t, strict, "203.0.113.30", script, rig.Message, submission)
			if got := codes(s.replies); got != tt.codes {
				t.Errorf("codes %s, want %s\n%+v\n%s", got, tt.codes, s.replies, s.log)
			}
			s.checkDecisions("")
			if s.server.Refusals(s.log, "MAIL")+s.server.Refusals(s.log, "RCPT") > 0 || len(s.sink.Mails()) > 0 {
				t.Errorf("%+v\n%s", s.sink.Mails(), s.log)
			}
		})
	}
}

// An authenticated client is exempt, whatever its HELO, or is not asked about.
func TestAuthenticated(t *testing.T) {
	eachVariant(t, func(t *testing.T, v variant) {
		t.Parallel()
		if v.mta == "OpenSMTPD" { // the same
			return
		}
		const script = "EHLO friend|AUTH PLAIN AHNvbWVvbmUAc2VjcmV0|EHLO friend"
		s := v.session(t, "", "203.0.113.30", script, rig.Message, "AUTH")
		if reply := s.reply("AUTH"); reply.Code != 235 {
			t.Errorf("%+v\n%s", reply, s.log)
		}
		if v.mta == "Exim" {
			s.checkUnasked()
			return
		}
		s.check(parseOutcome("exempt none only"))
	})
}

// Local programs submit with sendmail(1). Postfix passes that to milters as a client on localhost, which is
// exempt; Sendmail asks no milter. The message is delivered once.
func TestLocalSubmission(t *testing.T) {
	pairwiseVariants(t, func(t *testing.T, v variant) {
		t.Parallel()
		milter := rig.StartMilter(t, v.network, fmt.Sprintf("mode = %q\nprofile = \"strict\"\n", v.mode))
		sink := rig.StartSink(t)
		var more []string
		if v.mta == "Postfix" {
			more = append(more, "non_smtpd_milters = "+milter.Socket)
		}
		server := rig.Start(t, v.mta, sink, milter.Socket, more...)
		server.Submit(t, "sender@example.org", "reader@example.net", rig.Message)
		s := &session{T: t, variant: v, client: netip.MustParseAddr("127.0.0.1"), milter: milter}
		mail := sink.Wait(t, 1)[0]
		if v.unsupported("non_smtpd_milters") != "" {
			s.checkDecisions("")
			if strings.Contains(mail.Text, "X-HELO-Check") {
				t.Error(mail.Text)
			}
			return
		}
		s.checkHeader(mail, parseOutcome("exempt none only"))
		s.checkDecisions("exempt/127.0.0.1/localhost")
		if n := len(sink.Mails()); n != 1 {
			t.Errorf("%d messages:\n%s", n, server.Log())
		}
	})
}
