package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// Each of two messages in one connection gets its own header.
func TestTwoMessages(t *testing.T) {
	eachVariant(t, func(t *testing.T, v variant) {
		t.Parallel()
		one := strings.TrimSuffix(toNet, "|QUIT")
		s := v.session(t, "", "203.0.113.10", "EHLO mail.example.org"+one+toNet, rig.Message)
		for _, mail := range s.sink.Wait(t, 2) {
			s.checkHeader(mail, parseOutcome("accept pass only"))
		}
	})
}

// Header fields of our name that came with the message are removed, however many there are and however they
// are written.
func TestForgedHeaders(t *testing.T) {
	const forged = "X-HELO-Check: accept; forged=1\n" +
		"X-Helo-check: accept;\n\tforged=2\n" +
		"From: sender@example.org\n" +
		"x-hElO-cHeCk:forged\n" +
		"Subject: a message\n" +
		"X-HELO-CHECK: reject; forged=4\n" +
		"\nHello.\n"
	eachVariant(t, func(t *testing.T, v variant) {
		t.Parallel()
		s := v.session(t, "", "203.0.113.10", "EHLO mail.example.org", forged)
		if v.unsupported(forged) != "" {
			headers := s.sink.Wait(t, 1)[0].Headers()
			if got := fmt.Sprint(headers[0]); !strings.Contains(got, "client=203.0.113.10") {
				t.Errorf("at the top is %s", got)
			}
			return
		}
		s.check(parseOutcome("accept pass only"))
		if text := s.sink.Wait(t, 1)[0].Text; strings.Contains(text, "forged") {
			t.Errorf("a forged header was delivered:\n%s", text)
		}
	})
}

// 100 messages in one connection, every fourth of which the client resets after RCPT. That one is refused for
// its recipient, which must not affect the others.
func TestManyMessages(t *testing.T) {
	const says, messages, kept = "EHLO example.com", 100, 75
	script := says
	for n := range messages {
		rcpt, end := "reader@example.net", "DATA"
		if n%4 == 3 {
			rcpt, end = "reader@example.com", "RSET"
		}
		script += fmt.Sprintf("|MAIL FROM:<sender%d@example.org>|RCPT TO:<%s>|%s", n, rcpt, end)
	}
	pairwiseHosts(t, func(t *testing.T, v variant) {
		t.Parallel()
		s := v.session(t, rcptRejects, good, script+"|QUIT", rig.Message)
		codes := map[int]int{}
		for _, reply := range s.replies {
			codes[reply.Code]++
		}
		if want := map[string]int{"observe": 0, "enforce": messages - kept}[v.mode]; codes[550] != want {
			t.Errorf("%d refusals, want %d: %v", codes[550], want, codes)
		}
		var senders []string
		for _, mail := range s.sink.Wait(t, kept) {
			senders = append(senders, mail.From)
			s.checkHeader(mail, parseOutcome("accept pass -helo-rcpt-domain"))
		}
		slices.Sort(senders)
		four := strings.Repeat("accept/203.0.113.10/example.com ", 3) + "reject/203.0.113.10/example.com "
		s.checkDecisions(strings.TrimSpace(strings.Repeat(four, messages/4)))
		if n := len(slices.Compact(senders)); n != kept {
			t.Errorf("messages of %d senders were delivered, want %d", n, kept)
		}
	})
}
