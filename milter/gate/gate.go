// Package gate lets connections in, for all doors: it joins their listeners, and shares out the places that
// [Limits] allows. What a connection speaks is the business of its [Door].
//
//	listener ── Accept ──► Door.Enter ──► Gate.Admit ──► a place, or the end ──► Conn.Keep ──► Conn.Close
//
// A connection has a place from Admit to Close. Until Keep it may have to make room for a newer one: whoever
// connects and says nothing takes no place that a mail server needs.
package gate

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

// Limits bounds what mail servers, and anybody else who connects, may use up. A zero field means its default.
type Limits struct {
	Connections int            // most open at a time, on all listeners; default 1000
	PerPeer     int            // most from one TCP address; default half of Connections, and all from loopback
	Peers       []netip.Prefix // who may connect to TCP listeners; empty is everybody
	Idle        time.Duration  // from one frame or request to the next; default 70 min, above Sendmail's one hour
	Frame       time.Duration  // from the first byte of a frame or request to its last; default 10 s

	// OnViolation, if not nil, is called for each connection that was turned away; kind is one of the names below,
	// or of the door's. It is called by several goroutines at the same time, and must not block.
	OnViolation func(remote net.Addr, kind string)
}

// The kinds of violation of a limit. Each but kindAccept ends the connection it happens on.
const (
	kindPeer    = "peer"     // not one of Limits.Peers
	kindPerPeer = "per-peer" // no room: all Limits.PerPeer of that peer keep their places
	kindEvicted = "evicted"  // had not spoken, closed to make room for a newer connection
	kindFull    = "full"     // no room: all Limits.Connections keep their places
	kindAccept  = "accept"   // Accept failed for a while (remote is the listener's own address)
)

// Door speaks the protocol of some listeners.
type Door interface {
	// Enter takes a connection that was accepted, asks [Gate.Admit] for a place, and returns before it is served.
	Enter(nc net.Conn)
	// Speak speaks on a connection to a listener of the door as a mail server does, and reports what is wrong.
	Speak(conn net.Conn) error
}

// Gate joins listeners. Its methods are safe for concurrent use.
type Gate struct {
	limits atomic.Pointer[Limits]
	broken chan error    // of the first listener that broke
	closed chan struct{} // closed by Close

	mu        sync.Mutex
	listeners map[net.Listener]Door
	open      map[*Conn]Drainer  // connections that hold a place
	pending   []*Conn            // those of them that may lose it, oldest first
	peers     map[netip.Addr]int // how many there are of each TCP peer
	probes    map[string]bool    // addresses that our own probes come from, and whether they have
}

// New returns a gate without listeners.
func New(l Limits) *Gate {
	g := &Gate{
		broken:    make(chan error, 1),
		closed:    make(chan struct{}),
		listeners: map[net.Listener]Door{},
		open:      map[*Conn]Drainer{},
		peers:     map[netip.Addr]int{},
		probes:    map[string]bool{},
	}
	g.SetLimits(l)
	return g
}

// SetLimits sets the limits of the connections that are accepted from now on.
func (g *Gate) SetLimits(l Limits) {
	l.Connections = cmp.Or(l.Connections, 1000)
	l.Idle = cmp.Or(l.Idle, 70*time.Minute)
	l.Frame = cmp.Or(l.Frame, 10*time.Second)
	g.limits.Store(&l)
}

// perPeer is how many connections a peer may hold. The host itself is one mail server with all its processes, and
// may take every place.
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
