package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/dnscache/dnstest"
)

func TestSelftest(t *testing.T) {
	for _, tt := range []struct {
		args string
		exit int
		says string // pieces of the output, between "|"; with "!" it has not
	}{
		{"203.0.113.10", 0, "HELO  should be mail.example.org; nothing to change"},
		{"203.0.113.33", 1, "should be gone.example.org; change this|gone.example.org. A 203.0.113.33"},
		{"203.0.113.99", 1, "PTR   none|of its own|99.113.0.203.in-addr.arpa. PTR mail.example.org.|an example"},
		{"203.0.113.66", 1, "203.0.113.66\n  PTR   the lookup failed\n  HELO  unknown: the DNS"},
		{"203.0.113.10 203.0.113.11", 0, "should be mail.example.org; nothing|be notes.example.com;"},
		{"203.0.113.14 2001:db8::14", 0, "the same HELO name|for both: both.example.org"},
		{ // each family has a good name, and they are not the same
			"203.0.113.11 2001:db8::11", 1,
			"notes.example.com. AAAA 2001:db8::11|ip6.arpa. PTR notes.example.com.|for both: notes.example.com",
		},
		{"203.0.113.99 2001:db8::11", 1, "other.example.org. A 203.0.113.99|for both: other.example.org"},
		{"203.0.113.10 203.0.113.14 2001:db8::14", 0, "be mail.example.org; nothing|for both: both.example.org"},
		{"10.0.0.1", exitUsage, "10.0.0.1 is not public"},
		{"mail.example.org", exitUsage, "is not an IP address"},
		{"--listen-for 203.0.113.1:nonsense 203.0.113.10", exitUsage, "--listen-for"},
		{"--config no-such-file 203.0.113.10", exitConfig, "no-such-file"},
		{"--listen-for 127.0.0.1:0 --wait 50ms", 1, "no client connected within 50ms"},
		{"--config testdata/selftest.toml 203.0.113.10", 0, "mail.example.org; nothing to change"},
		{"203.0.113.24", 1, "should be spf24.example.org; change this|SPF record|ip4:203.0.113.24"},
		{ // a PTR record without its final dot, as in hardwarefreak.com-fqrdns.pcre issue 4
			"203.0.113.40", 1,
			"HELO  should be mail40.example.org; change this:\n  1. The PTR record of 203.0.113.40 lacks the final dot|" +
				"40 PTR mail40.example.org.\n|!A 203.0.113|!2. |!arpa. PTR",
		},
		{"203.0.113.22", 1, "PTR   203-0-113-22.dsl.example.org (resolves back|of its own; change this"},
	} {
		text, code := ranOn(t, checkZone, "selftest", strings.Fields(tt.args)...)
		if code != tt.exit {
			t.Errorf("selftest %s: exit %d, want %d\n%s", tt.args, code, tt.exit, text)
		}
		for piece := range strings.SplitSeq(tt.says, "|") {
			plain, unwanted := strings.CutPrefix(piece, "!")
			if strings.Contains(text, plain) == unwanted {
				t.Errorf("selftest %s: that it has %q is %t:\n%s", tt.args, plain, unwanted, text)
			}
		}
	}
}

// What a client may say to --listen-for, between "|", and which greetings are heard.
func TestHear(t *testing.T) {
	for _, tt := range []struct{ says, heard, came, code string }{
		{"EHLO a.example.org|MAIL FROM:<a@example.org>|QUIT", "a.example.org", `"EHLO a`, "220 250 450 221"},
		{"EHLO example.org|RSET|helo [192.0.2.1] |QUIT", "example.org [192.0.2.1]", `"EHLO`, "220 250 250 250 221"},
		{"EHLO [192.0.2.1]", "[192.0.2.1]", `"EHLO [`, "220 250"},
		{"RCPT TO:<a@example.net>|DATA|QUIT", "", `"RCPT TO:<a@example.net>"`, "220 502 502 221"},
		{"", "", `""`, "220 502"},
		{"EHLO " + strings.Repeat("a", 2000), "", `"EHLO aaaaa`, "220"},
		{strings.Repeat("NOOP|", 100) + "EHLO late.example.org", "", `"NOOP"`, "220" + strings.Repeat(" 250", 49)},
		{"\x16\x03\x01\x02\x00\x01", "", "what looks like a TLS handshake", "220"},
		{"\x1b[31m\u202e", "", `"\x1b[31m\u202e"`, "220 502"},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		replies := make(chan string)
		go func() { replies <- say(listener.Addr().String(), tt.says) }()
		conn, err := listener.Accept()
		_ = listener.Close()
		if err != nil {
			t.Fatal(err)
		}
		heard := attend(t.Context(), conn)
		peer, helos, came := heard.peer, heard.helos, heard.came
		if !peer.IsLoopback() || strings.Join(helos, " ") != tt.heard || !strings.HasPrefix(came, tt.came) {
			t.Errorf("%.50s: heard %.50q of %v, %s", tt.says, helos, peer, came)
		}
		if got := <-replies; got != tt.code {
			t.Errorf("%.50s: the replies are %s, want %s", tt.says, got, tt.code)
		}
	}
}

// say is a client that says its lines whatever the server says, and then nothing more. It returns the codes.
func say(address, lines string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, strings.ReplaceAll(lines, "|", "\r\n")+"\r\n")
	_ = conn.(*net.TCPConn).CloseWrite()
	var codes []string
	for in := bufio.NewScanner(conn); in.Scan(); {
		codes = append(codes, in.Text()[:3])
	}
	return strings.Join(codes, " ")
}

// speaker is a standard output that calls whoever is waited for, once for each of the lines between "||". It
// said what the last call received.
type speaker struct {
	bytes.Buffer
	lines string
	said  chan string
}

func (s *speaker) Write(text []byte) (int, error) {
	if _, address, waits := strings.Cut(strings.TrimSpace(string(text)), "connection to "); waits {
		go func() {
			var codes string
			for lines := range strings.SplitSeq(s.lines, "||") {
				codes = say(address, lines)
			}
			s.said <- codes
		}()
	}
	return s.Buffer.Write(text)
}

// The HELO is judged for the address that is given, since the peer's is private.
func TestListenFor(t *testing.T) {
	server := dnstest.Start(t, checkZone)
	for _, tt := range []struct {
		says, clients string
		exit          int
		output        string // pieces, between "|"
	}{
		{"EHLO mail.example.org", "203.0.113.10", 0, "verdict  accept|nothing is wrong"},
		{"EHLO localhost", "203.0.113.10", 1, "helo-localhost|mail server's HELO name to mail.example"},
		{"HELO mail.example.org", "203.0.113.10 203.0.113.11", 1, "client   203.0.113.10|client   203.0.113.11"},
		{"EHLO mail.example.org|EHLO a", "203.0.113.10", 1, "helo-changed|must send the same name every time"},
		{"EHLO ", "203.0.113.10", 1, "helo-malformed"},
		{
			"\x16\x03\x01||QUIT||EHLO mail.example.org", "203.0.113.10 203.0.113.14", 1,
			"id=check\n\nclient   203.0.113.14", // the others keep nobody waiting
		},
	} {
		out := &speaker{lines: tt.says + "|QUIT", said: make(chan string, 1)}
		var stderr bytes.Buffer
		args := []string{"selftest", "--dns", server.Addr(), "--wait", "1m", "--listen-for", "127.0.0.1:0"}
		code := run(t.Context(), append(args, strings.Fields(tt.clients)...), nil, out, &stderr)
		text := out.String() + stderr.String()
		if codes := <-out.said; code != tt.exit || !strings.HasPrefix(codes, "220 2") {
			t.Errorf("%s as %s: exit %d, want %d, replies %s\n%s", tt.says, tt.clients, code, tt.exit, codes, text)
		}
		for piece := range strings.SplitSeq(tt.output, "|") {
			if !strings.Contains(text, piece) {
				t.Errorf("%s as %s: no %q in\n%s", tt.says, tt.clients, piece, text)
			}
		}
	}
}

// The end of the wait is explained; a session that has begun goes on.
func TestHearEnds(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		ctx  context.Context
		says string
		want string
	}{
		{interrupted, "", "interrupted"},
		{t.Context(), "", "no client connected within 500ms"},
		{t.Context(), "QUIT", "no client that connected within 500ms sent HELO or EHLO"},
		{t.Context(), "EHLO mail.example.org", "<nil>"},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if tt.says != "" {
			silent, err := net.Dial("tcp", listener.Addr().String()) // keeps nobody waiting
			if err != nil {
				t.Fatal(err)
			}
			defer time.AfterFunc(1500*time.Millisecond, func() { _ = silent.Close() }).Stop()
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(time.Second, func() {
				_, _ = io.WriteString(conn, tt.says+"\r\n")
				_ = conn.Close()
			})
			defer late.Stop()
		}
		var out bytes.Buffer
		heard, err := hear(tt.ctx, &out, listener, 500*time.Millisecond)
		if tt.says == "QUIT" && !strings.Contains(out.String(), `sent neither HELO nor EHLO, but "QUIT"`) {
			t.Errorf("%q: %s", tt.says, &out)
		}
		if fmt.Sprint(err) != tt.want || (err == nil) != (heard != nil && len(heard.helos) == 1) {
			t.Errorf("%q: %+v, %v", tt.says, heard, err)
		}
	}
}

// Where no public address is known, a HELO is judged by its spelling.
func TestSpelling(t *testing.T) {
	for _, tt := range []struct {
		helo, fails string
	}{
		{"mail.example.org", ""},
		{"[203.0.113.10]", ""},
		{"friend", "helo-not-fqdn"},
		{"192.168.0.1", "helo-bare-ip"},
		{"notes1.acme.private", "helo-private-tld"},
		{"a_b.example.org", "helo-underscore"},
	} {
		var out bytes.Buffer
		p := &program{ctx: t.Context(), stdout: &out, stderr: &out}
		q, err := p.inquire([]string{"192.0.2.53:53"})
		if err != nil {
			t.Fatal(err)
		}
		good := q.spelling(p, netip.MustParseAddr("127.0.0.1"), []string{tt.helo})
		text := out.String()
		if good != (tt.fails == "") || !strings.Contains(text, "which is not public") ||
			!strings.Contains(text, cmp.Or(tt.fails, "nothing is wrong")) ||
			good == strings.Contains(text, "Set the mail server's HELO name to ") {
			t.Errorf("%s: good %t\n%s", tt.helo, good, text)
		}
	}
}
