package main

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"helo-milter/checks"
	"helo-milter/dnscache"
	"helo-milter/dnscache/dnstest"
)

// A client whose HELO is its PTR name costs one lookup of that name, in flight or cached, however many
// sessions it has.
func TestOneLookup(t *testing.T) {
	server := dnstest.Start(t, `
1.113.0.203.in-addr.arpa.  300 IN PTR mail.example.org.
mail.example.org.          300 IN A   203.0.113.1
mail.example.org.          300 IN AAAA 2001:db8::1
`)
	resolver, err := dnscache.New(dnscache.Config{Servers: []string{server.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	client := netip.MustParseAddr("203.0.113.1")
	asks := &checks.DNS{Resolver: resolver, Timeout: 5 * time.Second}
	var sessions sync.WaitGroup
	for range 10 {
		sessions.Go(func() {
			f := checks.Lookup(t.Context(), asks, client, checks.Site{}, checks.ParseHelo("mail.example.org"))
			if got := f.Iprev(); got != "pass" {
				t.Errorf("iprev is %s", got)
			}
		})
	}
	sessions.Wait()
	for qtype, want := range map[uint16]int{dns.TypeA: 1, dns.TypeAAAA: 1, dns.TypeTXT: 1, dns.TypeMX: 0} {
		if got := server.Queries("mail.example.org.", qtype); got != want {
			t.Errorf("%d queries of type %s, want %d", got, dns.TypeToString[qtype], want)
		}
	}
	if got := server.Queries("1.113.0.203.in-addr.arpa.", dns.TypePTR); got != 1 {
		t.Errorf("%d PTR queries", got)
	}
}
