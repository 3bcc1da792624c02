package faults

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
// refusals (smtpd_hard_error_limit).
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
			if found := addressesFound(t, log, mta.filter); !slices.Equal(found, mta.found) {
				t.Errorf("it finds %q, not %q, in\n%s", found, mta.found, log)
			}
		})
	}
}

// addressesFound returns the addresses that a filter of fail2ban finds in a log.
func addressesFound(t *testing.T, log, filter string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mail.log")
	if err := os.WriteFile(file, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", fail2ban+"/usr/bin/fail2ban-regex",
		"-c", fail2ban+"/etc/fail2ban", "-o", "ip", file, filter)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+fail2ban+"/usr/lib/python3/dist-packages")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fail2ban-regex: %v\n%s", err, out)
	}
	found := strings.Fields(string(out))
	slices.Sort(found)
	return slices.Compact(found)
}
