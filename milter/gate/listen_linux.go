package gate

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// Listen listens on a TCP address for connections of mail servers, whose keepalive probes are those of [net.Listen].
// Linux has accepted connections inherit them from the listening socket: Go sets them on each, four system
// calls a session. No mail server speaks Multipath TCP (RFC 8684), whose sockets pass on less.
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
