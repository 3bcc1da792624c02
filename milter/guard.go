package milter

import (
	"cmp"
	"net"
	"time"
)

// Limits bounds what the peers of one listener may use up. A zero field means
// its default.
type Limits struct {
	Connections int           // open at a time; default 1000
	Idle        time.Duration // from one frame to the next; default 70 min, above Sendmail's one hour
	Frame       time.Duration // from a frame's first byte to its last; default 10 s

	// OnViolation is told whom the guard turned away and why, if set; kind is
	// one of the names below. Connections call it each in their own goroutine,
	// so it must be safe for concurrent use and must not block.
	OnViolation func(remote net.Addr, kind string)
}

// The kinds of violation. Each but kindAccept ends the connection it happens on.
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
	kindEvicted   = "evicted"   // not negotiated, closed to make room for a newer connection
	kindFull      = "full"      // no room: all Limits.Connections have negotiated
	kindAccept    = "accept"    // Accept failed for a while (remote is the listener's own address)
)

// Guard puts a guard in front of go-milter, which panics in a goroutine of its
// own (out of reach of recover) on some frames, allocates up to 512 MiB on the
// word of a peer, and stops serving at the first failed Accept.
//
// The connections of the returned listener read whole frames, and only those
// that the library can take; at anything else Read fails, so that the library
// closes the connection. They join the library's two writes a reply into one.
// Accept fails only when ln is closed or broken. Closing the returned listener
// closes ln, and no connection.
func Guard(ln net.Listener, l Limits) net.Listener {
	l.Connections = cmp.Or(l.Connections, 1000)
	l.Idle = cmp.Or(l.Idle, 70*time.Minute)
	l.Frame = cmp.Or(l.Frame, 10*time.Second)
	return &guardListener{Listener: ln, limits: l, closed: make(chan struct{})}
}
