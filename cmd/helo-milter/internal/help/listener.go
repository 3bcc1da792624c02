package help

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/netutil"
)

// limit bounds the connections of a listener: in all, and from one peer. All clients of a proxy on this host are one peer,
// which is not bounded by itself.
func limit(ln net.Listener) net.Listener {
	return &shared{Listener: netutil.LimitListener(ln, MaxConnections), peers: map[netip.Addr]int{}}
}

// shared is a listener of which no peer takes more than its share.
type shared struct {
	net.Listener
	mu    sync.Mutex
	peers map[netip.Addr]int // open connections
}

// Accept closes the connections that are too many.
func (s *shared) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
		if !ok || tcp.IP.IsLoopback() {
			return conn, nil
		}
		peer := networkOf(tcp.AddrPort().Addr())
		if s.enter(peer) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { s.leave(peer) })}, nil
		}
		_ = conn.Close()
	}
}

// networkOf is what counts as one peer: an IPv4 address, or the /64 in which a host chooses its own.
func networkOf(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.Addr()
}

func (s *shared) enter(peer netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[peer] >= maxPerPeer {
		return false
	}
	s.peers[peer]++
	return true
}

func (s *shared) leave(peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[peer]--; s.peers[peer] == 0 {
		delete(s.peers, peer)
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
