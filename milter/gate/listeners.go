package gate

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// Add has a door take connections from ln, too, until Remove or Close, or until it is added for another door.
func (g *Gate) Add(ln net.Listener, d Door) {
	g.mu.Lock()
	_, known := g.listeners[ln]
	g.listeners[ln] = d
	g.mu.Unlock()
	if !known {
		go g.listen(ln)
	}
}

// Remove closes ln, and no connection that came from it.
func (g *Gate) Remove(ln net.Listener) error {
	g.mu.Lock()
	delete(g.listeners, ln)
	g.mu.Unlock()
	return ln.Close()
}

// Closed returns a channel that is closed by Close.
func (g *Gate) Closed() <-chan struct{} { return g.closed }

// Broken returns a channel with the error of the first listener that broke.
func (g *Gate) Broken() <-chan error { return g.broken }

// Close closes the listeners, and no connection. It may be called again.
func (g *Gate) Close() error {
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
func (g *Gate) Addr() net.Addr {
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
func (g *Gate) listen(ln net.Listener) {
	for pause := 5 * time.Millisecond; ; {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			if door := g.door(ln); door != nil {
				door.Enter(nc)
			} else {
				_ = nc.Close()
			}
			continue
		case g.door(ln) == nil:
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

// door is what takes the connections of ln, or nil.
func (g *Gate) door(ln net.Listener) Door {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.listeners[ln]
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
