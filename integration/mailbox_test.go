package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

const helpMailbox = "[help]\nmailbox = \"helocheck@example.net\"\n"

// askers are sessions that ask the help mailbox, with the first code of its reply, what that says, and the decision: what
// the policy wants, and for which client. A refusal in it is none.
var askers = []struct{ says, others, config, code, text, decided string }{
	{"EHLO mail.example.org", "RCPT TO:<reader@example.net>|DATA|", "", "550 5.2.0", "confirmed. HELO name: proven by the DNS. All is well.", "accept"},
	{"EHLO mx.example.net", "", "", "550 5.2.0", "What fails: helo-own-name", "reject"},
	{"EHLO mail.example.org", "", deadDNS, "451 4.4.3", "Reverse DNS: could not be asked.", "accept"},
	{"EHLO mail.example.org", "", "[exempt]\nnetworks = [\"203.0.113.0/24\"]", "550 5.2.0", "is not judged: this server exempts it.", "exempt"},
}

// Whoever asks the help mailbox is answered by each mail server, in both modes; other recipients of the message get it.
func TestHelpMailbox(t *testing.T) {
	replay := &decisionReplay{logs: map[string]string{}}
	ask := func(t *testing.T, v variant) { v.askMailbox(t, replay) }
	pairwiseVariants(t, ask)
	variant{"Exim", "enforce", "unix"}.run(t, ask)
	variant{"Postfix policy", "observe", "inet"}.run(t, ask)
	variant{"OpenSMTPD", "enforce", "filter"}.run(t, ask)
	for config, log := range replay.logs {
		if got := replayed(t, config, log); got != log {
			t.Errorf("replay under\n%s\ndiffers from the decisions:\n%s", config, firstDifference(log, got))
		}
	}
}

func (v variant) askMailbox(t *testing.T, replay *decisionReplay) {
	for _, tt := range askers {
		t.Run(tt.says+" "+tt.decided, func(t *testing.T) {
			t.Parallel()
			const rcpt = "RCPT TO:<HELOcheck@example.net>"
			script := tt.says + "|MAIL FROM:<sender@example.org>|" + rcpt + "|" + tt.others + "QUIT"
			config := helpMailbox + tt.config
			if strings.HasPrefix(tt.config, oneSecond) { // top-level keys first
				config = tt.config + "\n" + helpMailbox
			}
			s := v.session(t, config, good, script, rig.Message)
			reply := s.reply(rcpt)
			text := strings.ReplaceAll(fmt.Sprint(reply.Code, " ", reply.Text), "\n"+tt.code[4:], "")
			code := tt.code
			if v.asksPolicy() {
				code = strings.Replace(code, "451 ", "450 ", 1)
			}
			record := s.record()
			if !strings.HasPrefix(text, code) || !strings.Contains(text, tt.text) || !strings.HasSuffix(text, "Id: "+record.ID) {
				t.Errorf("the answer is %q\n%s", text, s.log)
			}
			lines := strings.Split(reply.Text, "\n")
			long := func(line string) bool { return len("550-"+line+"\r\n") > 512 }    // RFC 5321 §4.5.3.1.5
			if len(lines) > 5 || slices.ContainsFunc(lines, long) && v.mta != "Exim" { // whose lines were joined
				t.Errorf("%d lines: %q", len(lines), reply.Text)
			}
			got := record.Verdict.Want + "/" + record.Verdict.Did + "/" + strings.ToLower(record.RcptTo[0])
			if want := tt.decided + "/accept/helocheck@example.net"; got != want {
				t.Errorf("the record has %s, want %s\n%s", got, want, record)
			}
			if mails := s.sink.Mails(); len(mails) != strings.Count(tt.others, "DATA") {
				t.Errorf("%d messages came", len(mails))
			}
			replay.add(s, config)
		})
	}
}

// A mail server that knows its recipients refuses one that it does not know before it asks about it, but for OpenSMTPD: the
// mailbox needs an alias there, as examples/README.md says.
func TestHelpMailboxKnown(t *testing.T) {
	aliases := filepath.Join(t.TempDir(), "aliases")
	if err := os.WriteFile(aliases, []byte("helocheck: /dev/null\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const (
		local, relayed = "helocheck@mx.example.net", "helocheck@example.net"
		relays         = "relay_recipient_maps = inline:{reader@example.net=x}"
		virtual        = "virtual_alias_maps = inline:{ {helocheck@example.net=postmaster@example.net}," +
			" {helocheck@mx.example.net=postmaster@example.net} }"
	)
	for _, tt := range []struct{ mta, mailbox, known, code string }{
		{"Postfix", local, localUsers["Postfix"], "550 5.1.1"},
		{"Postfix", local, localUsers["Postfix"] + "\n" + virtual, "550 5.2.0"},
		{"Postfix", relayed, relays, "550 5.1.1"},
		{"Postfix", relayed, relays + "\n" + virtual, "550 5.2.0"},
		{"Postfix policy", local, localUsers["Postfix"], "550 5.1.1"},
		{"Postfix policy", local, localUsers["Postfix"] + "\n" + virtual, "550 5.2.0"},
		{"Sendmail", local, localUsers["Sendmail"], "550 5.1.1"},
		{"Sendmail", local, strings.Replace(localUsers["Sendmail"], "null:", aliases, 1), "550 5.2.0"},
		{"Exim", local, localUsers["Exim"], "550 5.1.1"},
		{"Exim", "root@mx.example.net", localUsers["Exim"], "550 5.2.0"}, // the one alias of rig/exim.go
		{"OpenSMTPD", local, "", "550 5.2.0"},
	} {
		t.Run(tt.mta+" "+tt.mailbox+" "+tt.code, func(t *testing.T) {
			t.Parallel()
			v := variant{tt.mta, "enforce", map[bool]string{true: "filter", false: "inet"}[tt.mta == "OpenSMTPD"]}
			script := "EHLO mail.example.org|MAIL FROM:<sender@example.org>|RCPT TO:<" + tt.mailbox + ">|QUIT"
			s := v.session(t, "[help]\nmailbox = \""+tt.mailbox+"\"\n", good, script, "", tt.known)
			reply := s.reply("RCPT")
			if got := fmt.Sprint(reply.Code, " ", reply.Text); !strings.HasPrefix(got, tt.code) {
				t.Errorf("%s\n%s", got, s.log)
			}
		})
	}
}
