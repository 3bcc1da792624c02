package dnscache_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	"helo-milter/dnscache"
	"helo-milter/dnscache/dnstest"
)

// One lookup for each outcome. A test would use dnstest.Start.
func Example() {
	server, err := dnstest.NewServer(`
mx.example.org.        A     192.0.2.1
broken.example.org.    TXT   "dnstest" "servfail"
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	resolver, err := dnscache.New(dnscache.Config{Servers: []string{server.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, host := range []string{"mx.example.org", "none.example.org", "broken.example.org"} {
		addrs, err := resolver.LookupNetIP(context.Background(), "ip4", host)
		var failure *net.DNSError
		switch {
		case err == nil:
			fmt.Println(host, addrs)
		case errors.As(err, &failure) && failure.IsNotFound:
			fmt.Println(host, "does not exist or has no address:", failure.Err)
		case failure.IsTemporary:
			fmt.Println(host, "may have an address:", failure.Err)
		}
	}
	// Output:
	// mx.example.org [192.0.2.1]
	// none.example.org does not exist or has no address: NXDOMAIN
	// broken.example.org may have an address: SERVFAIL
}

// The trace of a lookup has what its result does not have, such as the transport.
func ExampleWithTrace() {
	server, err := dnstest.NewServer("mx.example.org. 60 A 192.0.2.1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	resolver, err := dnscache.New(dnscache.Config{Servers: []string{server.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := dnscache.WithTrace(context.Background(), func(t dnscache.Trace) {
		fmt.Println(t.Type, t.Name, t.Transport, t.Rcode, t.Values)
	})
	resolver.LookupNetIP(ctx, "ip4", "MX.example.org")
	resolver.LookupNetIP(ctx, "ip4", "MX.example.org")
	// Output:
	// A mx.example.org. udp NOERROR [192.0.2.1]
	// A mx.example.org. cache NOERROR [192.0.2.1]
}
