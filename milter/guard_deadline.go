package milter

import (
	"errors"
	"os"
	"time"
)

// moment is a time, counted from the guard's start by the monotonic clock. Zero is none.
type moment time.Duration

func (g *Guard) now() moment { return moment(time.Since(g.start)) }

func (g *Guard) moment(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.Sub(g.start))
}

func (g *Guard) time(m moment) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return g.start.Add(time.Duration(m))
}

// deadline is one that is set far more often than it strikes: with each frame and each reply. The
// connection's timer, which costs more than all the rest of it, is left alone while it strikes no later than
// wanted and has half of the time to go. If it then strikes early, it is set once more to what is wanted: a
// deadline never counts before its time, nor after.
type deadline struct{ want, armed moment }

// set wants m, and reports whether the timer has to be set for it.
func (d *deadline) set(m, now moment) bool {
	d.want = m
	if d.armed != 0 && (m == 0 || d.armed <= m && d.armed-now >= (m-now)/2) || m == d.armed {
		return false
	}
	d.armed = m
	return true
}

// early reports whether the timer, which has struck, did so before its time, and has to be set anew.
func (d *deadline) early(now moment) bool {
	if d.want != 0 && d.want <= now {
		return false
	}
	d.armed = d.want
	return true
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *guardConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the caller's own read deadline. The library gives the
// negotiation one second this way, and then sets none: that lifts its own, not
// the guard's.
func (c *guardConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user = c.guard.moment(t)
	return c.setReadDeadlineLocked(c.guard.now())
}

// SetWriteDeadline sets the caller's write deadline. The library gives each reply ten seconds, and then sets
// none.
func (c *guardConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.write.set(c.guard.moment(t), c.guard.now()) {
		return c.Conn.SetWriteDeadline(t)
	}
	return nil
}

// expire gives the guard's own reads d from now.
func (c *guardConn) expire(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.guard.now()
	c.own = now + moment(d)
	_ = c.setReadDeadlineLocked(now) // fails on a closed connection only, as will Read
}

// Drain has Read fail, now or when it is called next.
func (c *guardConn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained = true
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // long ago
}

func (c *guardConn) isDrained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drained
}

func (c *guardConn) setReadDeadlineLocked(now moment) error {
	m := c.own
	if m == 0 || c.user != 0 && c.user < m {
		m = c.user
	}
	if c.read.set(m, now) && !c.drained {
		return c.Conn.SetReadDeadline(c.guard.time(m))
	}
	return nil
}

// early reports whether a read failed with err because its timer struck before the deadline, so that it is to
// be tried again.
func (c *guardConn) early(err error) bool {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.drained && c.read.early(c.guard.now()) && c.Conn.SetReadDeadline(c.guard.time(c.read.want)) == nil
}

// earlyWrite is early for a write.
func (c *guardConn) earlyWrite(err error) bool {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write.early(c.guard.now()) && c.Conn.SetWriteDeadline(c.guard.time(c.write.want)) == nil
}
