package rig

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// SlowProxy passes on what goes to a server and back, at once or after a while. It ends with the test.
type SlowProxy struct {
	Addr string // 127.0.0.1:PORT

	mu    sync.Mutex
	delay time.Duration
	conns []net.Conn
}

// StartSlowProxy starts a proxy to a server that is reached over TCP, without a delay.
func StartSlowProxy(t T, to string) *SlowProxy {
	t.Helper()
	socket, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", FreePort()))
	if err != nil {
		t.Fatalf("%v", err)
	}
	p := &SlowProxy{Addr: socket.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = socket.Close()
		p.Slow(0)
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	running.Go(func() {
		for {
			client, err := socket.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.(*net.TCPConn).SetLinger(0) // refused, as far as can be
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			running.Go(func() { p.pass(client, server) })
			running.Go(func() { p.pass(server, client) })
		}
	})
	return p
}

// Slow sets how long it takes each way. Zero also ends the waiting of what is under way.
func (p *SlowProxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// pass passes on what one end sends, until it or the other one closes.
func (p *SlowProxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay := p.delay
		p.mu.Unlock()
		for end := time.Now().Add(delay); time.Now().Before(end); time.Sleep(min(50*time.Millisecond, time.Until(end))) {
			p.mu.Lock()
			delayed := p.delay > 0
			p.mu.Unlock()
			if !delayed {
				break
			}
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
