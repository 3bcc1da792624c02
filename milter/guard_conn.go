package milter

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"helo-milter/milter/gate"
)

// guardConn is a connection whose Read gives well-formed frames only. One
// goroutine may read and one write at a time, as the library does.
type guardConn struct {
	gate.Conn
	guard  *Guard
	source source

	// Of the reader: what has come and is not passed on (a window of small, or
	// of a buffer that lives as long as one long frame), how much of it is
	// checked, whether OPTNEG has passed, and what Read says from now on.
	in         []byte
	checked    int
	err        error
	small      *[smallSize]byte // nil while the connection waits, as most do
	negotiated bool
	progress   progress

	out   replies
	heard atomic.Bool // something has come since the last reply went out

	mu      sync.Mutex
	read    deadline
	own     moment // when the guard's own reads are to end; read is the earlier of it and the library's
	user    moment
	write   deadline
	drained bool // nothing more is to be read
}

// errViolation is what Read says after a violation, the kind of which it is.
type errViolation string

func (e errViolation) Error() string { return "milter: closed by the guard: " + string(e) }

// Is makes the library take the error for a closed connection and log nothing:
// OnViolation has been told.
func (e errViolation) Is(target error) bool { return target == net.ErrClosed }

func newGuardConn(nc net.Conn, g *Guard) *guardConn {
	c := &guardConn{Conn: g.Conn(nc), guard: g}
	c.source.open(c)
	return c
}

// Read fills p from one checked frame. After a violation it returns the same
// error, which is [net.ErrClosed] to [errors.Is], for good.
func (c *guardConn) Read(p []byte) (int, error) {
	for c.checked == 0 {
		if c.err == nil {
			c.err = c.next()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.in[:c.checked])
	c.in, c.checked = c.in[n:], c.checked-n
	c.rest()
	return n, nil
}

// next waits for a whole frame and checks it. It may be one that is left out.
func (c *guardConn) next() error {
	for begun := false; ; {
		size, kind := frameSize(c.in, c.negotiated)
		if kind != "" {
			return c.violation(kind)
		}
		if keep := min(size, 4+maxFrame); len(c.in) >= keep {
			if err := c.cut(keep, size); err != nil {
				return c.failure(err)
			}
			return c.check(keep)
		}
		switch {
		case len(c.in) == 0:
			c.expire(c.Limits.Idle)
		case !begun: // later bytes gain no time
			begun = true
			c.expire(c.Limits.Frame)
		}
		if err := c.fill(min(size, 4+maxFrame)); err != nil {
			return c.failure(err)
		}
	}
}

// cut leaves out what a frame of header or body has beyond the first keep of
// its size bytes: nobody here looks at it, and it need not cost memory.
func (c *guardConn) cut(keep, size int) error {
	if keep == size {
		return nil
	}
	if err := c.skip(size - keep); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(c.in, uint32(keep-4))
	if c.in[4] == 'L' {
		c.in[keep-1] = 0 // the end of the value
	}
	return nil
}

// skip reads n bytes that nobody looks at.
func (c *guardConn) skip(n int) error {
	buf := c.guard.buffers.Get().(*[smallSize]byte)
	defer c.guard.buffers.Put(buf)
	for n > 0 {
		got, err := c.Conn.Read(buf[:min(n, smallSize)])
		if n -= got; n > 0 && err != nil && !c.early(err) {
			return err
		}
	}
	return nil
}

// fill reads what there is of a frame of size bytes, and perhaps of those
// behind it.
func (c *guardConn) fill(size int) error {
	n, err := c.source.read(c, size)
	for n == 0 && c.early(err) {
		n, err = c.source.read(c, size)
	}
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil // an error beside bytes comes again
	}
	return err
}

// room is where more of a frame of size bytes can go. It grows with the bytes
// that came, not with those claimed.
func (c *guardConn) room(size int) []byte {
	switch {
	case len(c.in) == 0:
		if c.small == nil {
			c.small = c.guard.buffers.Get().(*[smallSize]byte)
		}
		c.in = c.small[:0]
	case size <= smallSize && size > cap(c.in):
		c.in = append(c.small[:0], c.in...)
	case len(c.in) == cap(c.in):
		grown := min(size, 2*max(len(c.in), smallSize))
		c.in = append(make([]byte, 0, grown), c.in...)
	}
	return c.in[len(c.in):cap(c.in)]
}

// rest gives the room back once all is passed on: most connections wait, and the one that ends is not read
// from again.
func (c *guardConn) rest() {
	if len(c.in) == 0 && c.small != nil {
		c.guard.buffers.Put(c.small)
		c.small, c.in = nil, nil
	}
}

// check lets the frame in the first size bytes pass, corrected if need be, and without what nobody reads.
func (c *guardConn) check(size int) error {
	code := c.in[4]
	surplus, kind := checkFrame(c.in[:size])
	if kind != "" {
		return c.violation(kind)
	}
	more, all := c.leave(c.in[:size-surplus])
	if all {
		c.in = c.in[size:]
		return nil
	}
	if surplus += more; surplus > 0 { // close the gap from the left: the next frame stays where it is
		copy(c.in[surplus:size], c.in[:size-surplus])
		c.in = c.in[surplus:]
		size -= surplus
		binary.BigEndian.PutUint32(c.in, uint32(size-4))
	}
	if code == 'O' {
		c.negotiated = true
		c.Keep()
	}
	c.checked = size
	return nil
}

func (c *guardConn) violation(kind string) error {
	c.Violation(kind)
	return errViolation(kind)
}

// failure tells a violation from an honest end of the connection.
func (c *guardConn) failure(err error) error {
	timeout := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case timeout && c.isDrained():
		return net.ErrClosed
	case timeout && !c.negotiated:
		return c.violation(kindSilent)
	case timeout && len(c.in) > 0:
		return c.violation(kindSlow)
	case timeout:
		return c.violation(kindIdle)
	case err == io.EOF && len(c.in) > 0:
		return c.violation(kindTruncated)
	}
	return err
}
