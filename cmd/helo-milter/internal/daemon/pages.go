package daemon

import (
	"net"
	"net/http"

	"helo-milter/cmd/helo-milter/internal/config"
)

// pages is an HTTP server on a listener of the configuration: http.listen or help.listen. nil is none.
type pages struct {
	*http.Server
	socket  net.Listener
	address config.Address
}

// openPages listens on the address of a key, unless these pages are there already.
func (c *change) openPages(key string, address config.Address, now *pages) (net.Listener, error) {
	if address.Network == "" || now != nil && address == now.address && !isGone(now.socket) {
		return nil, nil
	}
	socket, err := c.listen(address)
	if err != nil {
		return nil, keyError(key, err)
	}
	c.opened = append(c.opened, socket)
	return socket, nil
}

// next returns the pages of an address: on a listener that was opened for them, or else those that are there.
func (p *pages) next(address config.Address, opened net.Listener, serve func(net.Listener) *http.Server) *pages {
	if p != nil && (opened != nil || address.Network == "") {
		_ = p.Close()
		p = nil
	}
	if opened != nil {
		p = &pages{serve(opened), opened, address}
	}
	return p
}
