package milter

import (
	"bytes"
	"encoding/binary"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/milter/gate"
)

// FuzzGuard gives the library's server a stream through the guard: as it is, or
// (framed) each line of it as a frame after a good OPTNEG. The library must not
// panic, not wait, not end the session by itself, and find in each frame what
// its code is to have; and a milter must read the same where the guard leaves
// out what it does not read.
func FuzzGuard(f *testing.F) {
	for _, tt := range append(guardFrames, readFrames...) {
		var stream, lines []byte
		for item := range strings.SplitSeq(tt.script, " | ") {
			frame := frames(item)
			stream = append(stream, frame...)
			if item[0] != '=' && item[0] != 'O' {
				lines = append(append(lines, frame[4:]...), '\n')
			}
		}
		if len(stream) < 4096 {
			f.Add(stream, uint16(len(stream)), false)
			f.Add(stream, uint16(3), false)
			f.Add(lines, uint16(1000), true)
		}
	}

	log.SetOutput(io.Discard) // the library warns of macros that it does not know
	f.Cleanup(func() { log.SetOutput(os.Stderr) })
	var said transcript
	inner, taps := newPipes(), make(chan *tap, 1)
	guarded := guarded(inner, gate.Limits{OnViolation: said.violation})
	serve(f, &tapListener{guarded, taps}, witness{transcript: &said})

	whole, left := serveReader(f), serveReader(f, "X-Ours")

	f.Fuzz(func(t *testing.T, stream []byte, piece uint16, framed bool) {
		if framed {
			stream = frameLines(stream)
		}
		playTo(t, inner, stream, piece)
		(<-taps).check(t, stream, said.take())
		if !ordered(stream) {
			return
		}
		playTo(t, whole.pipes, stream, piece)
		playTo(t, left.pipes, stream, piece)
		if want, got := whole.take(), left.take(); !slices.Equal(got, want) {
			t.Errorf("read %q with all, %q without what nobody reads", want, got)
		}
	})
}

// playTo plays a stream to a server.
func playTo(t *testing.T, server *pipes, stream []byte, piece uint16) {
	conn := &scripted{stream: stream, piece: 1 + int(piece), closed: make(chan struct{})}
	server.results <- conn
	select {
	case <-conn.closed:
	case <-time.After(time.Minute):
		t.Fatal("the session does not end")
	}
}

// ordered reports whether macros come before their command, as all MTAs have it. Where they do not, the
// library may take a message for aborted because of macros that nobody reads.
func ordered(stream []byte) bool {
	var macros byte
	for len(stream) > headLen {
		size := 4 + int(min(binary.BigEndian.Uint32(stream), maxContent))
		if macros != 0 && stream[4] != macros {
			return false
		}
		if macros = 0; stream[4] == 'D' {
			macros = stream[5]
		}
		stream = stream[min(size, len(stream)):]
	}
	return true
}

// reader is a milter that reads some macros and fields, and gives no answer to fields.
type reader struct {
	gomilter.NoOpMilter
	*transcript
	pipes *pipes
}

// serveReader serves a reader behind a guard, which may be told what it reads.
func serveReader(f *testing.F, fields ...string) *reader {
	r := &reader{transcript: &transcript{}, pipes: newPipes()}
	guard := guarded(r.pipes, gate.Limits{OnViolation: r.violation})
	if len(fields) > 0 {
		guard.read([]string{"j", "i", "{auth_type}"}, fields...)
	}
	serve(f, guard, r, gomilter.OptNoHeaderReply)
	return r
}

func (r *reader) Connect(_, _ string, _ uint16, _ string, m gomilter.Modifier) (*gomilter.Response, error) {
	return r.say("connect(%s)", m.Get("j"))
}

func (r *reader) Helo(name string, _ gomilter.Modifier) (*gomilter.Response, error) {
	return r.say("helo(%s)", name)
}

func (r *reader) MailFrom(from, _ string, m gomilter.Modifier) (*gomilter.Response, error) {
	return r.say("mail(%s,%s)", from, m.Get("{auth_type}"))
}

func (r *reader) RcptTo(to, _ string, m gomilter.Modifier) (*gomilter.Response, error) {
	return r.say("rcpt(%s,%s)", to, m.Get("i"))
}

func (r *reader) Header(name, value string, _ gomilter.Modifier) (*gomilter.Response, error) {
	if !strings.EqualFold(strings.TrimSpace(name), "X-Ours") {
		return gomilter.RespContinue, nil
	}
	return r.say("header(%s,%s)", name, value)
}

func (r *reader) EndOfMessage(m gomilter.Modifier) (*gomilter.Response, error) {
	return r.say("eom(%s,%s)", m.Get("i"), m.Get("{auth_type}"))
}

func frameLines(lines []byte) []byte {
	stream := frames("O6")
	for line := range bytes.SplitSeq(lines, []byte{'\n'}) {
		stream = append(binary.BigEndian.AppendUint32(stream, uint32(len(line))), line...)
	}
	return stream
}

// tapListener puts a tap between the guard and the library.
type tapListener struct {
	net.Listener
	taps chan *tap
}

func (l *tapListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tap := &tap{Conn: conn}
	l.taps <- tap
	return tap, nil
}

// tap keeps what the library reads.
type tap struct {
	net.Conn
	passed []byte
	asked  int   // the most bytes that the library made room for
	err    error // of the last Read
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.passed, c.asked, c.err = append(c.passed, p[:n]...), max(c.asked, len(p)), err
	return n, err
}

func (c *tap) check(t *testing.T, stream []byte, said []string) {
	if c.asked > maxContent {
		t.Errorf("the library allocates %d bytes", c.asked)
	}
	var passed []byte // codes
	for rest := c.passed; len(rest) > 0; {
		var got, sent []byte
		got, rest = cutFrame(t, rest)
		sent, stream = cutFrame(t, stream)
		if !sameFrame(got, sent) {
			t.Errorf("sent %q, passed %q", sent, got)
		}
		passed = append(passed, got[0])
	}
	if c.err == nil && !bytes.HasSuffix(passed, []byte{'Q'}) {
		t.Errorf("the library closes the connection after %q", passed)
	}
	if bytes.LastIndexByte(passed, 'O') > 0 || len(passed) > 0 && passed[0] != 'O' {
		t.Errorf("negotiation in %q", passed)
	}
	var calls, violations []string
	for _, call := range said {
		name, _, _ := strings.Cut(call, "(")
		if name[0] == '!' {
			violations = append(violations, name)
		} else {
			calls = append(calls, name)
		}
	}
	if !slices.Equal(calls, callbacks(passed)) || len(violations) > 1 {
		t.Errorf("passed %q, callbacks %q, violations %q", passed, calls, violations)
	}
}

// callbacks names the witness's methods that frames of these codes lead to.
func callbacks(codes []byte) (names []string) {
	method := map[byte]string{
		'C': "connect", 'H': "helo", 'M': "mail", 'R': "rcpt",
		'L': "header", 'B': "body", 'E': "eom", 'U': "unknown",
	}
	for _, code := range codes {
		if name := method[code]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// cutFrame cuts the first frame, without its length, off stream.
func cutFrame(t *testing.T, stream []byte) (frame, rest []byte) {
	if len(stream) < 5 {
		t.Fatalf("passed half a frame: %q", stream)
	}
	length := binary.BigEndian.Uint32(stream)
	if length == 0 || length > maxContent || int(length) > len(stream)-4 {
		t.Fatalf("passed a frame of %d bytes", length)
	}
	return stream[4 : 4+length], stream[4+length:]
}

// sameFrame allows the guard a CONNECT's family and the end of a header.
func sameFrame(got, sent []byte) bool {
	switch got[0] {
	case 'L':
		return bytes.HasPrefix(sent, got) && bytes.Count(got[1:], []byte{0}) <= 2
	case 'C':
		family := 1 + bytes.IndexByte(got, 0)
		return family < len(got) && (got[family] == sent[family] || got[family] == 'U') &&
			bytes.Equal(got[:family], sent[:family]) && bytes.Equal(got[family+1:], sent[family+1:])
	}
	return bytes.Equal(got, sent)
}
