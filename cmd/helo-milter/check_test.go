package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"helo-milter/cmd/helo-milter/internal/explain"
	"helo-milter/dnscache/dnstest"
)

const checkZone = `
10.113.0.203.in-addr.arpa.  PTR  mail.example.org.
mail.example.org.           A    203.0.113.10
mail.example.org.           TXT  "v=spf1 a -all"
11.113.0.203.in-addr.arpa.  PTR  notes.example.com.
notes.example.com.          A    203.0.113.11
33.113.0.203.in-addr.arpa.  PTR  gone.example.org.
12.113.0.203.in-addr.arpa.  PTR  evil\027[31m.example.org.
servfail.66.113.0.203.in-addr.arpa. PTR x.example.org.
66.113.0.203.in-addr.arpa.  TXT  "dnstest" "servfail"
spf.example.org.            A    203.0.113.13
spf.example.org.            TXT  "v=spf1 \027[31m -all"
0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.org.
1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR other.example.org.
other.example.org.          AAAA 2001:db8::11
15.113.0.203.in-addr.arpa.  PTR  broken.example.org.
broken.example.org.         A    203.0.113.15
dead.example.org.           TXT  "dnstest" "servfail" "A"
dead.example.net.           A    203.0.113.99
dead.example.net.           TXT  "dnstest" "servfail" "TXT"
22.113.0.203.in-addr.arpa.  PTR  203-0-113-22.dsl.example.org.
203-0-113-22.dsl.example.org. A  203.0.113.22
24.113.0.203.in-addr.arpa.  PTR  spf24.example.org.
spf24.example.org.          A    203.0.113.24
spf24.example.org.          TXT  "v=spf1 -all"
40.113.0.203.in-addr.arpa.  PTR  mail40.example.org.113.0.203.in-addr.arpa.
mail40.example.org.         A    203.0.113.40
50.113.0.203.in-addr.arpa.  PTR  news.example.org.
news.example.org.           A    0.0.0.0
news.example.org.           AAAA ::
both.example.org.           A    203.0.113.14
both.example.org.           AAAA 2001:db8::14
14.113.0.203.in-addr.arpa.  PTR  both.example.org.
4.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR both.example.org.
`

// ranOn is what a command that asks the DNS prints, without where and when it ran, and its exit code.
func ranOn(t *testing.T, zone, command string, args ...string) (string, int) {
	t.Helper()
	server := dnstest.Start(t, zone)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{command, "--dns", server.Addr()}, args...), nil, &stdout, &stderr)
	text := strings.ReplaceAll(stdout.String()+stderr.String(), server.Addr(), "192.0.2.53:53")
	text = regexp.MustCompile(`[0-9.]+ ms`).ReplaceAllString(text, "0.1 ms")
	return regexp.MustCompile(`[0-9-]{10} [0-9:]{5} UTC`).ReplaceAllString(text, "2026-11-21 12:00 UTC"), code
}

func TestCheckGolden(t *testing.T) {
	for _, tt := range []struct {
		file, args string
		exit       int
	}{
		{"good", "203.0.113.10 mail.example.org", 0},
		{"good.mail", "--mail 203.0.113.10 mail.example.org", 0},
		{"notes", "203.0.113.11 notes1.acme.private", 0}, // the server that says its inside name
		{"notes.mail", "--mail 203.0.113.11 notes1.acme.private", 0},
		{"notes-unconfirmed", "--config testdata/check/standard.toml 203.0.113.33 NOTES1/ACME", 1},
		{"notes-unconfirmed.mail", "--config testdata/check/standard.toml --mail 203.0.113.33 NOTES1/ACME", 1},
		{"forged.mail", "--mail 203.0.113.99 bob.microsoft.com", 1},
		{"spf6", "--config testdata/check/standard.toml --all 2001:db8::10 mail.example.org", 1},
		{"spf6.mail", "--config testdata/check/standard.toml --mail 2001:db8::10 mail.example.org", 1},
		{"unsure.mail", "--mail 203.0.113.66 localhost", 0},
		{"unsure-spf", "203.0.113.10 dead.example.net", 0},
		{"teredo", "2001:0:cb00:7101:0:0:34ff:8ef6 mail.example.org", 0},
		{"spf-of-another", "203.0.113.24 localhost", 0}, // the name to be said has one that forbids it
		{"denied.mail", "--config testdata/check/letters.toml --mail 203.0.113.10 mail.example.org", 1},
		{"allowed.mail", "--config testdata/check/letters.toml --mail 203.0.113.33 NOTES1/ACME", 0},
		{"dotless", "203.0.113.40 localhost", 0}, // the PTR record lacks its final dot
		{"dotless.mail", "--mail 203.0.113.40 mail40.example.org", 0},
	} {
		text, code := ranOn(t, checkZone, "check", strings.Fields(tt.args)...)
		if code != tt.exit {
			t.Errorf("%s: exit %d, want %d", tt.args, code, tt.exit)
		}
		golden(t, "testdata/check/"+tt.file+".golden", text)
	}
}

func TestCheckSays(t *testing.T) {
	for _, tt := range []struct {
		args string
		exit int
		says string // pieces of the output, between "|"; with "!" it has not
	}{
		{"--mail 203.0.113.66 [203.0.113.66]", 0, "The DNS did not answer, so nothing can be said about 203"},
		{"--mail 203.0.113.15 dead.example.org", 0, "Nothing was found|some lookups failed. Unsure: helo-unresolvable"},
		{"--mail 10.0.0.1 localhost", 0, "10.0.0.1 is a private address"},
		{"--config testdata/check/letters.toml 203.0.113.33 NOTES1/ACME", 0, "exempt allow|!must change"},
		{
			"--config testdata/check/letters.toml 203.0.113.66 203.0.113.66", 0,
			"left open whether the allow list covers|verdict accept|unsure=allow,",
		},
		{
			"--config testdata/check/letters.toml --mail 203.0.113.66 203.0.113.66", 0,
			"HELO is an IP address|accepted and marked|!our reply",
		},
		{"203.0.113.66 localhost", 0, "to the name in the PTR record of 203.0.113.66|!Publish|!arpa. PTR"},
		{"0.0.0.0 localhost", 0, "0.0.0.0 is not one|!. A 0.0.0.0"},
		{"--mail 0.0.0.0 localhost", 0, "0.0.0.0 is not one|!dig"},
		{"--dns  203.0.113.10 mail.example.org", exitUsage, "--dns"},
		{
			"203.0.113.50 news.example.org", 0, "A news.example.org. = 0.0.0.0 NOERROR, but the resolver filters: " +
				"a failed lookup|AAAA news.example.org. = :: NOERROR, but the|iprev temperror|ptr-unconfirmed unsure|" +
				"helo-bogus-address unsure|! fail |!must change",
		},
	} {
		text, code := ranOn(t, checkZone, "check", strings.Split(tt.args, " ")...)
		if code != tt.exit {
			t.Errorf("check %s: exit %d, want %d\n%s", tt.args, code, tt.exit, text)
		}
		for piece := range strings.SplitSeq(tt.says, "|") {
			plain, unwanted := strings.CutPrefix(piece, "!")
			if strings.Contains(strings.Join(strings.Fields(text), " "), plain) == unwanted {
				t.Errorf("check %s: that it has %q is %t:\n%s", tt.args, plain, unwanted, text)
			}
		}
	}
}

// What the network says reaches no terminal as it is, and lines end where the reader's do, unless there is a
// word in them that must stay whole.
func TestCheckIsFitToRead(t *testing.T) {
	for _, client := range strings.Fields("203.0.113.11 203.0.113.12 203.0.113.99 2001:db8::10 2001:db8::99") {
		for _, helo := range []string{
			"localhost", "notes1.acme.private", "spf.example.org", "\x1b[31m", "a\u202eb \u009b31m\x7f\n.",
			strings.Repeat("a.", 120) + "example.org", strings.Repeat("\u202e", 200),
		} {
			for flag, width := range map[string]int{"--mail": explain.Narrow, "--all": explain.Wide} {
				text, _ := ranOn(t, checkZone, "check", flag, client, helo)
				if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
					t.Errorf("check %s %s %q: a control character in\n%s", flag, client, helo, text)
				}
				for line := range strings.Lines(text) {
					long := func(word string) bool { return len(word) > width/2 }
					whole := slices.ContainsFunc(strings.Fields(line), long)
					if utf8.RuneCountInString(line) > width+1 && !whole {
						t.Errorf("check %s %s %q: too long: %s", flag, client, helo, line)
					}
				}
			}
		}
	}
}
