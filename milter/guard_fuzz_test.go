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
)

// FuzzGuard gives the library's server a stream through the guard: as it is, or
// (framed) each line of it as a frame after a good OPTNEG. The library must not
// panic, not wait, not end the session by itself, and find in each frame what
// its code is to have.
func FuzzGuard(f *testing.F) {
	for _, tt := range guardFrames {
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
	guarded := guarded(inner, Limits{OnViolation: said.violation})
	serve(f, &tapListener{guarded, taps}, witness{transcript: &said})

	f.Fuzz(func(t *testing.T, stream []byte, piece uint16, framed bool) {
		if framed {
			stream = frameLines(stream)
		}
		conn := &scripted{stream: stream, piece: 1 + int(piece), closed: make(chan struct{})}
		inner.results <- conn
		tap := <-taps
		select {
		case <-conn.closed:
		case <-time.After(time.Minute):
			t.Fatal("the session does not end")
		}
		tap.check(t, stream, said.take())
	})
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
