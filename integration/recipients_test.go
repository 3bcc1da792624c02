package integration

import (
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// envelopes are to whom a message goes, and what becomes of each in observe and in enforce mode: taken,
// refused by us, refused by the MTA itself.
var envelopes = []struct{ to, observe, enforce string }{
	{"one three two", "+++", "+-+"},
	{"one three far ghost", "++!!", "+-!!"},
	{"ghost far three one", "!!++", "!!-+"},
	{"far one", "!+", "!+"},
	{"far three", "!+", "!-"},
	{"three", "+", "-"},
	{"far ghost", "!!", "!!"},
}

// recipients are the addresses, and what a refusal says. Three is in the domain that the client claims to
// be; far is somewhere that the MTA does not relay to, and ghost nobody that it knows.
var recipients = map[string]struct{ address, refusal string }{
	"one":   {"one@example.net", ""},
	"two":   {"two@example.net", ""},
	"three": {"three@example.com", "Rule: helo-rcpt-domain"},
	"far":   {"far@relay.example", "Relay"},
	"ghost": {"ghost@mx.example.net", "5.1.1 <ghost@mx.example.net>"},
}

// localUsers lets an MTA know its own users.
var localUsers = map[string]string{
	"Postfix":  "mydestination = mx.example.net\nlocal_recipient_maps = inline:{root=x}",
	"Sendmail": "LOCAL_DOMAIN(`mx.example.net')dnl\ndefine(`ALIAS_FILE', `null:')dnl",
}

// Some recipients are taken, some we refuse and some the MTA refuses, command by command or, with the milter on
// TCP, all at once (RFC 2920): each gets its own answer, the message goes to those who were taken, and its header speaks of
// them. The record has those whom we were told of, and neither MTA tells of one that it refuses itself: where
// it refuses all there is nothing to decide.
func TestRecipients(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		for _, tt := range envelopes {
			fates := map[string]string{"observe": tt.observe, "enforce": tt.enforce}[w.mode]
			between := map[string]string{"unix": "|", "inet": "\n"}[w.network]
			t.Run(tt.to, func(t *testing.T) {
				t.Parallel()
				w.send(t, strings.Fields(tt.to), fates, between)
			})
		}
	})
}

// send sends a message, with that between the commands.
func (w way) send(t *testing.T, names []string, fates, between string) {
	commands := []string{"MAIL FROM:<sender@example.org>"}
	for _, name := range names {
		commands = append(commands, "RCPT TO:<"+recipients[name].address+">")
	}
	script := "EHLO example.com|" + strings.Join(append(commands, "DATA"), between) + "|QUIT"
	s := w.hold(t, rcptRejects, good, script, rig.Message, localUsers[w.mta])
	var told, taken []string
	header := "accept pass -helo-rcpt-domain"
	for i, name := range names {
		who, fate := recipients[name], fates[i]
		reply := s.reply(commands[1+i])
		if reply.Code/100 != map[byte]int{'+': 2, '-': 5, '!': 5}[fate] ||
			fate != '+' && !strings.Contains(reply.Text, who.refusal) {
			t.Errorf("%+v", reply)
		}
		if fate != '!' {
			told = append(told, who.address)
		}
		if fate == '+' {
			taken = append(taken, who.address)
		}
		if fate == '+' && name == "three" {
			header = "reject pass +helo-rcpt-domain"
		}
	}
	if n := s.server.Refusals(s.log, "RCPT"); n != strings.Count(fates, "-") {
		t.Errorf("the log of %s has %d refusals of ours:\n%s", w.mta, n, s.log)
	}
	s.delivered(taken, header)
	var got []string
	for _, r := range s.records() {
		got = append(got, r.RcptTo...)
		if len(taken) > 0 && (r.QueueID == "" || !strings.Contains(s.log, r.QueueID)) {
			t.Errorf("the queue id %q is not in the log:\n%s", r.QueueID, s.log)
		}
	}
	if !slices.Equal(got, told) {
		t.Errorf("the record has %v, not %v", got, told)
	}
}

// delivered wants one message to those, with that header, or none at all for nobody.
func (s *session) delivered(to []string, header string) {
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
	s.header(mail, parseOutcome(header))
}
