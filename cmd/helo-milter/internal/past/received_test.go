package past

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

// mailHop returns a hop as a line: client ("none"), HELO in quotes ("unheard" if not recorded), the name with
// what is known of it, then by=, id=, from= and to= where they are recorded, and user if authenticated.
func mailHop(h Hop) string {
	client, helo := "none", "unheard"
	if h.Client.IsValid() {
		client = h.Client.String()
	}
	if h.Said {
		helo = fmt.Sprintf("%q", h.Helo)
	}
	state := []string{"unrecorded", "nameless", "forged", "unchecked", "confirmed"}[h.Reverse]
	line := strings.TrimSpace(fmt.Sprintf("%s %s %s %s", client, helo, state, h.Name))
	for _, part := range []struct{ key, value string }{
		{"by", h.By}, {"id", h.QueueID}, {"from", h.From}, {"to", strings.Join(h.To, ",")},
	} {
		if part.value != "" {
			line += " " + part.key + "=" + part.value
		}
	}
	if h.Login {
		line += " user"
	}
	return line
}

//go:embed testdata/received.txt
var receivedFields string

// receivedTest is a block of testdata/received.txt.
type receivedTest struct{ mta, field, want string }

func receivedTests(t testing.TB) (tests []receivedTest) {
	t.Helper()
	_, blocks, _ := strings.Cut(receivedFields, "\n\n")
	for block := range strings.SplitSeq(blocks, "\n\n") {
		var test receivedTest
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "# "):
				test.mta, _, _ = strings.Cut(line[2:], ":")
			case strings.HasPrefix(line, "= "):
				test.want = strings.TrimSpace(test.want + line[1:])
			default:
				test.field += " " + strings.TrimPrefix(line, "Received: ")
			}
		}
		tests = append(tests, test)
	}
	return tests
}

// Each example of testdata/received.txt is parsed, by a form of the MTA that it names; and each MTA of
// forms.go has an example.
func TestReceived(t *testing.T) {
	seen := map[string]bool{"nobody": true}
	for _, test := range receivedTests(t) {
		r := parseReceived(test.field)
		h, broken := r.hop()
		mta := "nobody"
		if m := r.match(); h.Client.IsValid() {
			mta = m.mta
		}
		if got := mailHop(h); broken != nil || got != test.want || mta != test.mta {
			t.Errorf("%s\ngot:  %s: %s, %v\nwant: %s: %s", test.field, mta, got, broken, test.mta, test.want)
		}
		seen[mta] = true
	}
	for _, f := range forms {
		if !seen[f.mta] {
			t.Errorf("no example for %s", f.mta)
		}
	}
}

// Fields of no form, and what a client can write into a field.
func TestHostileReceived(t *testing.T) {
	nest := strings.Repeat("(", 100) + strings.Repeat(")", 100)
	for _, test := range []struct{ from, want string }{
		{"friend (" + nest + " [203.0.113.9])", `unknown form of client in Received: "from friend ((((((`},
		{"friend (a.example.org [203.0.113.9]) " + nest, `203.0.113.9 "friend" confirmed a.example.org`},
		{"\x1b]0\x07", `unknown form of client in Received: "from \x1b]0\a by mx`},
		{"\x1b\x00\u202e (unknown [203.0.113.9])", `203.0.113.9 "\x1b\x00\u202e" unrecorded`},
		{"friend (unknown [203.0.113.9]", `unknown form of client in Received: "from friend (unknown [203.0`},
		{`"friend (unknown [203.0.113.9])`, "unknown form"}, // "by" is in quotes
		{"friend (unknown [203.0.113.999])", `unknown form of client in Received: "from friend (unknown [203.`},
		// A HELO with blanks and brackets, of a server that writes it as it is.
		{"x ([198.51.100.1] helo=good.example.org) (unknown [203.0.113.9])", "unknown form"},
		{"x (a.example.org [198.51.100.1]) (unknown [203.0.113.9])", "unknown form"},
		{"x ([203.0.113.9] helo=x ([198.51.100.1]))", "unknown form"},
		{"unknown (HELO x) (198.51.100.1) (203.0.113.9)", "unknown form"},
		{"127.0.0.1 (EHLO x) (198.51.100.1) (203.0.113.9)", "unknown form"},
		{"203.0.113.9 (EHLO x) (198.51.100.1)", "unknown form"},
		{"[203.0.113.9] (HELO x) (198.51.100.1)", "unknown form"},
		{"[203.0.113.9] (HELO x) (EHLO y)", "unknown form"},
		{"[203.0.113.9] ([203.0.113.9:25] helo=x) (2001:db8::9)", "unknown form"},
		{"friend ([203.0.113.9] [198.51.100.1])", "unknown form"},
		{"friend [198.51.100.1] ([203.0.113.9])", "unknown form"},
		{"friend (unknown) ([203.0.113.9])", "unknown form"},
		{"127.0.0.1 (EHLO x) (unknown)", "unknown form"},
		{"(203.0.113.9) (198.51.100.1)", "unknown form"},
		{"(friend)", "unknown form"},
		{"(friend invoked (by) 203.0.113.9)", "unknown form"},
		// The same with keywords: what is below such a field is the client's, too.
		{"198.51.100.1 by mx.example.net (unknown [203.0.113.9])", "unknown form"},
		{"198.51.100.1 by mx.example.net with (unknown [203.0.113.9])", "unknown form"},
		{"x ([198.51.100.1]) id 7 ([203.0.113.9])", "unknown form"},
		{"x ([198.51.100.1]) with ESMTP ([203.0.113.9])", "unknown form"},
		{"x ([198.51.100.1]); ([203.0.113.9])", "unknown form"},
		{"x with LMTP ([203.0.113.9])", "unknown form"},
		{"x via HTTP ([203.0.113.9])", "unknown form"},
		{"x by mx.example.net with LMTP ( ([203.0.113.9])", "unknown form"},
		{`x by mx.example.net with LMTP " ([203.0.113.9])`, "unknown form"},
		{"x by mx.example.net (via HTTP) ([203.0.113.9])", "unknown form"},
		{"x by mx.example.net (by y) with qmail-scanner-1 ([203.0.113.9])", "unknown form"},
		{"[203.0.113.9] (HELO x) by mx.example.net with LMTP; ()", "unknown form"},
		// A HELO that is an address, of a server that writes nothing else (MDaemon, Merak), or behind a login
		// (chasquid).
		{"[198.51.100.1]", "unknown form"},
		{"[IPv6:2001:db8::66]", "unknown form"},
		{"198.51.100.1", "unknown form"},
		{"friend)([198.51.100.1] ([203.0.113.9])", "unknown form"},
		{"friend ([203.0.113.9] (AS64496 [198.51.100.1]))", "unknown form"},
		// What looks like a login.
		{"authenticated (authenticated.example.org [203.0.113.9])", `203.0.113.9 "authenticated" confirmed authen`},
		{"friend ([203.0.113.9] ident=x auth=y)", `203.0.113.9 "friend" unrecorded by=mx.example.net id=1 -`},
		{"friend ([203.0.113.9] auth=y)", `203.0.113.9 "friend" unrecorded by=mx.example.net id=1 user -`},
		{"auth=x ([203.0.113.9] helo=auth=x)", `203.0.113.9 "auth=x" unrecorded by=mx.example.net id=1 -`},
		{"x (root@a.example.org [203.0.113.9])", `203.0.113.9 "x" unchecked a.example.org by=mx.example.net id=1 -`},
		{"x (HELO y) (root@203.0.113.9)", `203.0.113.9 "y" unchecked x by=mx.example.net id=1 -`},
		{"x (unknown [203.0.113.9]) (AUTH: none)", `203.0.113.9 "x" unrecorded by=mx.example.net id=1 -`},
		{strings.Repeat("a", 1000) + " (unknown [203.0.113.9])", `203.0.113.9 "` + strings.Repeat("a", 1000)},
	} {
		h, broken := parseReceived("from " + test.from + " by mx.example.net (Postfix) with SMTP id 1").hop()
		got := mailHop(h)
		if broken != nil {
			got = strings.TrimPrefix(broken.Error(), ": ")
		}
		if !strings.HasPrefix(got+" -", test.want) {
			t.Errorf("%q\ngot:  %s\nwant: %s", test.from, got, test.want)
		}
	}
}
