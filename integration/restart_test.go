package integration

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"helo-milter/integration/rig"
)

// restarts are what becomes of a session in which the milter is killed (kill -9), or stopped, and started
// again between RCPT and DATA, by what the MTA was told: the codes of its two messages, and which messages
// arrive, with that of the next session; "?" is one that went unjudged.
var restarts = []struct{ mta, told, killed, stopped, words string }{
	{"Postfix", "default_action=accept", bothPass + ": one? three two?", bothPass + ": one three two?", goOn},
	{"Postfix", "default_action=tempfail", bothLater + ": three", opened + "250 451 554 221: one three", wait},
	{"Sendmail", "", bothPass + ": one? three two?", bothPass + ": one three two?", goOn},
	{"Sendmail", "F=T", bothLater + ": three", opened + "451 503 503 221: one three", wait},
}

const (
	opened    = "220 250 250 250 354 250 "
	bothPass  = opened + "250 250 354 250 221"
	bothLater = "220 250 250 250 354 451 451 503 503 221"

	goOn = "goes on, unjudged"
	wait = "gets 451"
)

// A restart costs at most the session that it comes in: neither MTA asks the milter again in that one, and
// the next one is judged at once. The transaction that is open when the milter is asked to stop is judged.
func TestRestart(t *testing.T) {
	for _, tt := range restarts {
		for how, want := range map[string]string{"killed": tt.killed, "stopped": tt.stopped} {
			t.Run(tt.mta+" "+tt.told+" "+how, func(t *testing.T) {
				t.Parallel()
				restarted(t, tt.mta, tt.told, how, want)
			})
		}
	}
}

func restarted(t *testing.T, mta, told, how, want string) {
	const message = "MAIL FROM:<%@example.org>|RCPT TO:<reader@example.net>|DATA|QUIT"
	milter, sink := rig.StartMilter(t, "unix", ""), rig.StartSink(t)
	server := rig.Start(t, mta, sink, "", milterLine(mta, milter.Socket, told))
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

// restartWords are those of the table, by MTA, for README.md.
func restartWords() map[string]string {
	words := map[string]string{}
	for _, r := range restarts {
		told := "nothing"
		if r.told != "" {
			told = "`" + r.told + "`"
		}
		words[r.mta] = strings.TrimPrefix(words[r.mta]+"<br>"+told+": "+r.words, "<br>")
	}
	return words
}

// arrivals are the senders of messages, without their domain, with a "?" where the milter was not asked.
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

// milterLine is an MTA's line for a milter, with what it is told.
func milterLine(mta, socket string, told ...string) string {
	told = slices.DeleteFunc(told, func(s string) bool { return s == "" })
	if mta == "Sendmail" {
		return rig.SendmailMilter(socket, told...)
	}
	return rig.PostfixMilter(socket, told...)
}
