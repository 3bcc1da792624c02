package past

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// exchange returns lines of a receive connector's log, each of a session: "1 < EHLO friend" is an event
// with its data, and "1 * DATA | CONTEXT" has a context, too. Other lines are taken as they are.
func exchange(text string) string {
	var log []string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if part := strings.SplitN(line, " ", 3); len(part) > 1 && len(part[0]) == 1 && len(part[1]) == 1 {
			said, context, _ := strings.Cut(strings.Join(part[2:], ""), " | ")
			if strings.ContainsAny(said, `,"`) {
				said = `"` + strings.ReplaceAll(said, `"`, `""`) + `"`
			}
			line = fmt.Sprintf(`2026-11-22T08:00:00.123Z,EX01\Default Frontend EX01,08DE29A00000000%s,7,`+
				`192.0.2.25:25,203.0.113.%s:40001,%s,%s,%s`, part[0], part[0], part[1], said, context)
		}
		log = append(log, line)
	}
	return strings.Join(log, "\n")
}

func TestExchange(t *testing.T) { testLogs(t, exchangeTests) }

var exchangeTests = []logTest{
	{ // a probe of a load balancer, and a client that only logs in: nobody sends mail
		exchange("1 +\n1 > 220 mx.example.net Microsoft ESMTP MAIL Service ready\n1 - | Remote(SocketError)\n" +
			"2 +\n2 > 220 mx\n2 < EHLO a\n2 > 250-mx Hello\n2 > 250 XRDST\n2 < AUTH LOGIN\n2 > 535 5.7.3 no\n2 -"),
		nil,
	},
	{ // refused when it connected
		exchange("1 +\n1 > 421 4.3.2 Service not available\n1 - | Local"),
		[]string{"2 203.0.113.1 <> [] 08DE29A000000001"},
	},
	{ // a HELO is refused, then another one is taken; each counts, also that before STARTTLS
		exchange("1 +\n1 > 220 mx\n1 < EHLO a_b\n1 > 501 5.5.4 Invalid domain name\n1 < HELO a\n1 > 250 mx Hello [203.0.113.1]\n" +
			"1 < EHLO b\n1 > 250 mx Hello\n1 < MAIL FROM:<c@example.org>\n1 > 250 2.1.0 Sender OK\n1 -"),
		[]string{
			"9 203.0.113.1 helo=b after [a_b a] <c@example.org> [] 08DE29A000000001",
			"4 203.0.113.1 helo=a_b <> [] 08DE29A000000001",
		},
	},
	{ // no HELO; and the beginning of the session is in the file before
		exchange("1 +\n1 > 220 mx\n1 < mail from: <a@example.org>\n1 > 503 5.5.2 Send hello first\n1 -\n" +
			"2 < MAIL FROM:<b@example.org>\n3 < RCPT TO:<c@example.net>\n3 > 250 2.1.5 Recipient OK"),
		[]string{
			"3 203.0.113.1 helo= <a@example.org> [] 08DE29A000000001",
			"6 203.0.113.2 <b@example.org> [] 08DE29A000000002",
		},
	},
	{ // two messages in a session, and one that was given up; a login between them
		exchange("1 < EHLO a\n1 < MAIL FROM:<b@example.org>\n1 < RCPT TO:<c@example.net>\n1 < RSET\n1 < AUTH NTLM\n" +
			"1 * EXAMPLE\\erin | authenticated\n1 < MAIL FROM:<>\n1 < RCPT TO:<d@example.net>\n1 < RCPT TO:<e@example.net>"),
		[]string{
			"2 203.0.113.1 helo=a <b@example.org> [c@example.net] 08DE29A000000001",
			"7 203.0.113.1 helo=a user <> [d@example.net e@example.net] 08DE29A000000001",
		},
	},
	{ // another host of the organisation logs in by X-EXPS; its password and that of users are not in the log
		exchange("1 < EHLO ex02.example.net\n1 < X-ANONYMOUSTLS\n1 > 220 2.0.0 SMTP server ready\n" +
			"1 < EHLO ex02.example.net\n1 < X-EXPS EXCHANGEAUTH SHA256\n1 > 235 <authentication response>\n" +
			"1 < XPROXYFROM SID=1 IP=203.0.113.77 PORT=40001 DOMAIN=friend SEQNUM=1\n1 < MAIL FROM:<a@example.org>"),
		[]string{"8 203.0.113.1 helo=ex02.example.net user <a@example.org> [] 08DE29A000000001"},
	},
	{ // what a client says is no answer, no event and no context
		exchange("1 < EHLO 235 2.7.0 ,authenticated\n1 < 235 ok\n1 < MAIL FROM:<\"a\" b,c@example.org>"),
		[]string{`3 203.0.113.1 helo=235 2.7.0 ,authenticated <"a"> [] 08DE29A000000001`},
	},
	{ // lines that cannot be read
		exchange("1 < EHLO a\n1 < MAIL FROM:<b@example.org>\n2026-11-22T08:00:00.123Z,EX01\\a,08DE,7,192.0.2.25:2\n" +
			"2026-11-22T08:00:00.123Z,EX01\\a,08DE,7,192.0.2.25:25,somebody,<,EHLO friend,"),
		[]string{
			`log:3: cannot parse the line or its date: "2026-11-22T08:00:00.123Z,EX01\\a,08DE,7,192.0.2.25:2"`,
			`log:4: cannot parse the client: "somebody"`,
			"2 203.0.113.1 helo=a <b@example.org> [] 08DE29A000000001",
		},
	},
	{ // other logs of Exchange, and one of a receive connector after them
		exchange("\ufeff#Software: Microsoft Exchange Server\n#Log-type: Message Tracking Log\n#Fields: date-time,client-ip\n" +
			"2026-11-22T08:00:00.123Z,203.0.113.9,mail.example.org,,,,,SMTP,RECEIVE\n" +
			"\ufeff#Software: Microsoft Exchange Server\n#Log-type: SMTP Send Protocol Log\n1 > EHLO a\n1 > MAIL FROM:<a@example.org>\n" +
			"#Log-type: Transport Connectivity Log\n2026-11-22T08:00:00.123Z,08DE,SMTP,example.org,+,DnsConnectorDelivery\n" +
			"#Log-type: SMTP Receive Protocol Log\n1 < EHLO a\n1 < MAIL FROM:<b@example.org>"),
		[]string{
			"log:2: " + exchangeTracking, "log:6: " + exchangeSends,
			`log:9: ` + exchangeOther + `: "Transport Connectivity Log"`,
			"13 203.0.113.1 helo=a <b@example.org> [] 08DE29A000000001",
		},
	},
	{ // a send connector's log without its header
		exchange("1 < 220 mx.example.org\n1 > EHLO a\n1 > MAIL FROM:<a@example.org>\n1 > RCPT TO:<b@example.org>"),
		[]string{"log:2: " + exchangeSends},
	},
}

// A log with all that a front end writes of three sessions: two at a time, in a file of its own and in one
// that others were joined to.
func TestExchangeFile(t *testing.T) {
	text, err := os.ReadFile("testdata/exchange.log")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"23 203.0.113.9 helo=mail.example.org <alice@example.org> [bob@example.net carol@example.net] 08DE29A000000001",
		"31 2001:db8::9 helo=friend <> [relay@elsewhere.example] 08DE29A000000002",
		`38 203.0.113.9 helo=mail.example.org <"a, b"@example.org> [dave@example.net] 08DE29A000000001`,
		"67 203.0.113.77 helo=laptop user <erin@example.net> [alice@example.org] 08DE29A000000003",
	}
	compare(t, "exchange.log", readLog(string(text)), want...)
	for h, err := range Log("log", strings.NewReader(string(text)), today) {
		if local := "192.0.2.25 2001:db8::25"; err != nil || h.By != "mx.example.net" || !strings.Contains(local, h.Local.String()) {
			t.Errorf("%v: by %s at %s", err, h.By, h.Local)
		}
	}
}

// Sessions that never end do not pile up, and neither do the greetings of one.
func TestExchangeMemory(t *testing.T) {
	l := newLogReader("log", today)
	for i := range 2 * maxOpen {
		l.read(strings.ReplaceAll(exchange("1 < MAIL FROM:<a@example.org>"), "08DE29A000000001", fmt.Sprint(i)))
	}
	if l.messages.Len() != maxOpen || l.sessions.Len() != maxOpen || len(l.ready) != maxOpen {
		t.Errorf("%d messages, %d sessions, %d ready", l.messages.Len(), l.sessions.Len(), len(l.ready))
	}
	for i := range 100 {
		l.read(exchange(fmt.Sprintf("1 < EHLO friend%d", i)))
	}
	l.read(exchange("1 < MAIL FROM:<a@example.org>"))
	l.end()
	last := l.ready[len(l.ready)-1].hop
	if len(last.Earlier) != maxGreetings || slices.Contains(last.Earlier, last.Helo) || last.Helo != "friend99" {
		t.Errorf("%q after %q", last.Helo, last.Earlier)
	}
}
