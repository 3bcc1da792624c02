package opensmtpd

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"helo-milter/milter/door"
)

// What smtpd reads of a filter: anything else is fatal to it (processor_io and lka_filter_process_response
// in its lka_filter.c), as is a data line where it waits for a result, or the other way round.
var (
	answerLine = regexp.MustCompile(`^filter-(result|dataline)\|([0-9A-Fa-f]{1,16}\|[0-9A-Fa-f]{1,16})\|(.*)\n$`)
	resultText = regexp.MustCompile(`^(proceed|reject\|[45]\d\d [ -~]{1,506})$`)
)

// FuzzFilter gives the filter what smtpd might say: whole lines, or (framed) the events of a session of
// which each line of the text is one's parameters. Whatever it reads, it ends with the input and without a
// panic, answers each request once and in its session's order, writes nothing that is fatal to smtpd, and
// keeps a message's body.
func FuzzFilter(f *testing.F) {
	const session = "203.0.113.1:1|mail.example.org\nEHLO|mail.example.org\na@example.org\nb@example.net\n\n" +
		"X-HELO-Check: a\n\tb\n.Authentication-Results: x\n\n..\n."
	f.Add(session, false)
	f.Add(session, true)
	f.Add(newSmtpd().play("C [2001:db8::1]:1; H friend; A x pass; M ; R b@example.net; D;=A: b;=;=c;.;X;Q"), false)
	f.Add(handshake+"config|protocol|0.7\nreport|0.4|x|smtp-in|link-disconnect|1\nfilter|0.9|1|smtp-in|data-line|1|1|", false)
	cfg := testConfig(f)
	cfg.DNS, cfg.AuthResults = nil, true
	cfg.OnPanic = func(value any, stack []byte) { f.Errorf("%v\n%s", value, stack) }
	cfg.ReplyAt = door.AtMail
	f.Fuzz(func(t *testing.T, text string, framed bool) {
		lines := text
		if framed {
			lines = frame(text)
		}
		registered, answered, err := answers(t, cfg, lines)
		if n := strings.Count(registered, "register|ready\n"); n != 1 {
			t.Errorf("registered %q", registered)
		}
		got := map[string]int{}
		var message []string
		for line := range strings.Lines(answered) {
			part := answerLine.FindStringSubmatch(line)
			switch {
			case part == nil || part[1] == "result" && !resultText.MatchString(part[3]):
				t.Errorf("answered %q", line)
			case part[1] == "result":
				got[part[2]]++
			default:
				message = append(message, part[3])
			}
		}
		if framed {
			if body := bodyOf(text); !strings.HasSuffix(strings.Join(message, "\n"), body) {
				t.Errorf("%q lacks the body %q", message, body)
			}
		}
		if want := results(lines); err == nil && strings.HasPrefix(lines, handshake) && !maps.Equal(got, want) {
			t.Errorf("results: %v, not %v", got, want)
		}
	})
}

// results counts the requests that have a result, by session and token.
func results(lines string) map[string]int {
	counts := map[string]int{}
	for line := range strings.Lines(lines) {
		l, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil || !l.request || l.name == dataLine || !strings.HasSuffix(line, "\n") {
			continue
		}
		if l.minor < tokenSecond {
			l.session, l.token = l.token, l.session
		}
		counts[l.session+"|"+l.token]++
	}
	return counts
}

// bodyOf returns the last message's lines after its header, with the dot that ends it.
func bodyOf(text string) string {
	lines := strings.Split(text, "\n")
	var body []string
	inBody := false
	for _, line := range lines[min(5, len(lines)):] {
		switch {
		case line == ".":
			body, inBody = nil, false
		case inBody || line == "":
			body, inBody = append(body, line), true
		}
	}
	return strings.Join(append(body, "."), "\n")
}

// frame makes events of a session of a text's lines: a connection, a greeting, a sender, a recipient, DATA,
// and the lines of the message.
func frame(text string) string {
	s := newSmtpd()
	for i, params := range strings.Split(text, "\n") {
		switch i {
		case 0:
			s.says("report", "link-connect", "x", "fail", params)
		case 1:
			s.says("report", "link-identify", params)
		case 2:
			s.says("filter", "mail-from", "1", params)
		case 3:
			s.says("filter", "rcpt-to", "1", params)
		case 4:
			s.says("filter", "data", "1", params)
		default:
			s.says("filter", dataLine, "2", params)
		}
	}
	s.says("filter", dataLine, "2", ".")
	s.says("report", "tx-commit", "1", "1")
	return s.String()
}
