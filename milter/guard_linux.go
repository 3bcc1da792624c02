package milter

import "syscall"

// quickAck has the kernel acknowledge at once what has been read from a TCP
// connection. It forgets that, so it goes before each wait for more, unless
// nothing was read since a reply, which has carried the acknowledgement.
//
// An MTA that leaves Nagle's algorithm on holds a frame back until the one
// before is acknowledged, and the kernel takes 40 ms for that by itself. Postfix
// would lose them once a message, where we negotiated no reply; Sendmail, which
// writes macros and command apart, with almost every command.
func quickAck(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}
