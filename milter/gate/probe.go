package gate

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
)

// Probe connects to every listener, and has its door speak as a mail server does. It returns what went wrong, at
// the latest when the context ends; that there is no listener is an error, too. Limits do not apply to it: a
// daemon that is full is healthy.
func (g *Gate) Probe(ctx context.Context) error {
	g.mu.Lock()
	listeners := maps.Clone(g.listeners)
	g.mu.Unlock()
	if len(listeners) == 0 {
		return errors.New("no listener")
	}
	var errs error
	for ln, door := range listeners {
		if err := g.probe(ctx, ln.Addr(), door); err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s: %w", ln.Addr(), err))
		}
	}
	return errs
}

func (g *Gate) probe(ctx context.Context, addr net.Addr, door Door) error {
	from, to, err := probeAddrs(addr)
	if err != nil {
		return err
	}
	g.expect(from)
	if err := speak(ctx, from, addr.Network(), to, door); err != nil {
		g.forget(from)
		return err
	}
	if !g.forget(from) {
		return errors.New("another program answers there")
	}
	return nil
}

// speak is what a probe does as a mail server.
func speak(ctx context.Context, from net.Addr, network, to string, door Door) error {
	dialer := net.Dialer{LocalAddr: from}
	conn, err := dialer.DialContext(ctx, network, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := door.Speak(conn); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	return nil
}

// probeAddrs returns an address that nobody else comes from, and where addr is
// to be found from there.
func probeAddrs(addr net.Addr) (from net.Addr, to string, err error) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		// An abstract name of Linux: no file.
		return &net.UnixAddr{Net: "unix", Name: "@helo-milter-" + rand.Text()}, addr.String(), nil
	}
	host := tcp.AddrPort().Addr().Unmap()
	switch {
	case host == netip.IPv4Unspecified():
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case host == netip.IPv6Unspecified():
		host = netip.IPv6Loopback()
	}
	// The kernel chooses a port, which is free again at once.
	reserved, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
	if err != nil {
		return nil, "", err
	}
	from = reserved.Addr()
	return from, netip.AddrPortFrom(host, tcp.AddrPort().Port()).String(), reserved.Close()
}

// expect makes the gate know a probe by where it comes from.
func (g *Gate) expect(from net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probes[from.String()] = false
}

// forget reports whether the probe came, and forgets it.
func (g *Gate) forget(from net.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	came := g.probes[from.String()]
	delete(g.probes, from.String())
	return came
}

func (g *Gate) isProbeLocked(c *Conn) bool {
	if len(g.probes) == 0 {
		return false
	}
	from := c.RemoteAddr().String()
	_, ok := g.probes[from]
	if ok {
		g.probes[from] = true
	}
	return ok
}
