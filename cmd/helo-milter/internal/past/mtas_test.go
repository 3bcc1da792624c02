package past

import (
	"regexp"
	"strings"
	"testing"
)

// A logTest is a log, and its hops and errors as readLog writes them.
type logTest struct {
	log  string
	want []string
}

func postfix(text string) string  { return lines("Nov 22 08:00:00 mx postfix/", "smtpd", "[7]: ", text) }
func sendmail(text string) string { return lines("Nov 22 08:00:00 mx sm-mta[7]: ", "", "", text) }
func exim(text string) string     { return lines("2026-11-22 08:00:00 ", "", "", text) }

// lines makes a log of the lines of text, each between before+daemon+after and its end. "NAME| " at the
// beginning of a line replaces daemon by NAME; a backslash at the end of a line joins it with the next.
func lines(before, daemon, after, text string) string {
	var log []string
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "")
	for line := range strings.SplitSeq(text, "\n") {
		name, said, other := strings.Cut(strings.TrimSpace(line), "| ")
		if !other {
			name, said = daemon, name
		}
		log = append(log, before+name+after+said)
	}
	return strings.Join(log, "\n")
}

// inJSON returns a log as docker's json-file.
func inJSON(log string) string {
	const before, after = `{"log":"`, `\n","stream":"stdout","time":"2026-02-02T16:07:16.123456789Z"}`
	return before + strings.ReplaceAll(log, "\n", after+"\n"+before) + after
}

func testLogs(t *testing.T, tests []logTest) {
	for _, tt := range tests {
		compare(t, tt.log, readLog(tt.log), tt.want...)
	}
}

func TestPostfix(t *testing.T)  { testLogs(t, postfixTests) }
func TestSendmail(t *testing.T) { testLogs(t, sendmailTests) }
func TestExim(t *testing.T)     { testLogs(t, eximTests) }

// Logs as people have them, with where each was posted; names and addresses are those of documentation.
func TestPostedLogs(t *testing.T) { testLogs(t, postedLogs) }

var postedLogs = []logTest{
	{ // docker's json-file: mailcow/mailcow-dockerized#2786, huan/docker-simple-mail-forwarder#48
		inJSON(lines("Feb  2 16:07:16 2cd046d5fadc postfix/", "smtpd", "[379]: ",
			`connect from mail.example.org[203.0.113.9]
			NOQUEUE: reject: RCPT from mail.example.org[203.0.113.9]: 550 5.1.1 <b@example.net>: no; \
				from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<mail.example.org>
			disconnect from mail.example.org[203.0.113.9] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4`)),
		[]string{"2 203.0.113.9 confirmed=mail.example.org helo=mail.example.org <a@example.org> [b@example.net]"},
	},
	{ // Postfix on SmartOS: syslogd's message ids
		lines("Oct  5 23:45:10 mx postfix/smtpd[14020]: [ID 197553 mail.info] ", "", "",
			`connect from mail.example.org[203.0.113.9]
			A1: client=mail.example.org[203.0.113.9]
			disconnect from mail.example.org[203.0.113.9]`),
		[]string{"2 203.0.113.9 confirmed=mail.example.org <> [] A1"},
	},
	{ // docker compose logs, with all containers: mailcow/mailcow-dockerized#6222
		`Attaching to nginx-mailcow-1, postfix-mailcow-1, rspamd-mailcow-1
postfix-mailcow-1    | Nov 19 16:53:10 e3267ec97ed3 postfix/postscreen[446]: CONNECT from [203.0.113.9]:42586 to [192.0.2.25]:25
nginx-mailcow-1      | 192.0.2.53 - - [19/Nov/2026:16:53:10 +0100] "GET /forwardinghosts.php?host=203.0.113.9 HTTP/1.1" 200 19
postfix-mailcow-1    | Nov 19 16:53:10 e3267ec97ed3 whitelist_forwardinghosts: Look up 203.0.113.9 on whitelist, result 200 DUNNO
watchdog-mailcow-1   | Thu Nov 19 16:53:11 CET 2026 Postfix health level: 100% (8/8), health trend: 0
postfix-mailcow-1    | Nov 19 16:53:11 e3267ec97ed3 postfix/postscreen[446]: PASS OLD [203.0.113.9]:42586
postfix-mailcow-1    | Nov 19 16:53:11 e3267ec97ed3 postfix/smtpd[464]: warning: hostname a.example.org does not ` +
			`resolve to address 203.0.113.9: Name or service not known
postfix-mailcow-1    | Nov 19 16:53:11 e3267ec97ed3 postfix/smtpd[464]: connect from unknown[203.0.113.9]
postfix-mailcow-1    | Nov 19 16:53:11 e3267ec97ed3 postfix/smtpd[464]: 404A7E18D9: client=unknown[203.0.113.9]
postfix-mailcow-1    | Nov 19 16:53:11 e3267ec97ed3 postfix/cleanup[465]: 404A7E18D9: message-id=<>
rspamd-mailcow-1     | 2026-11-19 16:53:11 #39(normal) <4ab3>; task; rspamd_task_write_log: id: <undef>, ip: 203.0.113.9
postfix-mailcow-1    | Nov 19 16:53:12 e3267ec97ed3 postfix/cleanup[465]: 404A7E18D9: milter-reject: ` +
			`END-OF-MESSAGE from unknown[203.0.113.9]: 5.7.1 no; from=<a@x> to=<b@y> proto=ESMTP helo=<friend>
dovecot-mailcow-1    | Nov 19 16:53:12 2cd046d5fadc dovecot: imap-login: Login: user=<b@y>, rip=192.0.2.7`,
		[]string{"9 203.0.113.9 forged=a.example.org helo=friend <a@x> [b@y] 404A7E18D9"},
	},
	{ // boky/postfix with its own rsyslog: bokysan/docker-postfix#52
		lines("2026-01-26T17:47:29.762763+01:00 INFO    postfix/smtpd[134]: ", "", "",
			`connect from localhost[127.0.0.1]
			NOQUEUE: reject: EHLO from localhost[127.0.0.1]: 504 5.5.2 no; proto=SMTP helo=<localhost>`),
		[]string{"2 127.0.0.1 confirmed=localhost helo=localhost <> []"},
	},
	{ // Alpine, and Exim with another program's date before its own
		"Mar 22 07:45:01 backup mail.info postfix/smtpd[1080]: 8095C171A: client=localhost[::1]\n" +
			"2026-04-01 11:08:00 info exim[8003]: [8003] H=(User) [203.0.113.9]:4816 I=[192.0.2.1]:25 Ci=8003 " +
			"F=<a@x> rejected RCPT <b@y>: no",
		[]string{"2 203.0.113.9 helo=User <a@x> [b@y]", "1 ::1 confirmed=localhost <> [] 8095C171A"},
	},
}

var postfixTests = []logTest{
	{ // a message from arrival to removal
		postfix(`connect from mail.example.org[203.0.113.9]
			A1: client=mail.example.org[203.0.113.9]
			cleanup| A1: message-id=<1@x>
			qmgr| A1: from=<a@x>, size=1, nrcpt=2 (queue active)
			local| A1: to=<b@mx>, orig_to=<b@y>, relay=local, status=sent
			smtp| A1: to=<c@y>, relay=x[192.0.2.1]:25, status=deferred (later)
			smtp| A1: to=<c@y>, relay=x[192.0.2.1]:25, status=sent
			qmgr| A1: removed
			qmgr| A1: from=<nobody@x>, size=1, nrcpt=2 (queue active)`),
		[]string{"2 203.0.113.9 confirmed=mail.example.org <a@x> [b@y c@y] A1"},
	},
	// A warning applies to the next connection only.
	{
		postfix(`warning: hostname forged.example.org does not resolve to address 203.0.113.9
			connect from unknown[203.0.113.9]
			A1: client=unknown[203.0.113.9]
			disconnect from unknown[203.0.113.9]
			connect from unknown[203.0.113.9]
			A2: client=unknown[203.0.113.9]`),
		[]string{"3 203.0.113.9 forged=forged.example.org <> [] A1", "6 203.0.113.9 <> [] A2"},
	},
	{
		postfix(`warning: hostname a.example.org does not resolve to address 2001:db8::9: Name or service not known
			connect from unknown[2001:db8::9]
			A1: client=unknown[2001:db8::9]`),
		[]string{"3 2001:db8::9 forged=a.example.org <> [] A1"},
	},
	{ // a failed lookup makes no name forged
		postfix(`warning: hostname a.example.org does not resolve to address 203.0.113.9: Temporary failure in \
				name resolution
			connect from unknown[203.0.113.9]
			A1: client=unknown[203.0.113.9]`),
		[]string{"3 203.0.113.9 unchecked=a.example.org <> [] A1"},
	},
	{
		postfix(`warning: 203.0.113.9: address not listed for hostname A.example.org
			connect from unknown[203.0.113.9]
			A1: client=unknown[203.0.113.9]:4711, sasl_method=PLAIN, sasl_username=a`),
		[]string{"3 203.0.113.9 forged=a.example.org user <> [] A1"},
	},
	{ // recipients are one attempt, another sender is another one, and a HELO applies to what follows
		postfix(`NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 550 5.1.1 <b@y>: x; \
				from=<a@x> to=<b@y> proto=ESMTP helo=<friend>
			NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 550 5.1.1 <c@y>: x; \
				from=<a@x> to=<c@y> proto=ESMTP helo=<friend>
			NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 550 5.1.1 <c@y>: x; \
				from=<> to=<c@y> proto=ESMTP helo=<friend>
			A1: client=unknown[203.0.113.9]
			disconnect from unknown[203.0.113.9]`),
		[]string{
			"1 203.0.113.9 helo=friend <a@x> [b@y c@y]",
			"3 203.0.113.9 helo=friend <> [c@y]",
			"4 203.0.113.9 helo=friend <> [] A1",
		},
	},
	{ // an authenticated client is one also if it is refused, on any port
		postfix(`NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 <b@y>: Relay access denied; \
				from=<a@x> to=<b@y> proto=ESMTP helo=<friend>
			submission/smtpd| NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 550 5.1.1 <b@y>: x; \
				from=<a@x> to=<b@y> proto=ESMTP helo=<friend> sasl_username=<a>
			A1: client=unknown[203.0.113.9], sasl_method=PLAIN, sasl_username=a, sasl_sender=c@x
			A2: client=unknown[203.0.113.9]
			A2: reject: RCPT from unknown[203.0.113.9]: 550 5.1.1 <c@y>: x; \
				from=<a@x> to=<c@y> proto=ESMTP helo=<friend> sasl_username=<a>`),
		[]string{
			"1 203.0.113.9 helo=friend <a@x> [b@y]",
			"2 203.0.113.9 helo=friend user <a@x> [b@y]",
			"3 203.0.113.9 helo=friend user <> [] A1",
			"4 203.0.113.9 helo=friend user <> [] A2",
		},
	},
	{ // fields forged by the client
		postfix(`A1: client=unknown[203.0.113.9], sasl_sender=a, sasl_username=b
			NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 550 5.1.1 x; \
				from=<a@x> to=<"> sasl_username=<a>"@y> proto=ESMTP helo=<friend?>`),
		[]string{
			`2 203.0.113.9 helo=friend? <a@x> ["> sasl_username=<a>"@y]`, "1 203.0.113.9 <> [] A1",
		},
	},
	{ // a client that cannot be parsed
		postfix(`connect from somewhere else
			connect from unknown[unknown]
			connect from mail.example.org[203.0.113.9]:4711
			A1: client=somewhere else`),
		[]string{
			`log:1: cannot parse the client: "somewhere else"`,
			`log:4: cannot parse the client: "somewhere else"`,
		},
	},
	{ // another HELO is another attempt, and so is a later one
		postfix(`NOQUEUE: reject: EHLO from unknown[203.0.113.9]: 504 5.5.2 x; proto=SMTP helo=<a>
			NOQUEUE: reject: EHLO from unknown[203.0.113.9]: 504 5.5.2 x; proto=SMTP helo=<b>
			NOQUEUE: reject: MAIL from unknown[203.0.113.9]: 503 5.5.1 x; from=<> proto=SMTP`) +
			"\nNov 22 08:05:00 mx postfix/smtpd[7]: NOQUEUE: reject: EHLO from unknown[203.0.113.9]: " +
			"504 5.5.2 x; proto=SMTP helo=<b>",
		[]string{
			"1 203.0.113.9 helo=a <> []", "2 203.0.113.9 helo=b <> []", "4 203.0.113.9 helo=b <> []",
		},
	},
	{ // a reused queue id
		postfix(`A1: client=unknown[203.0.113.9]
			A1: client=unknown[203.0.113.10]`),
		[]string{"1 203.0.113.9 <> [] A1", "2 203.0.113.10 <> [] A1"},
	},
	{ // details forged by the client
		postfix(`NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 550 5.1.1 <" proto=SMTP helo=<x>; \
				from=<y>"@y>: no; from=<a@x> to=<" proto=SMTP helo=<x>"@y> proto=ESMTP helo=<friend>`),
		[]string{`1 203.0.113.9 helo=friend <a@x> [" proto=SMTP helo=<x>"@y]`},
	},
	{ // before HELO, without HELO, and cut off
		postfix(`NOQUEUE: reject: CONNECT from unknown[203.0.113.9]: 554 5.7.1 x: Client host rejected; proto=SMTP
			disconnect from unknown[203.0.113.9]
			NOQUEUE: reject: MAIL from unknown[203.0.113.9]: 503 5.5.1 x; from=<a@x> proto=SMTP
			disconnect from unknown[203.0.113.9]
			NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 503 5.5.1 x; from=<a@x> to=<b@y> pr
			disconnect from unknown[203.0.113.9]
			NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 503 5.5.1 x; from=<a@x> to=<b@y> proto=ESMTP helo`),
		[]string{
			"1 203.0.113.9 <> []", "3 203.0.113.9 helo= <a@x> []", "5 203.0.113.9 <> []",
			"7 203.0.113.9 <a@x> [b@y]",
		},
	},
	{ // refused by a milter at the end of the message; logged by header_checks
		postfix(`A1: client=mail.example.org[203.0.113.9]
			cleanup| A1: milter-reject: END-OF-MESSAGE from mail.example.org[203.0.113.9]: 5.7.1 Spam; \
				from=<a@x> to=<b@y> proto=ESMTP helo=<mail.example.org>
			A2: client=mail.example.org[203.0.113.9]
			cleanup| A2: info: header Subject: ; proto=ESMTP helo=<x> from mail.example.org[203.0.113.9]; \
				from=<a@x> to=<b@y> proto=ESMTP helo=<mail.example.org>: text`),
		[]string{
			"1 203.0.113.9 confirmed=mail.example.org helo=mail.example.org <a@x> [b@y] A1",
			"3 203.0.113.9 confirmed=mail.example.org helo=mail.example.org <> [] A2",
		},
	},
	{ // a before-queue filter and an after-queue filter
		postfix(`connect from mail.example.org[203.0.113.9]
			NOQUEUE: client=mail.example.org[203.0.113.9]
			proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as A2; \
				from=<a@x> to=<b@y> proto=ESMTP helo=<mail.example.org>
			A2: client=localhost[127.0.0.1], orig_client=mail.example.org[203.0.113.9]
			NOQUEUE: proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject; \
				from=<c@x> to=<b@y> proto=ESMTP helo=<mail.example.org>`),
		[]string{
			"3 203.0.113.9 confirmed=mail.example.org helo=mail.example.org <a@x> [b@y]",
			"5 203.0.113.9 confirmed=mail.example.org helo=mail.example.org <c@x> [b@y]",
		},
	},
	{
		postfix(`postscreen| CONNECT from [203.0.113.9]:4711 to [192.0.2.25]:25
			postscreen| NOQUEUE: reject: RCPT from [203.0.113.9]:4711: 550 5.7.1 no; \
				from=<a@x>, to=<b@y>, proto=ESMTP, helo=<friend>
			postscreen| CONNECT from [203.0.113.10]:4711 to [192.0.2.25]:25
			postscreen| NOQUEUE: reject: CONNECT from [203.0.113.10]:4711: too many connections
			postscreen| DISCONNECT [203.0.113.10]:4711`),
		[]string{"4 203.0.113.10 <> []", "2 203.0.113.9 helo=friend <a@x> [b@y]"},
	},
	{ // what postscreen logs without a HELO is no attempt to hand over mail
		postfix(`postscreen| PREGREET 14 after 0.07 from [203.0.113.9]:4711: EHLO friend\r\n
			postscreen| DNSBL rank 9 for [203.0.113.9]:4711
			postscreen| BARE NEWLINE from [203.0.113.9]:4711 after HELO
			postscreen| COMMAND PIPELINING from [203.0.113.9]:4711 after EHLO: MAIL FROM:<a@x>
			postscreen| COMMAND TIME LIMIT from [203.0.113.9]:4711 after CONNECT
			postscreen| NON-SMTP COMMAND from [203.0.113.9]:4711 after CONNECT: GET /
			postscreen| HANGUP after 0.5 from [203.0.113.9]:4711 in tests after SMTP handshake
			postscreen| DISCONNECT [203.0.113.9]:4711
			postscreen| PASS NEW [203.0.113.10]:4711`),
		nil,
	},
	{ // milters at each stage; the client of a message that arrived before the log begins
		postfix(`NOQUEUE: milter-reject: CONNECT from unknown[203.0.113.9]: 550 5.7.1 no; proto=SMTP
			NOQUEUE: milter-reject: EHLO from unknown[203.0.113.9]: 550 5.7.1 no; proto=SMTP helo=<friend>
			NOQUEUE: milter-reject: RCPT from unknown[203.0.113.10]: 451 4.7.1 later; \
				from=<a@x> to=<b@y> proto=ESMTP helo=<friend>
			4Z1abc2DEfz5vGt: milter-hold: RCPT from unknown[203.0.113.10]: greylisted; \
				from=<a@x> to=<c@y> proto=ESMTP helo=<friend>
			out/cleanup| 4Z1abc2DEfz5vGt: milter-reject: END-OF-MESSAGE from mail.example.org[203.0.113.11]: \
				4.7.1 Try again later; from=<a@x> to=<b@y> proto=ESMTP helo=<mail.example.org>`),
		[]string{
			"1 203.0.113.9 <> []", "2 203.0.113.9 helo=friend <> []",
			"5 203.0.113.11 confirmed=mail.example.org helo=mail.example.org <a@x> [b@y]",
			"3 203.0.113.10 helo=friend <a@x> [b@y]",
		},
	},
	{ // actions that refuse nothing show the HELO
		postfix(`NOQUEUE: filter: RCPT from unknown[203.0.113.9]: <b@y>: Recipient address triggers FILTER \
				smtp:[127.0.0.1]:10024; from=<a@x> to=<b@y> proto=ESMTP helo=<friend>
			A1: client=unknown[203.0.113.9]
			disconnect from unknown[203.0.113.9]
			NOQUEUE: reject_warning: RCPT from unknown[203.0.113.9]: 550 5.7.1 no; \
				from=<a@x> to=<b@y> proto=SMTP helo=<other>
			A2: client=unknown[203.0.113.9]`),
		[]string{"2 203.0.113.9 helo=friend <> [] A1", "5 203.0.113.9 helo=other <> [] A2"},
	},
	{ // smtpd -v shows every command
		postfix(`connect from unknown[203.0.113.9]
			< unknown[203.0.113.9]: EHLO friend
			> unknown[203.0.113.9]: 250 mx.example.net
			< unknown[203.0.113.9]: MAIL FROM:<a@x>
			A1: client=unknown[203.0.113.9]`),
		[]string{"5 203.0.113.9 helo=friend <> [] A1"},
	},
	{ // a before-queue filter's answer to a client that was not logged
		postfix(`proxy-reject: END-OF-MESSAGE: 554 5.7.0 no; from=<a@x> to=<b@y> proto=ESMTP helo=<friend>`),
		[]string{"log:1: refused or passed by a before-queue filter, of a client that was not logged: " +
			`"proxy-reject: END-OF-MESSAGE: 554 5.7.0 no; from=<a@x> to=<b@y> proto=ESMTP helo=<friend>"`},
	},
}

var sendmailTests = []logTest{
	{
		sendmail(`A1: from=<a@x>, size=1, nrcpts=3, proto=ESMTP, daemon=MTA, relay=mail.example.org [203.0.113.9]
			A1: to=<b@y>,<c@y>, delay=00:00:00, mailer=local, pri=1, dsn=2.0.0, stat=Sent
			A1: to=<d@y>, delay=00:00:00, mailer=esmtp, pri=1, relay=x. [192.0.2.1], dsn=4.0.0, stat=Deferred: later
			A1: to=<d@y>, delay=00:00:00, mailer=esmtp, pri=1, relay=x. [192.0.2.1], dsn=2.0.0, stat=Sent`),
		[]string{"1 203.0.113.9 confirmed=mail.example.org <a@x> [b@y c@y d@y] A1"},
	},
	{sendmail(`A1: from=root, size=1, nrcpts=1, relay=root@localhost`), nil},
	{
		sendmail(`A1: from=<>, size=0, nrcpts=0, proto=SMTP, daemon=MTA, relay=ident@forged.example.org \
				[203.0.113.9] (may be forged)`),
		[]string{"1 203.0.113.9 forged=forged.example.org <> [] A1"},
	},
	{ // the message id is chosen by the client
		sendmail(`A1: from=<a@x>, size=1, nrcpts=0, msgid=<, relay=mail.example.com [192.0.2.1]>, \
				proto=ESMTPSA, daemon=MTA, relay=[IPv6:2001:db8:0:0:0:0:0:9]`),
		[]string{"1 2001:db8::9 user <a@x> [] A1"},
	},
	{ // a client refused by check_relay has no line with a sender
		sendmail(`A1: ruleset=check_relay, arg1=mail.example.org, arg2=203.0.113.9, relay=mail.example.org \
				[203.0.113.9], reject=550 5.7.1 Access denied`),
		[]string{"1 203.0.113.9 confirmed=mail.example.org <> [] A1"},
	},
	{ // nor has one that comes too often, and no queue id
		sendmail(`ruleset=check_relay, arg1=[203.0.113.9], arg2=203.0.113.9, relay=mail.example.org [203.0.113.9] \
				(may be forged), reject=421 4.3.2 Connection rate limit exceeded.`),
		[]string{"1 203.0.113.9 forged=mail.example.org <> []"},
	},
	{ // authentication belongs to a process and address
		sendmail(`AUTH=server, relay=[203.0.113.9], authid=a, mech=PLAIN, bits=0
			A1: from=<a@x>, size=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=[203.0.113.9]
			A2: from=<a@x>, size=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=[203.0.113.10]`),
		[]string{"2 203.0.113.9 user <a@x> [] A1", "3 203.0.113.10 <a@x> [] A2"},
	},
	{ // the last HELO counts, but not that of another connection
		sendmail(`A1: <-- EHLO friend
			A1: <-- helo mail.example.org
			A1: <-- EHLO
			A1: from=<a@x>, size=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=[203.0.113.9]
			NOQUEUE: connect from [203.0.113.9]
			A2: from=<a@x>, size=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=[203.0.113.9]`),
		[]string{"4 203.0.113.9 helo=mail.example.org <a@x> [] A1", "6 203.0.113.9 <a@x> [] A2"},
	},
	{
		sendmail(`NOQUEUE: connect from [203.0.113.9]
			A1: invalid domain name (a) from [192.0.2.1]) from [203.0.113.9]
			A1: Authentication-Warning: mx: [203.0.113.9] didn't use HELO protocol
			A1: from=<a@x>, size=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=[203.0.113.9]`),
		[]string{"4 203.0.113.9 helo=a) from [192.0.2.1] <a@x> [] A1"},
	},
}

var eximTests = []logTest{
	{
		exim(`1abcDE-000123-4F <= a@x H=mail.example.org (friend) [203.0.113.9]:4711 I=[192.0.2.25]:25 P=esmtps \
				X=TLS1.3 CV=no S=1 id=1@x T="H=(x) [192.0.2.1] P=esmtpa"
			1abcDE-000123-4F => b <b@y> R=local T=mail
			1abcDE-000123-4F ** c@y R=dns T=smtp: no
			1abcDE-000123-4F Completed
			1abcDE-000123-4F => d@y R=dns`),
		[]string{"1 203.0.113.9 confirmed=mail.example.org helo=friend <a@x> " +
			"[b@y c@y] 1abcDE-000123-4F"},
	},
	{ // with and without name and HELO
		exim(`1abcDE-000123-41 <= <> H=mail.example.org [203.0.113.9] P=esmtp S=1
			1abcDE-000123-42 <= <> H=(friend) [2001:db8::9] P=esmtp S=1
			1abcDE-000123-43 <= <> H=[203.0.113.9] P=esmtp S=1
			1abcDE-000123-44 <= <> H=[203.0.113.9] P=smtp S=1
			1abcDE-000123-45 <= <> H=mail.example.org [203.0.113.9] P=smtp S=1
			1abcDE-000123-46 <= <> H=([203.0.113.9]) [203.0.113.9] P=smtp S=1`),
		[]string{
			"1 203.0.113.9 confirmed=mail.example.org helo=mail.example.org <> [] 1abcDE-000123-41",
			"2 2001:db8::9 helo=friend <> [] 1abcDE-000123-42",
			"3 203.0.113.9 <> [] 1abcDE-000123-43",
			"4 203.0.113.9 helo= <> [] 1abcDE-000123-44",
			"5 203.0.113.9 confirmed=mail.example.org <> [] 1abcDE-000123-45",
			"6 203.0.113.9 helo=[203.0.113.9] <> [] 1abcDE-000123-46",
		},
	},
	{
		exim(`1abcDE-000123-4F <= a@x H=(friend) [203.0.113.9] P=esmtpsa A=plain:a S=1
			1abcDE-000123-50 <= "a H=(x) [192.0.2.1]"@x H=(friend) [203.0.113.9] P=esmtp S=1
			1abcDE-000123-4G <= "\"a b"@x H=(friend) [203.0.113.9] P=esmtpa A=plain:a S=1
			1abcDE-000123-51 <= a@x U=a P=local S=1 T=" H=(x) [192.0.2.1] P=smtp"`),
		[]string{
			"1 203.0.113.9 helo=friend user <a@x> [] 1abcDE-000123-4F",
			`2 203.0.113.9 helo=friend <"a H=(x) [192.0.2.1]"@x> [] 1abcDE-000123-50`,
			`3 203.0.113.9 helo=friend user <"\"a b"@x> [] 1abcDE-000123-4G`,
		},
	},
	{
		exim(`H=(friend) [203.0.113.9] X=TLS1.3 CV=no F=<a@x> rejected RCPT <b@y>: no such user
			H=(friend) [203.0.113.9] F=<a@x> temporarily rejected RCPT <c@y>: later
			H=(friend) [203.0.113.9] F=<"> A=b"@x> A=plain:a rejected RCPT "d e"@y: no
			H=(friend) [203.0.113.9] F=<"> A=c"@x> rejected MAIL: no
			H=(friend) [203.0.113.9] sender verify fail for <a@x>: no
			1abcDE-000123-4F H=(friend) [203.0.113.9] Warning: it was rejected RCPT <x>
			H=[203.0.113.10] rejected connection in "connect" ACL: no
			H=(friend) [203.0.113.11] rejected EHLO or HELO friend: no`),
		[]string{
			"1 203.0.113.9 helo=friend <a@x> [b@y c@y]",
			`3 203.0.113.9 helo=friend user <"> A=b"@x> ["d e"@y]`,
			`4 203.0.113.9 helo=friend <"> A=c"@x> []`,
			"7 203.0.113.10 <> []",
			"8 203.0.113.11 helo=friend <> []",
		},
	},
	{ // by local_scan(), which logs the sender first
		exim(`1abcDE-000123-4F F="a H=(x) [192.0.2.1]"@x H=(friend) [203.0.113.9]:4711 I=[192.0.2.25]:25 P=esmtp \
				rejected by local_scan(): spam
			1abcDE-000123-4G F=a@x H=(friend) [203.0.113.9] P=esmtpsa temporarily rejected by local_scan(): later`),
		[]string{
			`1 203.0.113.9 helo=friend <"a H=(x) [192.0.2.1]"@x> []`, "2 203.0.113.9 helo=friend user <a@x> []",
		},
	},
	{
		exim(`rejected EHLO from mail.example.org [203.0.113.9]: syntactically invalid argument(s): a_b c
			rejected HELO from [203.0.113.10]: syntactically invalid argument(s): (no argument given)`),
		[]string{"1 203.0.113.9 confirmed=mail.example.org helo=a_b c <> []", "2 203.0.113.10 <> []"},
	},
	{ // the result of a lookup applies for lookupHolds
		exim(`no host name found for IP address 203.0.113.9
			1abcDE-000123-41 <= <> H=(friend) [203.0.113.9] P=esmtp S=1
			1abcDE-000123-43 <= <> H=a.example.org (friend) [203.0.113.9] P=esmtp S=1`) +
			"\n2026-11-22 08:30:00 1abcDE-000123-42 <= <> H=(friend) [203.0.113.9] P=esmtp S=1",
		[]string{
			"2 203.0.113.9 nameless helo=friend <> [] 1abcDE-000123-41",
			"3 203.0.113.9 confirmed=a.example.org helo=friend <> [] 1abcDE-000123-43",
			"4 203.0.113.9 helo=friend <> [] 1abcDE-000123-42",
		},
	},
}
