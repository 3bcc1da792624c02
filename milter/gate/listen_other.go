//go:build !linux

package gate

import "net"

// Listen is [net.Listen]: only Linux is known to have accepted connections inherit keepalive options.
func Listen(network, address string) (net.Listener, error) { return net.Listen(network, address) }
