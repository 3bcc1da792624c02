package milter

import (
	"cmp"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bounds what MTAs, and anybody else who connects, may use up. A zero field means its default.
type Limits struct {
	Connections int            // most open at a time, on all listeners; default 1000
	PerPeer     int            // most from one TCP address; default half of Connections, and all from loopback
	Peers       []netip.Prefix // who may connect to TCP listeners; empty is everybody
	Idle        time.Duration  // from one frame to the next; default 70 min, above Sendmail's one hour
	Frame       time.Duration  // from a frame's first byte to its last; default 10 s

	// OnViolation, if not nil, is called for each connection that the guard turned away; kind is one of the
	// names below. It is called by several goroutines at the same time, and must not block.
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
	kindPeer      = "peer"      // not one of Limits.Peers
	kindPerPeer   = "per-peer"  // no room: all Limits.PerPeer of that peer have negotiated
	kindEvicted   = "evicted"   // not negotiated, closed to make room for a newer connection
	kindFull      = "full"      // no room: all Limits.Connections have negotiated
	kindAccept    = "accept"    // Accept failed for a while (remote is the listener's own address)
)

// Guard stands in front of go-milter, which panics in a goroutine of its own
// (out of reach of recover) on some frames, allocates up to 512 MiB on the word
// of a peer, and stops serving at the first failed Accept. It is the listener
// that joins all listeners.
//
// Its connections read whole frames, and only those that the library can take;
// at anything else Read fails, so that the library closes the connection. They
// join the library's writes of an answer into one.
type Guard struct {
	start    time.Time
	limits   atomic.Pointer[Limits]
	reads    atomic.Pointer[reads] // nil is everything
	buffers  sync.Pool             // of *[smallSize]byte
	accepted chan net.Conn
	broken   chan error    // of the first listener that broke
	closed   chan struct{} // closed by Close

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	open      map[*guardConn]struct{} // connections that hold a place
	pending   []*guardConn            // those of them that have not negotiated, oldest first
	peers     map[netip.Addr]int      // how many there are of each TCP peer
	probes    map[string]bool         // addresses that our own probes come from, and whether they have
}

// NewGuard returns a guard without listeners.
func NewGuard(l Limits) *Guard {
	g := &Guard{
		start:     time.Now(),
		buffers:   sync.Pool{New: func() any { return new([smallSize]byte) }},
		accepted:  make(chan net.Conn),
		broken:    make(chan error, 1),
		closed:    make(chan struct{}),
		listeners: map[net.Listener]struct{}{},
		open:      map[*guardConn]struct{}{},
		peers:     map[netip.Addr]int{},
		probes:    map[string]bool{},
	}
	g.SetLimits(l)
	return g
}

// SetLimits sets the limits of the connections that are accepted from now on.
func (g *Guard) SetLimits(l Limits) {
	l.Connections = cmp.Or(l.Connections, 1000)
	l.Idle = cmp.Or(l.Idle, 70*time.Minute)
	l.Frame = cmp.Or(l.Frame, 10*time.Second)
	g.limits.Store(&l)
}

// perPeer is how many connections a peer may hold. The host itself is one MTA
// with all its processes, and may take every place.
func (l *Limits) perPeer(peer netip.Addr) int {
	switch {
	case peer.IsValid() && l.PerPeer > 0:
		return l.PerPeer
	case peer.IsValid() && !peer.IsLoopback():
		return max(1, l.Connections/2)
	}
	return math.MaxInt
}

// welcome reports whether a peer may connect at all. Of a unix socket, the file's mode decides that.
func (l *Limits) welcome(peer netip.Addr) bool {
	in := func(p netip.Prefix) bool { return p.Contains(peer) }
	return len(l.Peers) == 0 || !peer.IsValid() || slices.ContainsFunc(l.Peers, in)
}

// violation calls OnViolation.
func (l *Limits) violation(remote net.Addr, kind string) {
	if l.OnViolation != nil {
		l.OnViolation(remote, kind)
	}
}
