package policy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	head   = "request=smtpd_access_policy\n"
	answer = "action=DUNNO\n\n"
)

// Bytes that a peer sends before it closes its side, and what it gets; a violation ends its connection.
func TestProtocol(t *testing.T) {
	const ask = head + "protocol_state=CONNECT\nclient_address=192.168.7.7\n\n"
	for _, tt := range []struct{ story, sent, got, said string }{
		{"nothing", "", "", ""},
		{"a request, and half-closed", ask, answer, ""},
		{"three at once", ask + ask + ask, answer + answer + answer, ""},
		{"in any order", "protocol_state=CONNECT\nnew_in_postfix_4=x=y\n" + head + "\n", answer, ""},
		{"a name twice", head + head + "\n", answer, ""},
		{
			"a value with a CR",
			head + "protocol_state=RCPT\nsender=a\r@example.org\nclient_address=192.168.7.7\n\n", answer, "",
		},
		{
			"a value that is no UTF-8",
			head + "protocol_state=RCPT\nsender=\xff\nclient_address=192.168.7.7\n\n", answer, "",
		},
		{"an empty request", "\n", "", "!request"},
		{"no request", "protocol_state=RCPT\n\n", "", "!request"},
		{"another request", "request=junk\n\n", "", "!request"},
		{"a good one, and another", ask + "request=junk\n\n" + ask, answer, "!request"},
		{"no name", head + "=x\n\n", "", "!attribute"},
		{"no =", head + "sender\n\n", "", "!attribute"},
		{"lines that end as on a terminal", strings.ReplaceAll(ask, "\n", "\r\n"), "", "!attribute"},
		{"a NUL", head + "sender=a\x00b\n\n", "", "!attribute"},
		{"SMTP", "EHLO mail.example.org\r\n", "", "!attribute"},
		{"HTTP", "GET /?a=b HTTP/1.1\r\nHost: x\r\n\r\n", "", "!attribute"},
		{
			"a milter", string([]byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 1, 255, 0, 31, 255, 255}), "",
			"!truncated",
		},
		{"a line that does not end", strings.Repeat("x", maxLine), "", "!size"},
		{"a long line", head + "sender=" + strings.Repeat("x", maxLine-100) + "\n\n", answer, ""},
		{"many bytes", head + strings.Repeat("a="+strings.Repeat("x", 8000)+"\n", 9) + "\n", "", "!size"},
		{"many attributes", head + strings.Repeat("a=\n", maxAttributes-1) + "\n", answer, ""},
		{"too many attributes", head + strings.Repeat("a=\n", maxAttributes) + "\n", "", "!size"},
		{"the end in a line", head + "send", "", "!truncated"},
		{"the end between lines", head, "", "!truncated"},
	} {
		h := start(t, limits{}, nil)
		got := exchange(t, h, tt.sent)
		h.stop(t)
		said := strings.Join(strings.FieldsFunc(h.said.String(), func(r rune) bool { return r == ' ' }), " ")
		said, _, _ = strings.Cut(said, " exempt")
		said, _, _ = strings.Cut(said, " =")
		if strings.HasPrefix(said, "=") || strings.HasPrefix(said, "exempt") {
			said = ""
		}
		if got != tt.got || said != tt.said {
			t.Errorf("%s: got %q, said %q; want %q, %q", tt.story, got, said, tt.got, tt.said)
		}
	}
}

// exchange sends bytes, closes that side, and returns what comes.
func exchange(t testing.TB, h *host, sent string) string {
	t.Helper()
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, sent) // fails where the server has had enough
	_ = conn.(*net.UnixConn).CloseWrite()
	got, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	return string(got)
}

// Requests are read the same in whatever pieces they come, and what is read ends where it should.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		head + "\n", requestText("RCPT"), requestText("DATA sender="), requestText("CONNECT") + requestText("EHLO"),
		head + "sender=\x00\n\n", "=\n\n", head + "a=" + strings.Repeat("x", maxLine), "\n", head + "sender=\r\n\n",
	} {
		f.Add([]byte(seed))
	}
	h := setUp(f, limits{}, nil)
	f.Cleanup(func() { h.stop(f) })
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole := newReader(bytes.NewReader(stream))
		pieces := newReader(iotest.OneByteReader(bytes.NewReader(stream)))
		for {
			r, err := read(whole, func() {})
			same, sameErr := read(pieces, func() {})
			if (err == nil) != (sameErr == nil) || err != nil && err.Error() != sameErr.Error() {
				t.Fatalf("%v, and in pieces %v", err, sameErr)
			}
			if err != nil {
				break
			}
			if *r != *same {
				t.Fatalf("%+v, and in pieces %+v", r, same)
			}
			if r.kind != "smtpd_access_policy" {
				t.Fatalf("%q is a request", r.kind)
			}
			r.client = "192.168.7.7" // nothing is looked up
			if action := h.answer(&conn{serial: "1", server: h.Server}, r); !isAction(action) {
				t.Fatalf("answered %q", action)
			}
		}
		h.sessions.endAll()
	})
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxLine) }

// isAction reports whether an action can stand in an answer.
func isAction(action string) bool {
	return action != "" && strings.Trim(action, printableASCII) == ""
}

var printableASCII = func() (all string) {
	for c := ' '; c <= '~'; c++ {
		all += string(c)
	}
	return all
}()
