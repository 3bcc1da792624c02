package milter

import (
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// guardListener accepts whatever happens, and counts what it has accepted.
type guardListener struct {
	net.Listener
	limits    Limits
	closed    chan struct{} // closed by Close: ends a pause of Accept
	closeOnce sync.Once

	mu      sync.Mutex
	open    int          // connections that hold a place
	pending []*guardConn // those of them that have not negotiated, oldest first
}

// Accept returns the next connection there is room for. It outlasts temporary
// errors, pausing 5 ms after the first and twice as long after each further
// one, up to 1 s. It returns [net.ErrClosed] after Close, also out of a pause,
// and any other error as it is.
func (l *guardListener) Accept() (net.Conn, error) {
	for pause := 5 * time.Millisecond; ; {
		nc, err := l.Listener.Accept()
		switch {
		case err == nil:
			if c := l.admit(nc); c != nil {
				return c, nil
			}
		case !temporary(err):
			return nil, err
		default:
			l.violation(l.Addr(), kindAccept)
			select {
			case <-l.closed:
				return nil, net.ErrClosed
			case <-time.After(pause):
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
	}
}

// Close ends Accept.
func (l *guardListener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// temporary tells whether Accept may succeed later: we have run out of
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

// admit gives nc a place, that of the oldest connection which has not
// negotiated if all are taken. Without one, it closes nc and returns nil.
func (l *guardListener) admit(nc net.Conn) *guardConn {
	c := newGuardConn(nc, l)
	l.mu.Lock()
	var oldest *guardConn
	if l.open >= l.limits.Connections && len(l.pending) > 0 {
		oldest = l.pending[0]
		l.releaseLocked(oldest)
	}
	full := l.open >= l.limits.Connections
	if !full {
		l.open++
		l.pending = append(l.pending, c)
		c.placed = true
	}
	l.mu.Unlock()

	if oldest != nil {
		_ = oldest.Conn.Close()
		l.violation(oldest.RemoteAddr(), kindEvicted)
	}
	if full {
		_ = nc.Close()
		l.violation(nc.RemoteAddr(), kindFull)
		return nil
	}
	return c
}

// negotiated makes the place of c its own until it closes.
func (l *guardListener) negotiated(c *guardConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settleLocked(c)
}

// release gives back the place of c, if it still has it.
func (l *guardListener) release(c *guardConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked(c)
}

func (l *guardListener) releaseLocked(c *guardConn) {
	if c.placed {
		c.placed = false
		l.open--
		l.settleLocked(c)
	}
}

func (l *guardListener) settleLocked(c *guardConn) {
	if i := slices.Index(l.pending, c); i >= 0 {
		l.pending = slices.Delete(l.pending, i, i+1)
	}
}

func (l *guardListener) violation(remote net.Addr, kind string) {
	if l.limits.OnViolation != nil {
		l.limits.OnViolation(remote, kind)
	}
}
