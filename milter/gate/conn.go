package gate

import (
	"net"
	"net/netip"
	"slices"
)

// Conn is a connection that may hold a place of a gate. It must not be copied once it does.
type Conn struct {
	net.Conn
	Limits *Limits    // as they were when it came
	Peer   netip.Addr // its address; invalid for a unix socket

	gate *Gate
}

// Drainer is what owns a connection.
type Drainer interface {
	// Drain ends the connection, after the reply that it is about to give.
	Drain()
}

// Conn returns a connection without a place.
func (g *Gate) Conn(nc net.Conn) Conn {
	return Conn{Conn: nc, Limits: g.limits.Load(), Peer: peerOf(nc), gate: g}
}

// peerOf is the address of a TCP connection's peer. Those of unix sockets have none.
func peerOf(nc net.Conn) netip.Addr {
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// Violation calls the OnViolation of the connection's limits.
func (c *Conn) Violation(kind string) { c.Limits.violation(c.RemoteAddr(), kind) }

// Admit gives c a place, and reports whether there is one. If all are taken, or all of its peer's, it is that of
// the oldest connection in question which may lose it. Without one, it closes c.
func (g *Gate) Admit(c *Conn, owner Drainer) bool {
	evicted, kind := g.place(c, owner)
	if evicted != nil {
		_ = evicted.Conn.Close()
		evicted.Violation(kindEvicted)
	}
	if kind != "" {
		_ = c.Conn.Close()
		c.Violation(kind)
	}
	return kind == ""
}

func (g *Gate) place(c *Conn, owner Drainer) (evicted *Conn, kind string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sibling := func(other *Conn) bool { return other.Peer == c.Peer }
	victim := -1
	switch {
	case g.isProbeLocked(c):
		return nil, ""
	case !c.Limits.welcome(c.Peer):
		return nil, kindPeer
	case g.peers[c.Peer] >= c.Limits.perPeer(c.Peer):
		if victim = slices.IndexFunc(g.pending, sibling); victim < 0 {
			return nil, kindPerPeer
		}
	case len(g.open) >= c.Limits.Connections:
		if len(g.pending) == 0 {
			return nil, kindFull
		}
		victim = 0
	}
	if victim >= 0 {
		evicted = g.pending[victim]
		g.releaseLocked(evicted)
	}
	g.open[c] = owner
	g.peers[c.Peer]++
	g.pending = append(g.pending, c)
	return evicted, ""
}

// Keep makes the place of c its own until Close.
func (c *Conn) Keep() {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.settleLocked(c)
}

// Close closes the connection and gives its place to another.
func (c *Conn) Close() error {
	c.gate.mu.Lock()
	c.gate.releaseLocked(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// releaseLocked gives back the place of c, if it still has it.
func (g *Gate) releaseLocked(c *Conn) {
	if _, ok := g.open[c]; !ok {
		return
	}
	delete(g.open, c)
	if g.peers[c.Peer]--; g.peers[c.Peer] == 0 {
		delete(g.peers, c.Peer)
	}
	g.settleLocked(c)
}

func (g *Gate) settleLocked(c *Conn) {
	if i := slices.Index(g.pending, c); i >= 0 {
		g.pending = slices.Delete(g.pending, i, i+1)
	}
}

// Connections returns how many connections are open, probes not counted.
func (g *Gate) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// Drain ends the connections, each after the reply that it is about to give.
func (g *Gate) Drain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, owner := range g.open {
		owner.Drain()
	}
}
