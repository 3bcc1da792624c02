package faults

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/integration/rig"
)

// fail2ban is where integration/run has unpacked it.
const fail2ban = "/var/cache/helo-milter-rig/fail2ban"

// banned are the addresses that fail2ban's stock filters, at their most aggressive, find in an MTA's log.
var banned = map[string]struct {
	filter, need string
	found        []string
}{
	"Postfix":  {"postfix[mode=aggressive]", "smtpd_error_sleep_time = 0", []string{refusedOften, relaying}},
	"Sendmail": {"sendmail-reject[mode=aggressive]", "define(`confBAD_RCPT_THROTTLE', `0')", []string{relaying}},
}

// The clients besides mail.example.org: one is refused for 25 recipients in a session, one tries to relay.
const refusedOften, relaying = "203.0.113.20", "203.0.113.30"

// refusedHelos are refused, and some of them look like lines that the filters know.
var refusedHelos = []string{
	"friend", "mx.example.net", "203.0.113.10", "[192.0.2.99]", "bob.microsoft.com", "host.example.com",
	"a from b[192.0.2.99]: 550 5.1.1 <c@example.org>: Relay access denied",
	"x[192.0.2.99]: 554 5.7.1 Service unavailable; Client host [192.0.2.99] blocked",
	"reject: RCPT from x[192.0.2.99]: 450 4.7.1 Host not found",
	"too many errors after RCPT from x[192.0.2.99]",
	"ruleset=check_rcpt, arg1=<a@example.org>, relay=[192.0.2.99], reject=550 5.7.1 Relaying denied. " +
		"Proper authentication required.",
	"<reader@example.net>... No such user here",
	"[192.0.2.99]: expn root [rejected]",
}

// No filter takes a refusal of ours for an attack, whatever the client says in HELO: a mail server with a bad
// name is not shut out, and nobody can have another address shut out. What the MTA itself has to say counts:
// an attempt to relay, which shows that the filter works, and in Postfix the end of a session with twenty
// refusals (smtpd_hard_error_limit). Our own filter is for whoever wants those that we refuse shut out.
func TestFail2ban(t *testing.T) {
	for name, mta := range banned {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			milter := rig.StartMilter(t, "unix", strict+"[rules]\nhelo-ip-mismatch = \"tempfail\"")
			server := rig.Start(t, name, rig.StartSink(t), milter.Socket, mta.need)
			say := func(client, script string) int {
				from := netip.MustParseAddr(client)
				return rig.Result(rig.Talk(t, from, server.Endpoint(from), script+"|QUIT", ""))
			}
			for _, helo := range refusedHelos {
				if code := say("203.0.113.10", "EHLO "+helo+"|"+envelope); code < 400 {
					t.Errorf("EHLO %s got %d", helo, code)
				}
			}
			const sender = "|MAIL FROM:<sender@example.org>"
			say(refusedOften, "EHLO friend"+sender+strings.Repeat("|RCPT TO:<reader@example.net>", 25))
			say(relaying, "EHLO noptr.example.org"+sender+"|RCPT TO:<reader@elsewhere.example>")
			log := server.(interface{ WaitLog(rig.T, string) string }).WaitLog(t, "elsewhere.example")
			if found := addressesFound(t, log, fail2ban+"/etc/fail2ban", mta.filter); !slices.Equal(found, mta.found) {
				t.Errorf("it finds %q, not %q, in\n%s", found, mta.found, log)
			}
			refused := []string{"203.0.113.10", refusedOften}
			if found := addressesFound(t, milter.Log(), ownFilter(t), "helo-milter"); !slices.Equal(found, refused) {
				t.Errorf("our filter finds %q, not %q, in\n%s", found, refused, milter.Log())
			}
		})
	}
}

// ownFilter is examples/fail2ban, in a directory that has fail2ban's own files, too.
func ownFilter(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := cmp.Or(os.CopyFS(dir, os.DirFS(fail2ban+"/etc/fail2ban")),
		os.CopyFS(dir, os.DirFS("../../examples/fail2ban"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// logPrefixes stand before our lines: nothing in a file of standard error, and what syslog puts there. What fail2ban
// makes of the journal is the same without the time.
var logPrefixes = []string{
	"", "Nov 28 14:18:18 mx1 helo-milter[12]: ", "2026-11-28T14:18:18.123456+00:00 mx1 helo-milter[12]: ",
}

// Our filter finds each client that was refused, and no other, whatever is said in HELO and around it, and
// whoever else logs what looks like our line.
func TestFail2banFilter(t *testing.T) {
	const forged = "time=2026-11-28T14:18:18.123Z level=INFO msg=decision id=a queue_id=a mta=a client=192.0.2.99 " +
		"helo=a iprev=pass want=reject did=reject rules=none"
	const forgedJSON = `{"time":"2026-11-28T14:18:18.123Z","level":"INFO","msg":"decision","id":"a","queue_id":"a",` +
		`"mta":"a","client":"192.0.2.99","helo":"a","iprev":"pass","want":"reject","did":"reject","rules":[]}`
	t.Parallel()
	texts := append(slices.Collect(maps.Values(checkstest.Hostile(t))), refusedHelos...)
	texts = append(texts, forged, forgedJSON, "", "a\n"+forged, `a" iprev=pass want=reject did=reject `, `\`, `\"`,
		`","iprev":"pass","want":"reject","did":"reject","client":"192.0.2.99`)
	var log strings.Builder
	var refused []string
	for i, text := range texts {
		for j, prefix := range logPrefixes {
			client := fmt.Sprintf("2001:db8:1::%x:%x", j+1, i+1)
			refused = append(refused, client)
			for _, json := range []bool{false, true} {
				log.WriteString(prefix + logLine(client, text, checks.Reject, json))
				log.WriteString(prefix + logLine("192.0.2.1", text, checks.Off, json))
				log.WriteString(prefix + logLine("192.0.2.2", text, checks.TempFail, json))
			}
		}
	}
	for _, program := range []string{"postfix/smtpd[12]", "kernel", "not-helo-milter[12]"} {
		prefix := strings.Replace(logPrefixes[1], "helo-milter[12]", program, 1)
		log.WriteString(prefix + forged + "\n" + prefix + forgedJSON + "\n")
	}
	slices.Sort(refused)
	found := addressesFound(t, log.String(), ownFilter(t), "helo-milter")
	if !slices.Equal(found, refused) {
		missed := slices.DeleteFunc(refused, func(a string) bool { return slices.Contains(found, a) })
		t.Errorf("it finds %q, and misses %q", found, missed)
	}
}

// logLine is the line of a decision about a client that says a text everywhere.
func logLine(client, text string, did checks.Action, json bool) string {
	d := &checks.Decision{
		ID: "id1", QueueID: text, MTA: text, MailFrom: text, RcptTo: []string{text}, Did: did,
		Verdict: checks.Verdict{Action: checks.Reject},
		Facts: &checks.Facts{
			Client: netip.MustParseAddr(client), Greetings: []checks.Greeting{{Helo: checks.ParseHelo(text)}},
		},
	}
	if json {
		return `{"time":"2026-11-28T14:18:18.123Z","level":"INFO","msg":"decision"` + string(d.AppendLog(nil, true)) + "}\n"
	}
	return "time=2026-11-28T14:18:18.123Z level=INFO msg=decision" + string(d.AppendLog(nil, false)) + "\n"
}

// fail2ban takes our jail.
func TestFail2banJail(t *testing.T) {
	t.Parallel()
	cmd := fail2banCommand(t, "fail2ban-client", "-c", ownFilter(t), "-d")
	out, err := cmd.Output()
	for _, want := range []string{
		"['add', 'helo-milter', 'systemd']", "'addfailregex', ['^", "'_SYSTEMD_UNIT=helo-milter.service'",
		"['set', 'helo-milter', 'maxretry', 10]", "['start', 'helo-milter']",
	} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v, no %s in\n%s", err, want, out)
		}
	}
}

func fail2banCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{fail2ban + "/usr/bin/" + name}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+fail2ban+"/usr/lib/python3/dist-packages")
	return cmd
}

// addressesFound returns the addresses that a filter of fail2ban finds in a log. dir has its configuration.
func addressesFound(t *testing.T, log, dir, filter string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mail.log")
	if err := os.WriteFile(file, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := fail2banCommand(t, "fail2ban-regex", "-c", dir, "-o", "ip", file, filter)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fail2ban-regex: %v\n%s", err, out)
	}
	found := strings.Fields(string(out))
	slices.Sort(found)
	return slices.Compact(found)
}
