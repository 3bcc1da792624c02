package milter

import (
	"context"
	"errors"
	"net"
	"syscall"
)

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

// Listen listens on a TCP address for connections of MTAs, whose keepalive probes are those of [net.Listen].
// Linux has accepted connections inherit them from the listening socket: Go sets them on each, four system
// calls a session. No MTA speaks Multipath TCP (RFC 8684), whose sockets pass on less.
func Listen(network, address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1, Control: keepAlive}
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), network, address)
}

// keepAlive finds dead peers after 15 s and 9 probes of 15 s each.
func keepAlive(_, _ string, conn syscall.RawConn) (err error) {
	set := func(fd uintptr) {
		const wait = 15 // seconds
		err = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, wait),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, wait),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9),
		)
	}
	controlErr := conn.Control(set)
	return errors.Join(controlErr, err)
}
