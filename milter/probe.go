package milter

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// optneg is what an MTA begins with: protocol 6, every action and every step.
var optneg = []byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")

// Probe connects to every listener as an MTA does and negotiates. It returns
// what went wrong, at the latest when the context ends; that there is no
// listener is an error, too. Limits do not apply to
// it: a daemon that is full is healthy.
func (g *Guard) Probe(ctx context.Context) error {
	g.mu.Lock()
	var addrs []net.Addr
	for ln := range g.listeners {
		addrs = append(addrs, ln.Addr())
	}
	g.mu.Unlock()
	if len(addrs) == 0 {
		return errors.New("no listener")
	}
	var errs error
	for _, addr := range addrs {
		if err := g.probe(ctx, addr); err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s: %w", addr, err))
		}
	}
	return errs
}

func (g *Guard) probe(ctx context.Context, addr net.Addr) error {
	from, to, err := probeAddrs(addr)
	if err != nil {
		return err
	}
	g.expect(from)
	if err := negotiate(ctx, from, addr.Network(), to); err != nil {
		g.forget(from)
		return err
	}
	if !g.forget(from) {
		return errors.New("another program answers there")
	}
	return nil
}

// negotiate is what a probe does as an MTA.
func negotiate(ctx context.Context, from net.Addr, network, to string) error {
	dialer := net.Dialer{LocalAddr: from}
	conn, err := dialer.DialContext(ctx, network, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	reply := make([]byte, headLen)
	if _, err := conn.Write(optneg); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, reply); err != nil {
		return fmt.Errorf("no answer to the negotiation: %w", cmp.Or(context.Cause(ctx), err))
	}
	if reply[4] != 'O' || binary.BigEndian.Uint32(reply) > maxFrame {
		return fmt.Errorf("the negotiation was answered with %q", reply)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, int64(binary.BigEndian.Uint32(reply))-1))
	_, err = conn.Write([]byte("\x00\x00\x00\x01Q"))
	return err
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

// expect makes the guard know a probe by where it comes from.
func (g *Guard) expect(from net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probes[from.String()] = false
}

// forget reports whether the probe came, and forgets it.
func (g *Guard) forget(from net.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	came := g.probes[from.String()]
	delete(g.probes, from.String())
	return came
}

func (g *Guard) isProbeLocked(c *guardConn) bool {
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
