package past

import (
	"net/netip"
	"slices"
	"strconv"
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
	// Solaris and illumos, FreeBSD with syslogd -vv, busybox and Alpine, OpenWrt, a severity alone
	{
		"Nov 22 08:00:00 mx postfix/smtpd[7]: [ID 197553 mail.info] A1: client=unknown[203.0.113.9]",
		"2026-11-22T08:00:00Z",
	},
	{"Nov 22 08:00:00 <mail.info> mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{"Nov 22 08:00:00 mx mail.info postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{
		"Sun Nov 22 08:00:00 2026 mail.info postfix/smtpd[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-22T08:00:00Z",
	},
	{
		"Sun Nov  1 08:00:00 2026 [1793520000.123] mail.info postfix/smtpd[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-01T08:00:00Z",
	},
	{
		"2026-11-22T08:00:00.5+00:00 INFO    postfix/smtpd[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-22T08:00:00.5Z",
	},
	{
		"2026-11-22T08:00:00+00:00 mx [mail.info] postfix/smtpd[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-22T08:00:00Z",
	},
	{"Nov 22 08:00:00 mx mail:info postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"}, // AIX
	{"Nov 22 08:00:00 [postfix/smtpd] A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},                // metalog
	// macOS's log(1)
	{
		"2026-11-22 08:00:00.123456+0100  mx smtpd[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-22T07:00:00.123456Z",
	},
	// journalctl -o short-unix and with-unit; rsyslog's %programname%
	{"1795334400.123456 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00.123456Z"},
	{
		"Sun 2026-11-22 08:00:00.5 UTC mx postfix@-.service[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-22T08:00:00.5Z",
	},
	{"Nov 22 08:00:00 mx postfix: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{
		"Nov 22 08:00:00 mx postfix/smtpd[7]: message repeated 2 times: [ A1: client=x[203.0.113.9]]",
		"2026-11-22T08:00:00Z",
	},
	{"2026-11-22 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
	{"2026-11-22T08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00Z"},
}

// plainLine is the same in syslog's format; the date is in UTC, and so is the reader.
const plainLine = "Nov 22 08:00:00 mx postfix/smtpd[7]: A1: client=unknown[203.0.113.9]"

// The same as container engines and others carry it, at 08:00:00.5 where they say when.
var carriedTests = []struct{ line, time string }{
	// docker compose logs, in versions 1 and 2, on a terminal, and with -t
	{"mail_1  | " + plainLine, "2026-11-22T08:00:00Z"},
	{"postfix-mailcow-1    | " + plainLine, "2026-11-22T08:00:00Z"},
	{"\x1b[36mpostfix-mailcow-1    | \x1b[0m" + plainLine, "2026-11-22T08:00:00Z"},
	{"\x1b[36m\x1b[1mpostfix-1  |\x1b[0m " + plainLine, "2026-11-22T08:00:00Z"},
	{"smtp-1  | 2026-11-22T08:00:00.500000000Z " + plainLine, "2026-11-22T08:00:00.5Z"},
	// docker logs -t, with a syslog daemon in the container or not; the date in it is in its zone
	{"2026-11-22T08:00:00.500000000Z " + plainLine, "2026-11-22T08:00:00.5Z"},
	{"2026-11-22T22:00:00.500000000Z " + plainLine, "2026-11-22T22:00:00.5Z"},
	{"2026-11-23T22:00:00.500000000Z " + plainLine, "2026-11-22T08:00:00Z"}, // an older log, carried later
	{"2026-11-22T08:00:00.5Z 2026-11-22T08:00:00.25+00:00 " + plainLine[16:], "2026-11-22T08:00:00.25Z"},
	{
		"2026-11-22T08:00:00.500000000Z postfix/smtpd[7]: A1: client=unknown[203.0.113.9]",
		"2026-11-22T08:00:00.5Z",
	},
	{"mx  | 2026-11-22T08:00:00.5Z postfix/smtpd[7]: A1: client=unknown[203.0.113.9]", "2026-11-22T08:00:00.5Z"},
	{"2027-01-01T00:30:00.5Z Dec 31 23:30:00" + plainLine[15:], "2027-01-01T00:30:00.5Z"},
	// docker service logs -t
	{"2026-11-22T08:00:00.500000000Z mail_postfix.1.x1y2z3@node1    | " + plainLine, "2026-11-22T08:00:00.5Z"},
	// docker's json-file, with --log-opt labels
	{
		`{"log":"` + plainLine + `\n","stream":"stdout","time":"2026-11-22T08:00:00.5Z"}`,
		"2026-11-22T08:00:00.5Z",
	},
	{
		`{"log":"` + plainLine + `\r\n","stream":"stderr","attrs":{"a":"b"},"time":"2026-11-22T09:00:00.5+01:00"}`,
		"2026-11-22T08:00:00.5Z",
	},
	// docker's journald, syslog and local drivers; Podman's
	{"Nov 22 08:00:01 host 2cd046d5fadc[99]: " + plainLine, "2026-11-22T08:00:01Z"},
	{"Nov 22 08:00:01 host docker/2cd046d5fadc[99]: " + plainLine, "2026-11-22T08:00:01Z"},
	{"<30>1 2026-11-22T08:00:00.5Z host postfix-1 99 postfix-1 - " + plainLine, "2026-11-22T08:00:00.5Z"},
	{
		`{"__REALTIME_TIMESTAMP":"1795334400500000","_HOSTNAME":"host","SYSLOG_IDENTIFIER":"2cd046d5fadc",` +
			`"_COMM":"dockerd","MESSAGE":"` + plainLine + `"}`, "2026-11-22T08:00:00.5Z",
	},
	{"Nov 22 08:00:01 host docker-compose[99]: mail-1  | " + plainLine, "2026-11-22T08:00:01Z"},
	{"2cd046d5fadc " + plainLine, "2026-11-22T08:00:00Z"}, // podman pod logs
	// Kubernetes: CRI, kubectl logs --timestamps --prefix, stern
	{"2026-11-22T08:00:00.500000000Z stdout F " + plainLine, "2026-11-22T08:00:00.5Z"},
	{"2026-11-22T09:00:00.500000000+01:00 stderr F " + plainLine, "2026-11-22T08:00:00.5Z"},
	{"[pod/mail-0/postfix] " + plainLine, "2026-11-22T08:00:00Z"},
	{"[pod/mail-0/postfix] 2026-11-22T08:00:00.500000000Z " + plainLine, "2026-11-22T08:00:00.5Z"},
	{"[postfix] | " + plainLine, "2026-11-22T08:00:00Z"}, // podman-compose
	{"mail-0 postfix " + plainLine, "2026-11-22T08:00:00Z"},
	{"mail-0 postfix 2026-11-22T08:00:00.500000000Z " + plainLine, "2026-11-22T08:00:00.5Z"},
	// s6-log, svlogd, multilog, supervisord
	{"@400000006b02a10a1dcd6500 " + plainLine, "2026-11-22T08:00:00.5Z"},
	{"@40ffffffffffffff00000000 " + plainLine, "2026-11-22T08:00:00Z"}, // in no year of ours
	{"2026-11-22 08:00:00.500000000  " + plainLine, "2026-11-22T08:00:00.5Z"},
	{"2026-11-22_08:00:00.50000 " + plainLine, "2026-11-22T08:00:00.5Z"},
	{"postfix stdout | " + plainLine, "2026-11-22T08:00:00Z"},
	// grep and zgrep
	{"/var/log/mail.log.2.gz:" + plainLine, "2026-11-22T08:00:00Z"},
	{"maillog:17:" + plainLine, "2026-11-22T08:00:00Z"},
	{"17:" + plainLine, "2026-11-22T08:00:00Z"},
	// a relay of syslog
	{"<22>Nov 22 08:00:01 192.0.2.1 " + plainLine, "2026-11-22T08:00:01Z"},
	{"2026-11-22T08:00:00.5Z 192.0.2.1 <22>" + plainLine, "2026-11-22T08:00:00.5Z"},
	// collectors, which may read a file long after
	{
		`{"@timestamp":"2026-11-22T10:00:00.000Z","agent":{"type":"filebeat"},"host":{"name":"host"},` +
			`"log":{"file":{"path":"mail.log"},"offset":1},"message":"` + plainLine + `"}`, "2026-11-22T08:00:00Z",
	},
	{
		`{"@timestamp":"2026-11-22T08:00:00.500Z","host":{"name":"mx"},"process":{"name":"postfix/smtpd","pid":7},` +
			`"message":"A1: client=unknown[203.0.113.9]"}`, "2026-11-22T08:00:00.5Z",
	},
	{
		`{"appname":"postfix/smtpd","facility":"mail","hostname":"mx","message":"A1: client=unknown[203.0.113.9]",` +
			`"procid":7,"timestamp":"2026-11-22T08:00:00.500Z"}`, "2026-11-22T08:00:00.5Z",
	},
	{
		`{"msg":" A1: client=unknown[203.0.113.9]","timereported":"2026-11-22T08:00:00.5Z","hostname":"mx",` +
			`"syslogtag":"postfix/smtpd[7]:","programname":"postfix"}`, "2026-11-22T08:00:00.5Z",
	},
	{
		`{"PROGRAM":"postfix/smtpd","PID":"7","MESSAGE":"A1: client=unknown[203.0.113.9]","HOST":"mx",` +
			`"DATE":"Nov 22 08:00:00"}`, "2026-11-22T08:00:00Z",
	},
	{
		`{"time":"2026-11-22 09:00:00 +0100","host":"mx","ident":"postfix/smtpd","pid":"7",` +
			`"message":"A1: client=unknown[203.0.113.9]"}`, "2026-11-22T08:00:00Z",
	},
	{"2026-11-22T08:00:00Z\tpostfix\t" + `{"log":"` + plainLine + `"}`, "2026-11-22T08:00:00Z"},
	{
		`{"labels":{"app":"postfix"},"line":"` + plainLine + `","timestamp":"2026-11-22T08:00:00.5Z"}`,
		"2026-11-22T08:00:00Z",
	},
	{`2026-11-22T08:00:00.5Z {app="postfix", pod="mail-0"} ` + plainLine, "2026-11-22T08:00:00.5Z"},
	{
		`{"timestamp":1795334400500,"message":"postfix/smtpd[7]: A1: client=x[203.0.113.9]"}`,
		"2026-11-22T08:00:00.5Z",
	},
	{`{"textPayload":"` + plainLine + `","timestamp":"2026-11-22T08:00:00.5Z"},`, "2026-11-22T08:00:00Z"},
	{`[{"_source":{"short_message":"` + plainLine + `","timestamp":1795334400.5}}]`, "2026-11-22T08:00:00Z"},
	{"2026-11-22T08:00:00.5+00:00 mail/postfix/1a2b " + plainLine, "2026-11-22T08:00:00.5Z"}, // aws logs tail
	// journalctl -o json-sse and json-seq
	{"data: " + journalLine, "2026-11-22T08:00:00.123456Z"},
	{"\x1e" + journalLine, "2026-11-22T08:00:00.123456Z"},
	{
		"postfix-1  | " + `{"log":"\u001b[32m` + plainLine + `","stream":"stdout","time":"2026-11-22T08:00:00.5Z"}`,
		"2026-11-22T08:00:00.5Z",
	},
	{
		"Nov 22 08:00:01 host exim-1[99]: 2026-11-22 08:00:00 1abcDE-000123-4F <= <> H=[203.0.113.9] P=esmtp",
		"2026-11-22T08:00:01Z",
	},
}

// A record of several lines is one, at its last; what is torn is reported.
func TestBlocks(t *testing.T) {
	const pretty = "{\n\t\"__REALTIME_TIMESTAMP\" : \"1795334400123456\",\n\t\"_HOSTNAME\" : \"mx\",\n" +
		"\t\"SYSLOG_IDENTIFIER\" : \"postfix/smtpd\",\n\t\"MESSAGE\" : \"A1: client=unknown[203.0.113.9]\"\n}\n"
	const export = "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795334400123456\n_HOSTNAME=mx\n" +
		"SYSLOG_IDENTIFIER=postfix/smtpd\nMESSAGE=A2: client=unknown[203.0.113.9]\n"
	const container = `{"log":"` + plainLine + `\n","stream":"stdout","time":"2026-11-22T08:00:00Z"}`
	long := strings.Repeat("x", maxPart)
	const torn = "cannot parse the line or its date: "
	for _, tt := range []logTest{
		{
			pretty + "{\n  \"log\": \"" + plainLine + "\",\n  \"time\": \"2026-11-22T08:00:00Z\"\n},",
			[]string{"6 203.0.113.9 <> [] A1", "10 203.0.113.9 <> [] A1"},
		},
		{
			export + "\n" + strings.ReplaceAll(export, "A2", "A3"),
			[]string{"6 203.0.113.9 <> [] A2", "12 203.0.113.9 <> [] A3"},
		},
		{
			"{\n" + plainLine + "\n{\n\n{\n  " + plainLine,
			[]string{"log:6: " + torn + `"{\n  ` + plainLine + `\n}"`, "2 203.0.113.9 <> [] A1"},
		},
		{
			"__CURSOR=s=1;i=2\nMESSAGE\nSYSLOG_IDENTIFIER=postfix/smtpd",
			[]string{"log:3: " + torn + `"SYSLOG_IDENTIFIER=postfix/smtpd"`},
		},
		// parts of a line in a container's log; others come between
		{
			"2026-11-22T08:00:00Z stdout P Nov 22 08:00:00 mx postfix/smt\n" +
				"2026-11-22T08:00:00Z stderr F Nov 22 08:00:00 mx postfix/smtpd[7]: A2: client=unknown[203.0.113.10]\n" +
				"2026-11-22T08:00:01Z stdout P pd[7]: A1: clie\n" +
				"2026-11-22T08:00:01Z stdout F nt=unknown[203.0.113.9]",
			[]string{"2 203.0.113.10 <> [] A2", "4 203.0.113.9 <> [] A1"},
		},
		{ // the rest of a long line is no line
			`{"log":"` + long + `","stream":"stdout","time":"2026-11-22T08:00:00Z"}` + "\n" + container + "\n" + container,
			[]string{`log:2: ` + torn + strconv.Quote(container), "3 203.0.113.9 <> [] A1"},
		},
	} {
		compare(t, tt.log[:min(len(tt.log), 1000)], readLog(tt.log), tt.want...)
	}
}

func TestLineFormats(t *testing.T) {
	for _, tt := range slices.Concat(formTests, carriedTests) {
		n := 0
		for h, err := range Log("log", strings.NewReader(tt.line+"\r\n"), today) {
			n++
			if err != nil || h.Client != netip.MustParseAddr("203.0.113.9") || h.QueueID == "" ||
				h.Time.UTC().Format(time.RFC3339Nano) != tt.time || h.Place != "log:1" {
				t.Errorf("%s: %+v, %v; want %s", tt.line, h, err, tt.time)
			}
			if strings.Contains(tt.line, "mx") && h.By != "mx" {
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
		// in an envelope that nobody knows, or without any date
		{"smtp> " + plainLine, broken + `"smtp> ` + plainLine + `"`},
		{
			"postfix/smtpd[7]: connect from x[203.0.113.9]",
			broken + `"postfix/smtpd[7]: connect from x[203.0.113.9]"`,
		},
		{"mail-1  | postfix/cleanup[7]: A1: x", broken + `"mail-1  | postfix/cleanup[7]: A1: x"`},
		{"[ 12.345678] mx sm-mta[7]: A1: x", broken + `"[ 12.345678] mx sm-mta[7]: A1: x"`},
		{"25/09/2026, 18:28:34 | info | NOQUEUE: x", broken + `"25/09/2026, 18:28:34 | info | NOQUEUE: x"`},
		{
			"  9 H=(x) [203.0.113.9] rejected RCPT <b@y>: x",
			broken + `"  9 H=(x) [203.0.113.9] rejected RCPT <b@y>: x"`,
		},
		{date + "logger[1]: mail: exim[7]: x", broken + `"` + date + `logger[1]: mail: exim[7]: x"`},
		{`{"app":"postfix/smtpd"}`, broken + `"{\"app\":\"postfix/smtpd\"}"`},
		// what clients wrote
		{
			date + "sshd[1]: Invalid user " + plainLine,
			broken + `"` + date + `sshd[1]: Invalid user ` + plainLine + `"`,
		},
		{"web-1  | GET " + plainLine, broken + `"web-1  | GET ` + plainLine + `"`},
		{
			"2026-11-22T08:00:00Z Invalid user " + plainLine,
			broken + `"2026-11-22T08:00:00Z Invalid user ` + plainLine + `"`,
		},
		{`{"app":"web","msg":"x","ts":1795334400.5}`, ""},
		{`nginx-1  | 192.0.2.1 - - [22/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200`, ""},
		{
			`nginx-1  | 192.0.2.1 - - [x] "GET /` + plainLine,
			broken + `"nginx-1  | 192.0.2.1 - - [x] \"GET /` + plainLine + `"`,
		},
		{"rspamd-1  | 2026-11-22 08:00:00 #38(normal) <a>; task; x", ""},
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
