package milter

import (
	"net"
	"syscall"
)

// quickAck returns a func that has the kernel acknowledge at once what has been
// read from a TCP connection, and nil for others. The kernel forgets it, so it
// goes after each read.
//
// An MTA that leaves Nagle's algorithm on holds a frame back until the one
// before is acknowledged; where we negotiated no reply, that is the 40 ms of the
// delayed acknowledgement for each message.
func quickAck(nc net.Conn) func() {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	set := func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	}
	return func() { _ = raw.Control(set) }
}
