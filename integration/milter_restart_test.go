package integration

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"helo-milter/integration/rig"
)

// restartTests have an MTA's setting, and the result of a session in which the milter is killed (kill -9) or
// stopped between RCPT and DATA, and started again: the codes of its two messages, and which messages arrive,
// that of the next session included; "?" follows one that the milter did not see. words are for
// examples/README.md.
var restartTests = []struct{ mta, setting, killed, stopped, words string }{
	{
		"Postfix", "default_action=accept",
		bothDelivered + ": one? three two?", bothDelivered + ": one three two?", unjudgedText,
	},
	{
		"Postfix", "default_action=tempfail",
		bothDeferred + ": three", opened + "250 451 554 221: one three", tempfailText,
	},
	{"Sendmail", "", bothDelivered + ": one? three two?", bothDelivered + ": one three two?", unjudgedText},
	{"Sendmail", "F=T", bothDeferred + ": three", opened + "451 503 503 221: one three", tempfailText},
}

const (
	opened        = "220 250 250 250 354 250 "
	bothDelivered = opened + "250 250 354 250 221"
	bothDeferred  = "220 250 250 250 354 451 451 503 503 221"

	unjudgedText = "continues unjudged"
	tempfailText = "gets 451"
)

// A restart affects at most the sessions that are open: neither MTA asks the milter again in those, and the
// next session is judged. A transaction that is open when the milter gets SIGTERM is judged.
func TestMilterRestart(t *testing.T) {
	for _, tt := range restartTests {
		for how, want := range map[string]string{"killed": tt.killed, "stopped": tt.stopped} {
			t.Run(tt.mta+" "+tt.setting+" "+how, func(t *testing.T) {
				t.Parallel()
				testRestart(t, tt.mta, tt.setting, how, want)
			})
		}
	}
}

// testRestart restarts the milter within a session, see restartTests.
func testRestart(t *testing.T, mta, setting, how, want string) {
	const message = "MAIL FROM:<%@example.org>|RCPT TO:<reader@example.net>|DATA|QUIT"
	milter, sink := rig.StartMilter(t, "unix", ""), rig.StartSink(t)
	server := rig.Start(t, mta, sink, "", milterLine(mta, milter.Socket, setting))
	client := netip.MustParseAddr(good)
	c := rig.Dial(t, client, server.Endpoint(client))
	defer c.Close()
	c.Say("EHLO mail.example.org|MAIL FROM:<one@example.org>|RCPT TO:<reader@example.net>", "")
	if how == "killed" {
		milter.Kill()
		milter.Start(t)
	} else {
		milter.Signal(t, syscall.SIGTERM)
	}
	c.Say("DATA", rig.Message)
	if how == "stopped" {
		milter.Exit(t)
		milter.Start(t)
	}
	c.Say(strings.ReplaceAll(message, "%", "two"), rig.Message)
	next := "EHLO mail.example.org|" + strings.ReplaceAll(message, "%", "three")
	rig.Talk(t, client, server.Endpoint(client), next, rig.Message)
	_, arrive, _ := strings.Cut(want, ": ")
	mails := sink.Wait(t, len(strings.Fields(arrive)))
	if got := codes(c.Replies) + ": " + arrivals(mails); got != want {
		t.Errorf("\n got %s\nwant %s\n%+v\n%s\n%s", got, want, c.Replies, server.Log(), milter.Log())
	}
}

// restartCells returns the cells of the table in examples/README.md by MTA.
func restartCells() map[string]string {
	words := map[string]string{}
	for _, r := range restartTests {
		words[r.mta] = strings.TrimPrefix(words[r.mta]+"<br>"+settingText(r.setting)+": "+r.words, "<br>")
	}
	return words
}

// arrivals lists the senders of messages without their domain, with a "?" where the milter's header is
// missing.
func arrivals(mails []rig.Mail) string {
	var list []string
	for _, mail := range mails {
		name, _, _ := strings.Cut(mail.From, "@")
		if !strings.HasPrefix(mail.Text, "X-HELO-Check: ") {
			name += "?"
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// milterLine returns the line of an MTA's configuration for a milter, with settings that may be "".
func milterLine(mta, socket string, settings ...string) string {
	settings = slices.DeleteFunc(settings, func(s string) bool { return s == "" })
	if mta == "Sendmail" {
		return rig.SendmailMilter(socket, settings...)
	}
	return rig.PostfixMilter(socket, settings...)
}
