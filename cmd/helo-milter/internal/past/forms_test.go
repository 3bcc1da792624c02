package past

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// journalLine is a line of journalctl -o json, with the fields that matter.
const journalLine = `{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795334400123456","_HOSTNAME":"mx",` +
	`"PRIORITY":"6","SYSLOG_IDENTIFIER":"postfix/smtpd","SYSLOG_PID":"7","_PID":"8","_UID":"0",` +
	`"_TRANSPORT":"syslog","MESSAGE":"A1: client=unknown[203.0.113.9]"}`

// The same hop in each format of a log line, and its time.
var formTests = []struct{ line, time string }{
	{"Nov 22 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{"<22>Nov 22 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{"Nov  2 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-02T08:00:00Z"},
	{"Nov 02 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-02T08:00:00Z"},
	{"Nov 22 08:00:00.123 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00.123Z"},
	{"Nov 24 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-24T08:00:00Z"}, // ahead
	{"Nov 25 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2025-11-25T08:00:00Z"},
	{"Nov 22 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[::ffff:203.0.113.9]", "2026-11-22T08:00:00Z"},
	{"Feb 29 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2024-02-29T08:00:00Z"},
	{"Nov 22 08:00:00 postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"}, // no host
	{"Nov 22 08:00:00 mx in/submission/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{
		"2026-11-22T08:00:00.123456+01:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-22T07:00:00.123456Z",
	},
	{"2026-11-22T08:00:00+0100 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T07:00:00Z"},
	{"Sun 2026-11-22 08:00:00 UTC mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{"Sun 2026-11-22 08:00:00 CET mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{"<2>1 2026-11-22T08:00:00Z mx postfix/smtpd 7 - - A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{
		`<22>1 2026-11-22T08:00:00Z mx postfix/smtpd 7 ID [a@1 b="]\"" c="d"][e@2] ` +
			"\ufeffA1: client=unknown[203.0.113.9]",
		"2026-11-22T08:00:00Z",
	},
	{journalLine, "2026-11-22T08:00:00.123456Z"},
	{
		`{"__REALTIME_TIMESTAMP":"1795334400000000","_HOSTNAME":"mx","_COMM":"postfix/smtpd","_PID":"7",` +
			`"MESSAGE":[65,49,58,32,99,108,105,101,110,116,61,120,91,50,48,51,46,48,46,49,49,51,46,57,93,255]}`,
		"2026-11-22T08:00:00Z",
	},
	{
		"2026-11-22 08:00:00 1xB000-000000037ku-33mU <= <> H=[203.0.113.9] P=esmtp S=1", "2026-11-22T08:00:00Z",
	},
	{
		"2026-11-22 08:00:00.123 +0100 [7] 1abcDE-000123-4F <= <> H=[203.0.113.9]:5 P=esmtp S=1",
		"2026-11-22T07:00:00.123Z",
	},
	{"2026-11-22 08:00:00 +0100 1abcDE-000123-4F <= <> H=[203.0.113.9] P=esmtp S=1", "2026-11-22T07:00:00Z"},
	{"Nov 22 08:00:00 mx exim[7]: 1abcDE-000123-4F <= <> H=[203.0.113.9] P=esmtp", "2026-11-22T08:00:00Z"},
	{
		"Nov 22 08:00:00 mx exim[7]: 2026-11-22 08:00:00 1abcDE-000123-4F <= <> H=[203.0.113.9] P=esmtp",
		"2026-11-22T08:00:00Z",
	},
}

func TestLineFormats(t *testing.T) {
	for _, tt := range formTests {
		n := 0
		for h, err := range Log("log", strings.NewReader(tt.line+"\r\n"), today) {
			n++
			if err != nil || h.Client != netip.MustParseAddr("203.0.113.9") || h.QueueID == "" ||
				h.Time.UTC().Format(time.RFC3339Nano) != tt.time || h.Place != "log:1" {
				t.Errorf("%s: %+v, %v; want %s", tt.line, h, err, tt.time)
			}
			if named := !strings.Contains(tt.line, "00:00 postfix") && tt.line[4] != '-'; named && h.By != "mx" {
				t.Errorf("%s: by %q", tt.line, h.By)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d hops", tt.line, n)
		}
	}
}

// Dates without a time zone are in that of the reader.
func TestShortDatesAreLocal(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600))
	const line = "Dec 31 23:59:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]"
	for h, err := range Log("log", strings.NewReader(line), now) {
		if want := "2025-12-31T22:59:00Z"; err != nil || h.Time.UTC().Format(time.RFC3339) != want {
			t.Errorf("%v, %v; want %s", h.Time, err, want)
		}
	}
}

// Lines of other programs are skipped; lines of a mail server that cannot be parsed are reported.
func TestBrokenLines(t *testing.T) {
	const date, broken = "Nov 22 08:00:00 mx ", "log:1: cannot parse the line or its date: "
	for _, tt := range []struct{ line, want string }{
		{"", ""},
		{"\x00\xff", ""},
		{"some text that is no line of a log at all", ""},
		{date + "sshd[1]: Connection closed by 203.0.113.9 port 22", ""},
		{date + "smtpd[1]: 0123456789abcdef smtp connected address=203.0.113.9", ""}, // OpenSMTPD
		{date + "postfix/smtpd[1]: lost connection after RCPT from unknown[203.0.113.9]", ""},
		{date + "postfix/smtpd[1]: A1: client=unknown[unknown]", ""},
		{"Nov 99 08:00:00 mx postfix/smtpd[1]: A1", broken + `"Nov 99 08:00:00 mx postfix/smtpd[1]: A1"`},
		{"{\"MESSAGE\":\"\x1b[2J", broken + `"{\"MESSAGE\":\"\x1b[2J"`},
		{date + "postfix/smtpd[1]: A1: client=x[203.0.", `log:1: cannot parse the client: "x[203.0."`},
		{date + "postfix/smtpd[1]: A1: client=", `log:1: cannot parse the client`},
		{date + "sm-mta[1]: A1: from=<>, relay=x [203", `log:1: cannot parse the client: "x [203"`},
		{"2026-11-22 08:00:00 H=x rejected RCPT", `log:1: cannot parse the client: "x rejected RCPT"`},
		{"2026-11-22 08:00:00 1abcDE-000123-4F <= <> H=x", `log:1: cannot parse the client: "x"`},
	} {
		if got := strings.Join(readLog(tt.line), "\n"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.line, got, tt.want)
		}
	}
}
