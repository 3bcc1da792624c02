package integration

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"helo-milter/checks"
	"helo-milter/integration/rig"
)

// pastMail has clients, and what replay reads from an MTA's traces of them: HELO and iprev from Received, and
// iprev from the mail log. Of accepted mail, only Exim logs the HELO.
var pastMail = []struct{ client, says, postfix, postfixLog, sendmail, sendmailLog, exim, eximLog string }{
	{
		good, "EHLO mail.example.org", "mail.example.org pass", "pass", "mail.example.org pass", "pass",
		"mail.example.org pass", "pass",
	},
	{
		"2001:db8::10", "EHLO mail6.example.org",
		"mail6.example.org pass", "pass", "mail6.example.org pass", "pass", "mail6.example.org pass", "pass",
	},
	{
		"203.0.113.21", "HELO friend", "friend pass", "pass", "friend pass", "pass", "friend pass", "pass",
	},
	{
		"203.0.113.20", "EHLO 203.0.113.20",
		"203.0.113.20 pass", "pass", "203.0.113.20 pass", "pass", "203.0.113.20 pass", "pass",
	},
	{ // Exim leaves out a HELO that is the client's name or address
		"203.0.113.10", "EHLO [203.0.113.10]",
		"[203.0.113.10] pass", "pass", "[203.0.113.10] pass", "pass", "mail.example.org pass", "pass",
	},
	// There is no PTR record, which only Exim's log tells from a failed lookup.
	{
		"203.0.113.30", "EHLO noptr.example.org",
		"noptr.example.org temperror", "temperror", "noptr.example.org temperror", "temperror",
		"noptr.example.org temperror", "permerror",
	},
	// The PTR name is not confirmed. Postfix says so only in its log.
	{
		"203.0.113.32", "EHLO forged.example.org",
		"forged.example.org temperror", "fail", "forged.example.org fail", "fail",
		"forged.example.org temperror", "temperror",
	},
}

// Replay judges what a real MTA delivered and logged: with the DNS of now it decides as the milter did, and
// from the recorded facts alone as far as they go.
func TestPastMail(t *testing.T) {
	for _, mta := range rig.Hosts {
		if mta == "OpenSMTPD" {
			continue // its log is none that replay reads
		}
		t.Run(mta, func(t *testing.T) {
			t.Parallel()
			log, mbox, decisions := deliverAll(t, mta)
			decided := replayRecords(t, decisions)
			again := replayRecords(t, mbox)
			fromMail := replayRecords(t, "--recorded-dns", mbox)
			fromLog := replayRecords(t, "--recorded-dns", log)
			for i, tt := range pastMail {
				mail, logged := tt.postfix, tt.postfixLog
				switch mta {
				case "Sendmail":
					mail, logged = tt.sendmail, tt.sendmailLog
				case "Exim":
					mail, logged = tt.exim, tt.eximLog
				}
				was, then, now := decided[i], again[2*i], again[2*i+1]
				same := judgement(was) == judgement(now) || was.Helo.Raw != then.Helo.Raw
				if !same || now.Source.DNS != "now" || then.Source.DNS != "recorded" {
					t.Errorf("decided\n%s\nreplayed\n%s", was, now)
				}
				if got := then.Helo.Raw + " " + then.Iprev; got != mail || judgement(then) != judgement(fromMail[i]) {
					t.Errorf("%s, by Received: %s, want %s\n%s", tt.client, got, mail, fromMail[i])
				}
				heard := mta == "Exim"
				if r := fromLog[i]; r.Iprev != logged || r.Facts.Unheard == heard || r.Client.String() != tt.client ||
					r.QueueID != was.QueueID {
					t.Errorf("by the log: want %s of\n%s, got\n%s", logged, was, r)
				}
			}
		})
	}
}

// deliverAll delivers all of pastMail, and returns the files with its traces.
func deliverAll(t *testing.T, mta string) (log, mbox, decisions string) {
	t.Helper()
	milter := rig.StartMilter(t, variant{mta: mta, network: "unix"}.socket(), decisionLog)
	sink := rig.StartSink(t)
	server := rig.Start(t, mta, sink, milter.Socket, anyHelo[mta])
	text := ""
	for i, tt := range pastMail {
		client := netip.MustParseAddr(tt.client)
		rig.Talk(t, client, server.Endpoint(client), tt.says+toNet, rig.Message)
		mail := sink.Wait(t, i+1)[i]
		text += "From sender@example.org Sun Nov 22 08:00:00 2026\n" + mail.Text + "\n"
	}
	log, mbox = filepath.Join(milter.Dir, "mail.log"), filepath.Join(milter.Dir, "mbox")
	for name, text := range map[string]string{log: server.Session(t), mbox: text} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	milter.Stop(t)
	return log, mbox, filepath.Join(milter.Dir, "decisions")
}

// replayRecords returns the records that `replay --json` prints.
func replayRecords(t *testing.T, args ...string) []*checks.Record {
	t.Helper()
	out, exit := rig.RunMilter(t, append([]string{"replay", "--json", "--verbose"}, args...)...)
	if exit != 0 {
		t.Fatalf("replay %v: %d\n%s", args, exit, out)
	}
	return parseRecords(t, out)
}

// judgement returns what the same facts must always lead to.
func judgement(r *checks.Record) string {
	text := r.Client.String() + " " + r.Helo.Raw + " " + r.Iprev + " " + r.Verdict.Want
	for _, f := range r.Findings {
		text += " " + f.Rule + "=" + f.Result.String()
	}
	return text
}
