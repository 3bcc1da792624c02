package milter

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"helo-milter/milter/gate"
)

// The kinds of violation, beside those of package gate. Each ends the connection it happens on.
const (
	kindEmpty     = "empty"     // a frame of no bytes, not even a code
	kindSize      = "size"      // a frame longer than maxFrame or maxContent
	kindCommand   = "command"   // a code that mfdef.h does not know
	kindOrder     = "order"     // no OPTNEG at the start, or one later on
	kindOptneg    = "optneg"    // an OPTNEG too short for its three numbers
	kindVersion   = "version"   // an OPTNEG of a protocol below 2
	kindConnect   = "connect"   // a CONNECT without family, or without port where it has one
	kindHelo      = "helo"      // a HELO without argument
	kindEnvelope  = "envelope"  // a MAIL or RCPT whose address does not end
	kindHeader    = "header"    // a header without value
	kindMacro     = "macro"     // a macro frame that names no command
	kindStrings   = "strings"   // more than maxStrings macros or ESMTP parameters
	kindTruncated = "truncated" // the peer closed in the middle of a frame
	kindSlow      = "slow"      // a frame took longer than Limits.Frame
	kindIdle      = "idle"      // no frame for Limits.Idle
	kindSilent    = "silent"    // no OPTNEG within the second the library gives
)

// Guard is the [gate.Door] in front of go-milter, which panics in a goroutine of its own (out of reach of
// recover) on some frames, allocates up to 512 MiB on the word of a peer, and stops serving at the first failed
// Accept. It is the listener that joins all listeners.
//
// Its connections read whole frames, and only those that the library can take; at anything else Read fails, so
// that the library closes the connection. They join the library's writes of an answer into one.
type Guard struct {
	*gate.Gate
	start    time.Time
	mu       sync.Mutex            // of who changes reads
	reads    atomic.Pointer[reads] // nil is everything
	buffers  sync.Pool             // of *[smallSize]byte
	accepted chan net.Conn
}

// NewGuard returns a guard of connections that a gate lets in.
func NewGuard(g *gate.Gate) *Guard {
	return &Guard{
		Gate:     g,
		start:    time.Now(),
		buffers:  sync.Pool{New: func() any { return new([smallSize]byte) }},
		accepted: make(chan net.Conn),
	}
}

// Add takes connections from ln, too, until Remove or Close.
func (g *Guard) Add(ln net.Listener) { g.Gate.Add(ln, g) }

// Enter gives nc to Accept if there is room for it.
func (g *Guard) Enter(nc net.Conn) {
	c := newGuardConn(nc, g)
	if !g.Admit(&c.Conn, c) {
		return
	}
	select {
	case g.accepted <- c:
	case <-g.Closed():
		_ = c.Close()
	}
}

// Accept returns the next connection that there is room for. It fails with
// [net.ErrClosed] after Close, and with the error of a listener that broke.
func (g *Guard) Accept() (net.Conn, error) {
	select {
	case nc := <-g.accepted:
		return nc, nil
	case err := <-g.Broken():
		return nil, err
	case <-g.Closed():
		return nil, net.ErrClosed
	}
}

// optneg is what an MTA begins with: protocol 6, every action and every step.
var optneg = []byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")

// Speak negotiates as an MTA does.
func (g *Guard) Speak(conn net.Conn) error {
	reply := make([]byte, headLen)
	if _, err := conn.Write(optneg); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, reply); err != nil {
		return fmt.Errorf("no answer to the negotiation: %w", err)
	}
	if reply[4] != 'O' || binary.BigEndian.Uint32(reply) > maxFrame {
		return fmt.Errorf("the negotiation was answered with %q", reply)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, int64(binary.BigEndian.Uint32(reply))-1))
	_, err := conn.Write([]byte("\x00\x00\x00\x01Q"))
	return err
}
