package integration

import (
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

const submission = "submission"

// laptops say what they think they are called, from wherever they are: here a network without PTR records.
var laptops = []string{"[192.168.1.23]", "laptop.local", "DESKTOP-ABC"}

// Your own users submit their mail with STARTTLS and AUTH on port 587. Whatever their laptop is called, it is
// not judged, and the record says why.
func TestSubmission(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		for _, laptop := range laptops {
			t.Run(laptop, func(t *testing.T) {
				t.Parallel()
				script := strings.ReplaceAll("EHLO %|STARTTLS|EHLO %|AUTH PLAIN AHNvbWVvbmUAc2VjcmV0", "%", laptop)
				s := w.hold(t, strict, "203.0.113.30", script, rig.Message, submission)
				s.judge(parseOutcome("exempt none only"))
				s.decides("exempt/203.0.113.30/" + laptop)
				if r := s.record(); r.Exempt != "authenticated" {
					t.Errorf("%s", r)
				}
			})
		}
	})
}

// Without AUTH it is the MTA that refuses, and there is nothing for us to decide: Sendmail asks no milter
// before, and Postfix sends no recipient that it refuses itself.
func TestSubmissionAnonymous(t *testing.T) {
	for _, tt := range []struct{ mta, says, codes string }{
		{"Postfix", "EHLO %", "220 250 530 530 530 221"}, // STARTTLS comes first
		{"Postfix", "EHLO %|STARTTLS|EHLO %", "220 250 220 250 250 554 554 221"},
		{"Sendmail", "EHLO %", "220 250 530 503 503 221"},
		{"Sendmail", "EHLO %|STARTTLS|EHLO %", "220 250 220 250 530 503 503 221"},
	} {
		t.Run(tt.mta+" "+tt.says, func(t *testing.T) {
			t.Parallel()
			script := strings.ReplaceAll(tt.says, "%", "laptop.local")
			s := way{tt.mta, "enforce", "unix"}.hold(t, strict, "203.0.113.30", script, rig.Message, submission)
			if got := codes(s.replies); got != tt.codes {
				t.Errorf("codes %s, want %s\n%+v\n%s", got, tt.codes, s.replies, s.log)
			}
			s.decides("")
			if s.server.Refusals(s.log, "MAIL")+s.server.Refusals(s.log, "RCPT") > 0 || len(s.sink.Mails()) > 0 {
				t.Errorf("%+v\n%s", s.sink.Mails(), s.log)
			}
		})
	}
}
