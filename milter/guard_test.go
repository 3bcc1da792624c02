package milter

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
	"go.uber.org/goleak"

	"helo-milter/milter/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frames encodes one item of a script. A script is what an MTA sends, items
// between " | ":
//
//	O6         OPTNEG of version 6
//	Hfriend~   any other frame: its code, then its data; ~ is NUL, {70000} so many x
//	=00000000  bytes in hex, as they are
//	+69m       a pause
func frames(item string) []byte {
	if raw, ok := strings.CutPrefix(item, "="); ok {
		b, err := hex.DecodeString(strings.ReplaceAll(raw, " ", ""))
		if err != nil {
			panic(err)
		}
		return b
	}
	data := strings.ReplaceAll(item, "~", "\x00")
	if before, count, ok := strings.Cut(data, "{"); ok {
		count, after, _ := strings.Cut(count, "}")
		if n, err := strconv.Atoi(count); err == nil { // else the name of a macro
			data = before + strings.Repeat("x", n) + after
		}
	}
	if version, err := strconv.Atoi(data[1:]); data[0] == 'O' && err == nil {
		optneg := binary.BigEndian.AppendUint32([]byte{'O'}, uint32(version))
		data = string(optneg) + "\x00\x00\x01\xff\x00\x1f\xff\xff"
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// speak plays a script and skips the rest of it once the connection is closed.
func speak(conn net.Conn, script string) {
	for item := range strings.SplitSeq(script, " | ") {
		if pause, err := time.ParseDuration(strings.TrimPrefix(item, "+")); err == nil {
			time.Sleep(pause)
		} else if _, err := conn.Write(frames(item)); err != nil {
			return
		}
	}
}

// transcript is what came through the guard and what did not, in order.
type transcript struct {
	mu   sync.Mutex
	said []string
}

func (s *transcript) say(format string, args ...any) (*gomilter.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf(format, args...))
	return gomilter.RespContinue, nil
}

func (s *transcript) violation(_ net.Addr, kind string) { _, _ = s.say("!%s", kind) }

// take returns the transcript so far and begins a new one.
func (s *transcript) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.said
	s.said = nil
	return said
}

// witness is a milter that writes the transcript.
type witness struct {
	gomilter.NoOpMilter
	*transcript
}

func (w witness) Connect(host, family string, _ uint16, addr string, _ gomilter.Modifier,
) (*gomilter.Response, error) {
	return w.say("connect(%s,%s,%s)", host, family, addr)
}

func (w witness) Helo(name string, _ gomilter.Modifier) (*gomilter.Response, error) {
	return w.say("helo(%s)", name)
}

func (w witness) MailFrom(from, args string, _ gomilter.Modifier) (*gomilter.Response, error) {
	return w.say("mail(%s,%s)", from, args)
}

func (w witness) RcptTo(to, args string, _ gomilter.Modifier) (*gomilter.Response, error) {
	return w.say("rcpt(%s,%s)", to, args)
}

func (w witness) Header(name, value string, _ gomilter.Modifier) (*gomilter.Response, error) {
	return w.say("header(%d,%d)", len(name), len(value))
}

func (w witness) BodyChunk(chunk []byte, _ gomilter.Modifier) (*gomilter.Response, error) {
	return w.say("body(%d)", len(chunk))
}

func (w witness) EndOfMessage(gomilter.Modifier) (*gomilter.Response, error) { return w.say("eom") }

func (w witness) Unknown(cmd string, _ gomilter.Modifier) (*gomilter.Response, error) {
	return w.say("unknown(%s)", cmd)
}

func newGuard(l gate.Limits) *Guard { return NewGuard(gate.New(l)) }

// guarded is a guard of one listener.
func guarded(ln net.Listener, l gate.Limits) *Guard {
	g := newGuard(l)
	g.Add(ln)
	return g
}

// serve runs the library's server on ln until the test ends. It negotiates
// every stage with replies, but for what protocol says, and no more than
// version 6, as our own server does.
func serve(tb testing.TB, ln net.Listener, backend gomilter.Milter, protocol ...gomilter.OptProtocol) {
	tb.Helper()
	options := gomilter.OptProtocol(0)
	for _, p := range protocol {
		options |= p
	}
	server := gomilter.NewServer(
		gomilter.WithMilter(func() gomilter.Milter { return backend }),
		gomilter.WithNegotiationCallback(func(mta, own uint32, _, _ gomilter.OptAction, _, _ gomilter.OptProtocol,
			_ gomilter.DataSize,
		) (uint32, gomilter.OptAction, gomilter.OptProtocol, gomilter.DataSize, error) {
			return min(mta, own), 0, options, gomilter.DataSize64K, nil
		}))
	served := make(chan error)
	go func() { served <- server.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})
}

func listen(tb testing.TB, network string) net.Listener {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(tb.TempDir(), "s")
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	return ln
}

func dial(tb testing.TB, ln net.Listener) net.Conn {
	tb.Helper()
	conn, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// scripted is a connection that gives a stream in pieces, and takes note of
// what is written.
type scripted struct {
	net.Conn
	stream  []byte
	piece   int
	written []string
	broken  error         // what Write fails with, after its first byte
	closed  chan struct{} // if not nil, closed by Close
}

func (c *scripted) Read(p []byte) (int, error) {
	if len(c.stream) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.stream[:min(c.piece, len(c.stream))])
	c.stream = c.stream[n:]
	return n, nil
}

func (c *scripted) Write(p []byte) (int, error) {
	if c.broken != nil {
		return 1, c.broken
	}
	c.written = append(c.written, string(p))
	return len(p), nil
}

func (*scripted) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix"} }
func (*scripted) SetReadDeadline(time.Time) error  { return nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }

func (c *scripted) Close() error {
	if c.closed != nil {
		close(c.closed)
	}
	return nil
}
