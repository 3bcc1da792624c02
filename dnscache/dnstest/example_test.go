package dnstest_test

import (
	"fmt"

	"github.com/miekg/dns"

	"helo-milter/dnscache/dnstest"
)

// A name of the zone answers for A, and refuses AAAA.
func ExampleNewServer() {
	server, err := dnstest.NewServer(`
mx.example.org.    A     192.0.2.1
mx.example.org.    TXT   "dnstest" "refused" "AAAA"
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion("mx.example.org.", qtype), server.Addr())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(dns.RcodeToString[reply.Rcode], len(reply.Answer))
	}
	fmt.Println(server.Queries("mx.example.org", dns.TypeAAAA), "query for AAAA")
	// Output:
	// NOERROR 1
	// REFUSED 0
	// 1 query for AAAA
}
