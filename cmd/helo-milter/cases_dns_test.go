package main

import (
	"slices"
	"testing"

	"helo-milter/dnscache/dnstest"
)

// server starts the DNS server of the case, and returns its address.
func (c *realCase) server(t *testing.T) string {
	if c.Hook != "" && !slices.Contains(known, c.ID) {
		t.Errorf("unknown hook %q", c.Hook)
	}
	return dnstest.Start(t, c.zone(t)).Addr()
}
