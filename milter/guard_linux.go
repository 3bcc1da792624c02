package milter

import (
	"syscall"
)

// quickAck has the kernel acknowledge at once what has been read from a TCP
// connection. It forgets that, so it goes after each read.
//
// An MTA that leaves Nagle's algorithm on holds a frame back until the one
// before is acknowledged; where we negotiated no reply, that is the 40 ms of the
// delayed acknowledgement for each message.
func quickAck(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}
