package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"helo-milter/dnscache/dnstest"
	"helo-milter/integration/rig"

	"github.com/miekg/dns"
)

// `check` judges as the daemon does, and its exit code says so.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		exit int
		says string // see checkOutput
	}{
		{
			"206.125.175.2 s1.xnnd.com", 0,
			`verdict  accept|nothing is wrong|2.175.125.206.in-addr.arpa.|TTL |192.0.2.53:53 udp`,
		},
		{
			"206.125.175.2 bob.microsoft.com", 1,
			`verdict  reject because of helo-forged-brand|belongs to somebody else. Set|HELO name to s1.xnnd.com`,
		},
		{"203.0.113.10 notes1.corp", 0, `helo-private-tld|mail server's HELO name to mail.example.org`},
		{"203.0.113.30 noptr.example.org", 0, `ptr-missing|30.113.0.203.in-addr.arpa. PTR noptr.example.org.`},
		{"203.0.113.66 servfail.example.org", 0, `iprev    temperror|SERVFAIL|unsure`},
		{"--dns 198.51.100.66:53 203.0.113.10 0x7f000001", 1, `helo-numeric|timeout`},
		{"203.0.113.10 localhost", 0, `helo-localhost          fail    mark`},
		{"--rcpt reader@example.com 203.0.113.10 example.com", 0, `helo-rcpt-domain`},
		{"203.0.113.21 spf.example.org", 0, `helo-spf                fail    mark|mail server's HELO name to host.example.com`},
		{"203.0.113.80 203-0-113-80.dsl.example.org", 0, `helo-generic|ptr-generic|ptr-dynamic`},
		{"203.0.113.80 mail.example.org", 0, `helo-ip-mismatch|!to 203-0-113-80`},
		{"--all 2001:db8::10 mail6.example.org", 0, `helo-missing  |ptr-many  `},
		{"10.0.0.1 localhost", 0, `exempt   private`},
		{"203.0.113.10", 2, `expected "<helo>"`},
		{"--json --mail 203.0.113.10 localhost", 2, `can't be used together`},
		{"mail.example.org 203.0.113.10", 2, `is not an IP address`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			output, exit := rig.RunMilter(t, append([]string{"check"}, strings.Fields(tt.args)...)...)
			if exit != tt.exit {
				t.Errorf("exit %d, want %d", exit, tt.exit)
			}
			checkOutput(t, output, tt.says)
		})
	}
}

// checkOutput requires pieces of a command's output, separated by "|". A piece after "!" must not be in it.
func checkOutput(t *testing.T, output, pieces string) {
	t.Helper()
	for piece := range strings.SplitSeq(pieces, "|") {
		text, unwanted := strings.CutPrefix(piece, "!")
		switch found := strings.Contains(output, text); {
		case found && unwanted:
			t.Errorf("the output has %q:\n%s", text, output)
		case !found && !unwanted:
			t.Errorf("the output lacks %q:\n%s", text, output)
		}
	}
}

// A Notes server says its internal name in HELO. Once its administrator has followed the advice literally,
// nothing is wrong.
func TestCheckNotes(t *testing.T) {
	for _, tt := range []struct{ name, client, helo string }{
		{"notes", "203.0.113.21", "notes1.acme.private"},
		{"notes-slash", "203.0.113.21", "NOTES1/ACME"},
		{"notes-unconfirmed", "203.0.113.33", "notes1.acme.private"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			output, _ := rig.RunMilter(t, "check", tt.client, tt.helo)
			varies := regexp.MustCompile(`TTL [0-9a-z]+, [0-9.]+ ms`)
			golden(t, "testdata/check/"+tt.name+".golden", varies.ReplaceAllString(output, "TTL 1h0m0s, 0.1 ms"))

			reverse, _ := dns.ReverseAddr(tt.client)
			zone := zoneLines(t, reverse, dns.TypePTR) + zoneLines(t, "host.example.com.", dns.TypeA)
			zone += strings.Join(regexp.MustCompile(`(?m)^ +\S+\. (?:A|PTR) \S+$`).FindAllString(output, -1), "\n")
			server := dnstest.Start(t, regexp.MustCompile(`(?m)^ +`).ReplaceAllString(zone, ""))
			helo := strings.Fields(setting(t, output, "Postfix, main.cf"))[2]
			output, exit := rig.RunMilter(t, "check", "--dns", server.Addr(), tt.client, helo)
			if exit != 0 || !strings.Contains(output, "nothing is wrong") {
				t.Errorf("after following the advice, with the zone\n%s\ncheck says %s", zone, output)
			}
		})
	}
}

// zoneLines returns the records that the rig's DNS has, as lines of a zone file.
func zoneLines(t *testing.T, name string, qtype uint16) (zone string) {
	t.Helper()
	reply, err := rig.Ask(rig.Resolver, name, qtype)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range reply.Answer {
		zone += record.String() + "\n"
	}
	return zone
}

// setting returns the line that advice has for a mail server.
func setting(t *testing.T, advice, server string) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^ +` + server + ` +(.*)$`).FindStringSubmatch(advice)
	if line == nil {
		t.Fatalf("no setting for %s in\n%s", server, advice)
	}
	return line[1]
}

// golden compares a text with a golden file, or rewrites the file with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || got != string(want) {
		t.Errorf("%s differs (-update writes it): %v\n got %s\nwant %s", file, err, got, want)
	}
}

// A terminal gets colours, unless NO_COLOR is set, and a line of progress, which is erased; a pipe gets neither.
func TestTerminal(t *testing.T) {
	t.Parallel()
	const red, green = "\x1b[31m", "\x1b[32m"
	command := rig.Binary() + " check 203.0.113.10 localhost"
	decisions := "cd " + t.TempDir() + "; yes \"$(" + command + " --json)\" | head -n 1000 | " +
		`awk '{ sub(/"id":"check"/, "\"id\":\"" NR "\""); print }' >decisions; ` // each a decision of its own
	replay := "(cat decisions; sleep 0.5) | " + rig.Binary() + " replay -"
	for _, tt := range []struct{ shell, want string }{
		{"script -qec '" + command + "' /dev/null", red + "fail  |" + green + "accept"},
		{"NO_COLOR=1 script -qec '" + command + "' /dev/null", "!\x1b|  fail  "},
		{command + " | cat", "!\x1b|  fail  "},
		{
			decisions + "script -qec 'stty cols 80; " + replay + "' /dev/null",
			" read, |\r\x1b[KDECISIONS OF THE DAEMON: 1000,",
		},
		{decisions + replay + " 2>&1 | cat", "! read, |!\r|DECISIONS OF THE DAEMON: 1000,"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), rig.WaitTimeout)
		defer cancel()
		output, err := exec.CommandContext(ctx, "sh", "-c", tt.shell).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", tt.shell, err)
		}
		checkOutput(t, string(output), tt.want)
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	output, exit := rig.RunMilter(t, "check", "--json", "203.0.113.30", "0x7f")
	if !json.Valid([]byte(output)) || exit != 1 {
		t.Errorf("exit %d", exit)
	}
	for _, piece := range []string{
		`{"v":1,"time":"20`, `"client":"203.0.113.30","helo":"0x7f","helos":["0x7f"]`, `"exempt":""`,
		`"facts":{"client":"203.0.113.30","ptr":{"status":"missing"}`, `"iprev":"permerror"`,
		`{"rule":"ptr-missing","result":"fail","action":"mark","score":2.4,"detail":"203.0.113.30"}`,
		`"verdict":{"mode":"observe","want":"reject","did":"accept","rule":"helo-numeric","score":7.4,`,
		`"reply":"504 5.5.2 `, `"header":"reject; client=203.0.113.30; helo=0x7f; iprev=permerror; score=7.4;`,
	} {
		if !strings.Contains(output, piece) {
			t.Errorf("no %s in\n%s", piece, output)
		}
	}
}

// After a server that refuses, is lame or never answers, the next one is asked.
func TestCheckServers(t *testing.T) {
	t.Parallel()
	refusing := rig.StartRefusing(t).Addr
	for _, tt := range []struct{ servers, client, says string }{
		{refusing + " " + rig.Resolver, "203.0.113.10", "iprev    pass"},
		{refusing, "203.0.113.10", "iprev    temperror|REFUSED"},
		{rig.AuthServer + " " + rig.Resolver, "203.0.113.10", "iprev    pass"},
		// The zone of this client's reverse name is delegated: the authoritative server answers with a
		// referral.
		{rig.AuthServer, "203.0.113.67", "iprev    temperror|lame"},
		{rig.DeadResolver + " " + rig.Resolver, "203.0.113.10", "iprev    pass"},
		{
			strings.Join([]string{refusing, rig.DeadResolver, rig.AuthServer, rig.Resolver}, " "),
			"203.0.113.50", "iprev    pass",
		},
	} {
		args := []string{"check", tt.client, "[" + tt.client + "]"}
		for server := range strings.FieldsSeq(tt.servers) {
			args = append(args, "--dns", server)
		}
		output, _ := rig.RunMilter(t, args...)
		checkOutput(t, output, tt.says)
	}
}

// However a server misbehaves, the client is confirmed or iprev is temperror, never fail or permerror.
func TestCheckMisbehaving(t *testing.T) {
	t.Parallel()
	outcomes := map[string]string{
		"pass": "formerr badvers drop-first slow truncate garbage-first wrong-id wrong-question foreign-owner " +
			"case-sensitive lowercase lowercase-no-tcp flood wrong-flood garbage-flood no-soa",
		"temperror": "servfail refused notimp header-only lame cname-loop drop truncate-dead short garbage",
	}
	var zone strings.Builder
	clients := map[string]string{} // client to outcome
	for outcome, words := range outcomes {
		for word := range strings.FieldsSeq(words) {
			n := len(clients) + 1
			client := fmt.Sprintf("203.0.113.%d", n)
			clients[client] = outcome
			fmt.Fprintf(&zone, "%d.113.0.203.in-addr.arpa. PTR host%d.example.org.\n", n, n)
			fmt.Fprintf(&zone, "%d.113.0.203.in-addr.arpa. TXT \"dnstest\" %q\n", n, word)
			fmt.Fprintf(&zone, "host%d.example.org. A %s\n", n, client)
		}
	}
	server := dnstest.Start(t, zone.String())
	t.Run("clients", func(t *testing.T) {
		for client, want := range clients {
			t.Run(client, func(t *testing.T) {
				t.Parallel()
				output, _ := rig.RunMilter(t, "check", "--dns", server.Addr(), client, "["+client+"]")
				if !strings.Contains(output, "iprev    "+want+"\n") {
					t.Errorf("want %s:\n%s\n%s", want, output, zone.String())
				}
			})
		}
	})
}
