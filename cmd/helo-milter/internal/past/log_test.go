package past

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"helo-milter/checks"
)

// today is when the logs of these tests are read.
var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// readLog returns a line for each hop of a log: the number of its line, the client, what is known of its
// name, helo= if recorded, after what was said before, user if authenticated, sender, recipients and queue id. An error is its text.
func readLog(text string) (lines []string) {
	for h, err := range Log("log", strings.NewReader(text), today) {
		if err != nil {
			lines = append(lines, err.Error())
			continue
		}
		line := strings.TrimPrefix(h.Place, "log:") + " " + h.Client.String()
		if h.Reverse != checks.ReverseUnrecorded {
			line += " " + []string{"", "nameless", "forged", "unchecked", "confirmed"}[h.Reverse]
			line += strings.TrimSuffix("="+h.Name, "=")
		}
		if h.Said {
			line += " helo=" + h.Helo
		}
		if len(h.Earlier) > 0 {
			line += fmt.Sprint(" after ", h.Earlier)
		}
		if h.Login {
			line += " user"
		}
		line += fmt.Sprintf(" <%s> %v", h.From, h.To)
		lines = append(lines, strings.TrimSpace(line+" "+h.QueueID))
	}
	return lines
}

func compare(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The same sessions as logged by a real Postfix 3.7 and Sendmail 8.17 (integration/rig): Postfix with
// smtpd_client_port_logging and check_client_access static:INFO, Sendmail with LogLevel 9 and 16.
func TestRealLogs(t *testing.T) {
	for file, want := range map[string][]string{
		"postfix.log": {
			"3 203.0.113.25 confirmed=out.example.org helo=out.example.org <sender@example.org> " +
				"[reader@example.com reader@example.net] 8732ADD",
			"13 203.0.113.25 confirmed=out.example.org helo=bob.example.com <sender@example.org> [reader@example.net]",
			"17 203.0.113.30 helo=friend user <sender@example.org> [reader@example.net] 8C899DF",
			"25 203.0.113.32 forged=forged.example.org helo=forged.example.org <sender@example.org> " +
				"[reader@elsewhere.example]",
			"27 203.0.113.32 forged=forged.example.org helo=forged.example.org <sender@example.org> " +
				"[reader@example.net] 8FBB4E0",
			"35 2001:db8::10 confirmed=mail6.example.org helo=mail.example.org <sender@example.org> " +
				"[reader@example.net] A0C9AE2",
			"43 203.0.113.10 confirmed=mail.example.org helo= <sender@example.org> [reader@example.net]",
			"47 203.0.113.10 confirmed=mail.example.org helo=mail?x=?y???b? <sender@example.org> [reader@example.net]",
			`51 203.0.113.10 confirmed=mail.example.org helo=mail.example.org ` +
				`<"a b,relay=x [192.0.2.1]"@example.org> [] A5027E3`,
		},
		"sendmail.log": {
			"1 203.0.113.25 confirmed=out.example.org <sender@example.org> " +
				"[reader@example.com reader@example.net] 6AM9BHDq000068",
			"4 203.0.113.25 confirmed=out.example.org <sender@example.org> [reader@example.net] 6AM9BHDW000072",
			"6 203.0.113.30 user <sender@example.org> [reader@example.net] 6AM9BHBH000073",
			"8 203.0.113.32 forged=forged.example.org <sender@example.org> " +
				"[reader@elsewhere.example reader@example.net] 6AM9BHkI000076",
			"9 2001:db8::10 confirmed=mail6.example.org <sender@example.org> [reader@example.net] 6AM9BHX5000079",
			"15 203.0.113.10 confirmed=mail.example.org <sender@example.org> [reader@example.net] 6AM9BIDd000082",
			"18 203.0.113.10 confirmed=mail.example.org <sender@example.org> [reader@example.net] 6AM9BIIE000083",
			`19 203.0.113.10 confirmed=mail.example.org <"a b,relay=x [192.0.2.1]"@example.org> [] 6AM9BIQa000084`,
		},
		"sendmail-16.log": {
			"16 203.0.113.25 confirmed=out.example.org helo=bob.example.com <sender@example.org> " +
				"[reader@example.net] 6AM9BIHa000117",
			"7 203.0.113.25 confirmed=out.example.org helo=out.example.org <sender@example.org> " +
				"[reader@example.com reader@example.net] 6AM9BIM2000113",
			"25 203.0.113.30 helo=friend user <sender@example.org> [reader@example.net] 6AM9BIsu000118",
			"35 203.0.113.32 forged=forged.example.org helo=forged.example.org <sender@example.org> " +
				"[reader@elsewhere.example reader@example.net] 6AM9BI4r000121",
			"52 203.0.113.10 confirmed=mail.example.org helo= <sender@example.org> " +
				"[reader@example.net] 6AM9BIpi000127",
			`62 203.0.113.10 confirmed=mail.example.org helo=mail;x="y" <b> <sender@example.org> ` +
				"[reader@example.net] 6AM9BIAK000128",
			"42 2001:db8::10 confirmed=mail6.example.org helo=mail.example.org <sender@example.org> " +
				"[reader@example.net] 6AM9BIsJ000124",
			`69 203.0.113.10 confirmed=mail.example.org helo=mail.example.org ` +
				`<"a b,relay=x [192.0.2.1]"@example.org> [] 6AM9BI83000129`,
		},
	} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, file, readLog(string(text)), want...)
	}
}

// A line longer than maxLine is cut off, and the next one is read from its beginning.
func TestLongLines(t *testing.T) {
	const hop = "Nov 22 08:00:00 mx postfix/smtpd[1]: A1: client=unknown[203.0.113.9]"
	long := strings.Repeat("x", 3*maxLine)
	compare(t, "long lines", readLog(long+"\n"+hop+", "+long+"\n"+strings.ReplaceAll(hop, "A1", "A2")),
		"2 203.0.113.9 <> [] A1", "3 203.0.113.9 <> [] A2")
}

// A read error is reported after the hops before it.
func TestLogReadError(t *testing.T) {
	const hop = "Nov 22 08:00:00 mx postfix/smtpd[1]: A1: client=unknown[203.0.113.9]\n"
	var hops []Hop
	var last error
	in := io.MultiReader(strings.NewReader(hop), iotest.ErrReader(io.ErrClosedPipe))
	for h, err := range Log("log", in, today) {
		if hops, last = append(hops, h), err; err != nil {
			break
		}
	}
	if len(hops) != 2 || hops[0].QueueID != "A1" || !errors.Is(last, io.ErrClosedPipe) {
		t.Errorf("%+v, %v", hops, last)
	}
}

// Messages that never end do not pile up: the oldest are yielded, each once.
func TestLogMemory(t *testing.T) {
	const messages = 3 * maxOpen
	l := newLogReader("log", today)
	for i := range messages {
		l.read(fmt.Sprintf("Nov 22 08:00:00 mx postfix/smtpd[%d]: %X: client=unknown[203.0.113.9]", i, i))
	}
	if n := len(l.ready); n != messages-maxOpen || l.messages.Len() != maxOpen || l.sessions.Len() != maxOpen {
		t.Errorf("%d ready, %d messages, %d sessions", n, l.messages.Len(), l.sessions.Len())
	}
	l.end()
	for i, r := range l.ready {
		if want := fmt.Sprintf("%X", i); r.hop.QueueID != want {
			t.Fatalf("%+v, want %s", r, want)
		}
	}
	if len(l.ready) != messages {
		t.Errorf("%d of %d messages", len(l.ready), messages)
	}
}

// Any log yields at most one hop or error per line, and every hop has a client.
func FuzzLog(f *testing.F) {
	for _, file := range []string{"postfix.log", "sendmail.log", "sendmail-16.log", "exchange.log"} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, tests := range [][]logTest{postfixTests, sendmailTests, eximTests, exchangeTests} {
		for _, tt := range tests {
			f.Add(tt.log)
		}
	}
	for _, tt := range formTests {
		f.Add(tt.line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		for h, err := range Log("log", strings.NewReader(text), today) {
			n++
			var broken *Broken
			if err != nil && !errors.As(err, &broken) {
				t.Errorf("not a broken line: %v", err)
			}
			if err == nil && (!h.Client.IsValid() || h.Client.Is4In6() || len(h.Helo) > maxText || len(h.To) > maxTo) {
				t.Errorf("%+v", h)
			}
		}
		if lines := strings.Count(text, "\n") + 1; n > lines {
			t.Errorf("%d lines have %d hops and errors", lines, n)
		}
	})
}

func BenchmarkLog(b *testing.B) {
	for _, file := range []string{
		"postfix.log", "sendmail.log", "exim.log", "journal.json", "compose.log", "docker.json",
	} {
		b.Run(file, func(b *testing.B) {
			text := benchmarkLog(b, file)
			lines := strings.Count(text, "\n")
			b.ReportAllocs()
			for b.Loop() {
				for range Log("log", strings.NewReader(text), today) {
				}
			}
			b.ReportMetric(float64(lines*b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// benchmarkLog returns a log a thousand times over.
func benchmarkLog(b *testing.B, file string) string {
	switch file {
	case "exim.log":
		var log strings.Builder
		for _, tt := range eximTests {
			log.WriteString(tt.log + "\n")
		}
		return strings.Repeat(log.String(), 1000)
	case "journal.json":
		return strings.Repeat(journalLine+"\n", 10_000)
	case "compose.log":
		return strings.Repeat("postfix-1  | "+plainLine+"\n", 10_000)
	case "docker.json":
		const line = `{"log":"` + plainLine + `\n","stream":"stdout","time":"2026-11-22T08:00:00.5Z"}` + "\n"
		return strings.Repeat(line, 10_000)
	}
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		b.Fatal(err)
	}
	return strings.Repeat(string(text), 1000)
}
