package milter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Add takes connections from ln, too, until Remove or Close.
func (g *Guard) Add(ln net.Listener) {
	g.mu.Lock()
	g.listeners[ln] = struct{}{}
	g.mu.Unlock()
	go g.listen(ln)
}

// Remove closes ln, and no connection that came from it.
func (g *Guard) Remove(ln net.Listener) error {
	g.mu.Lock()
	delete(g.listeners, ln)
	g.mu.Unlock()
	return ln.Close()
}

// Accept returns the next connection that there is room for. It fails with
// [net.ErrClosed] after Close, and with the error of a listener that broke.
func (g *Guard) Accept() (net.Conn, error) {
	select {
	case nc := <-g.accepted:
		return nc, nil
	case err := <-g.broken:
		return nil, err
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

// Close closes the listeners, and no connection. It may be called again.
func (g *Guard) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.closed:
		return nil
	default:
		close(g.closed)
	}
	var errs error
	for ln := range g.listeners {
		errs = errors.Join(errs, ln.Close())
	}
	clear(g.listeners)
	return errs
}

// Addr is that of one of the listeners, or nil.
func (g *Guard) Addr() net.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	for ln := range g.listeners {
		return ln.Addr()
	}
	return nil
}

// listen accepts from ln until it is closed. It outlasts temporary errors,
// pausing 5 ms after the first and twice as long after each further one, up to
// 1 s.
func (g *Guard) listen(ln net.Listener) {
	for pause := 5 * time.Millisecond; ; {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			g.pass(nc)
			continue
		case !g.has(ln):
			return
		case !temporary(err):
			select {
			case g.broken <- fmt.Errorf("%s: %w", ln.Addr(), err):
			default: // one is enough to end the server
			}
			return
		}
		g.limits.Load().violation(ln.Addr(), kindAccept)
		select {
		case <-g.closed:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

func (g *Guard) has(ln net.Listener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.listeners[ln]
	return ok
}

// pass gives nc to Accept if there is room for it.
func (g *Guard) pass(nc net.Conn) {
	c := g.admit(nc)
	if c == nil {
		return
	}
	select {
	case g.accepted <- c:
	case <-g.closed:
		_ = c.Close()
	}
}

// temporary reports whether Accept may succeed later: we have run out of
// something, or the peer's connection was broken before we saw it (accept(2)).
func temporary(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
		syscall.EPERM, syscall.EPROTO, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EHOSTUNREACH,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// admit gives nc a place. If all are taken, or all of its peer's, it is that of
// the oldest connection in question which has not negotiated. Without one, it
// closes nc and returns nil.
func (g *Guard) admit(nc net.Conn) *guardConn {
	c := newGuardConn(nc, g)
	evicted, kind := g.place(c)
	if evicted != nil {
		_ = evicted.Conn.Close()
		evicted.limits.violation(evicted.RemoteAddr(), kindEvicted)
	}
	if kind != "" {
		_ = nc.Close()
		c.limits.violation(nc.RemoteAddr(), kind)
		return nil
	}
	return c
}

func (g *Guard) place(c *guardConn) (evicted *guardConn, kind string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sibling := func(other *guardConn) bool { return other.peer == c.peer }
	victim := -1
	switch {
	case g.isProbeLocked(c):
		return nil, ""
	case !c.limits.welcome(c.peer):
		return nil, kindPeer
	case g.peers[c.peer] >= c.limits.perPeer(c.peer):
		if victim = slices.IndexFunc(g.pending, sibling); victim < 0 {
			return nil, kindPerPeer
		}
	case len(g.open) >= c.limits.Connections:
		if len(g.pending) == 0 {
			return nil, kindFull
		}
		victim = 0
	}
	if victim >= 0 {
		evicted = g.pending[victim]
		g.releaseLocked(evicted)
	}
	g.open[c] = struct{}{}
	g.peers[c.peer]++
	g.pending = append(g.pending, c)
	return evicted, ""
}

// peerOf is the address of a TCP connection's peer. Those of unix sockets have none.
func peerOf(nc net.Conn) netip.Addr {
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// negotiated makes the place of c its own until it closes.
func (g *Guard) negotiated(c *guardConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settleLocked(c)
}

// release gives back the place of c, if it still has it.
func (g *Guard) release(c *guardConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.releaseLocked(c)
}

func (g *Guard) releaseLocked(c *guardConn) {
	if _, ok := g.open[c]; !ok {
		return
	}
	delete(g.open, c)
	if g.peers[c.peer]--; g.peers[c.peer] == 0 {
		delete(g.peers, c.peer)
	}
	g.settleLocked(c)
}

func (g *Guard) settleLocked(c *guardConn) {
	if i := slices.Index(g.pending, c); i >= 0 {
		g.pending = slices.Delete(g.pending, i, i+1)
	}
}

// Connections returns how many connections are open, probes not counted.
func (g *Guard) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// drain ends the connections, each after the reply that it is about to give.
func (g *Guard) drain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		c.drain()
	}
}
