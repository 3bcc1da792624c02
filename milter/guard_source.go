package milter

import (
	"io"
	"net"
	"os"
	"syscall"
)

// smallSize is the size of the buffers that all connections share, in bytes: what an MTA sends at a time,
// macros and command, fits.
const smallSize = 1024

// source is where the bytes of a connection come from. One of a socket takes a buffer only when there are
// some: ten thousand connections that wait need none.
type source struct {
	raw syscall.RawConn // nil for what is no socket
	tcp bool
	try func(fd uintptr) bool // is tryRead; made once, so that a read costs no memory

	// Between tryRead and read: the size of the frame, then how much was read.
	n   int
	err error
}

func (s *source) open(c *guardConn) {
	socket, ok := c.Conn.Conn.(syscall.Conn)
	if !ok {
		return
	}
	s.raw, _ = socket.SyscallConn() // fails on a closed connection only, as will read
	_, s.tcp = c.Conn.Conn.(*net.TCPConn)
	s.try = func(fd uintptr) bool { return s.tryRead(c, fd) }
}

// read reads into the connection's room for a frame of size bytes.
func (s *source) read(c *guardConn, size int) (int, error) {
	if s.raw == nil {
		return c.Conn.Read(c.room(size))
	}
	s.n, s.err = size, nil
	if err := s.raw.Read(s.try); err != nil {
		return 0, err
	}
	return s.n, s.err
}

// tryRead reports whether there was something to read, if only the end.
func (s *source) tryRead(c *guardConn, fd uintptr) bool {
	n, err := 0, error(syscall.EINTR)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), c.room(s.n))
	}
	switch {
	case err == syscall.EAGAIN:
		c.rest()
		if s.tcp && c.heard.Load() {
			quickAck(fd)
		}
		return false
	case err != nil:
		s.err = os.NewSyscallError("read", err)
	case n == 0:
		s.err = io.EOF
	default:
		c.heard.Store(true)
	}
	s.n = max(0, n)
	return true
}
