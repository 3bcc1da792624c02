package integration

import (
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// envelopes have the recipients of a message, and the fate of each in observe and in enforce mode: accepted
// (+), refused by the milter (-), refused by the MTA itself (!).
var envelopes = []struct{ to, observe, enforce string }{
	{"one three two", "+++", "+-+"},
	{"one three far ghost", "++!!", "+-!!"},
	{"ghost far three one", "!!++", "!!-+"},
	{"far one", "!+", "!+"},
	{"far three", "!+", "!-"},
	{"three", "+", "-"},
	{"far ghost", "!!", "!!"},
}

// recipients are the addresses, and what a refusal says. "three" is in the domain that the client claims in
// HELO; the MTA does not relay to "far", and does not know "ghost".
var recipients = map[string]struct{ address, refusal string }{
	"one":   {"one@example.net", ""},
	"two":   {"two@example.net", ""},
	"three": {"three@example.com", "Rule: helo-rcpt-domain"},
	"far":   {"far@relay.example", "Relay"},
	"ghost": {"ghost@mx.example.net", "5.1.1 <ghost@mx.example.net>"},
}

// localUsers configures an MTA to reject unknown local users.
var localUsers = map[string]string{
	"Postfix":  "mydestination = mx.example.net\nlocal_recipient_maps = inline:{root=x}",
	"Sendmail": "LOCAL_DOMAIN(`mx.example.net')dnl\ndefine(`ALIAS_FILE', `null:')dnl",
	"Exim":     "LOCAL_DOMAINS = mx.example.net",

	"Postfix policy": "mydestination = mx.example.net\nlocal_recipient_maps = inline:{root=x}",
}

// Some recipients are accepted, some are refused by the milter and some by the MTA, command by command or,
// with the milter on TCP, pipelined (RFC 2920): each gets its own reply, the message goes to the accepted
// ones, and its header is about them. The record has the recipients that the milter saw. No MTA passes on a
// recipient that it refuses itself: if it refuses all, there is nothing to decide.
func TestRecipients(t *testing.T) {
	eachVariant(t, func(t *testing.T, v variant) {
		for _, tt := range envelopes {
			fates := map[string]string{"observe": tt.observe, "enforce": tt.enforce}[v.mode]
			separator := map[string]string{"unix": "|", "inet": "\n", "filter": "|"}[v.network]
			t.Run(tt.to, func(t *testing.T) {
				t.Parallel()
				v.testRecipients(t, strings.Fields(tt.to), fates, separator)
			})
		}
	})
}

// testRecipients sends a message, with a separator between its commands, and checks the fate of each
// recipient.
func (v variant) testRecipients(t *testing.T, names []string, fates, separator string) {
	commands := []string{"MAIL FROM:<sender@example.org>"}
	for _, name := range names {
		commands = append(commands, "RCPT TO:<"+recipients[name].address+">")
	}
	script := "EHLO example.com|" + strings.Join(append(commands, "DATA"), separator) + "|QUIT"
	s := v.session(t, rcptRejects, good, script, rig.Message, localUsers[v.mta])
	var seen, acceptedTo []string
	header := "accept pass -helo-rcpt-domain"
	for i, name := range names {
		who, fate := recipients[name], fates[i]
		reply := s.reply(commands[1+i])
		ours := v.mta != "OpenSMTPD" || fate == '-' // else the text is smtpd's, which asks before it looks itself
		if reply.Code/100 != map[byte]int{'+': 2, '-': 5, '!': 5}[fate] ||
			fate != '+' && !strings.Contains(reply.Text, who.refusal) && ours {
			t.Errorf("%+v", reply)
		}
		if fate != '!' || !ours {
			seen = append(seen, who.address)
		}
		if fate == '+' {
			acceptedTo = append(acceptedTo, who.address)
		}
		if fate == '+' && name == "three" {
			header = "reject pass +helo-rcpt-domain"
		}
	}
	if n := s.server.Refusals(s.log, "RCPT"); n != strings.Count(fates, "-") {
		t.Errorf("the log of %s has %d refusals by the milter:\n%s", v.mta, n, s.log)
	}
	s.checkDelivered(acceptedTo, header)
	var got []string
	for _, r := range s.records() {
		got = append(got, r.RcptTo...)
		if len(acceptedTo) > 0 && (r.QueueID == "" || !strings.Contains(s.log, r.QueueID)) {
			t.Errorf("the queue id %q is not in the log:\n%s", r.QueueID, s.log)
		}
	}
	if !slices.Equal(got, seen) {
		t.Errorf("the record has %v, not %v", got, seen)
	}
}

// checkDelivered requires one message to these recipients, with that header, or none if there are no
// recipients.
func (s *session) checkDelivered(to []string, header string) {
	s.Helper()
	if len(to) == 0 {
		if reply := s.reply("DATA"); reply.Code/100 != 5 || len(s.sink.Mails()) > 0 {
			s.Errorf("%+v %+v", reply, s.sink.Mails())
		}
		return
	}
	mail := s.sink.Wait(s, 1)[0]
	slices.Sort(mail.To)
	if slices.Sort(to); !slices.Equal(mail.To, to) {
		s.Errorf("delivered to %v, not to %v", mail.To, to)
	}
	s.checkHeader(mail, parseOutcome(header))
}
