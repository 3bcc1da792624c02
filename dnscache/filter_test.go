package dnscache

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
)

// What a server says of a name that it blocks is no answer, whatever data it makes up. A filter that does not
// say so cannot be told from the name's owner.
func TestFilters(t *testing.T) {
	const none = 65535
	for _, test := range []struct {
		story  string
		rcode  int
		code   uint16 // of RFC 8914
		answer string
		want   string
	}{
		{"Pi-hole", dns.RcodeSuccess, dns.ExtendedErrorCodeBlocked, "0.0.0.0", "filtered: Blocked"},
		{"Pi-hole, mode IP", dns.RcodeSuccess, dns.ExtendedErrorCodeBlocked, "192.168.0.2", "filtered: Blocked"},
		{"Pi-hole, mode NODATA", dns.RcodeSuccess, dns.ExtendedErrorCodeBlocked, "", "filtered: Blocked"},
		{"Pi-hole, mode NXDOMAIN", dns.RcodeNameError, dns.ExtendedErrorCodeBlocked, "", "filtered: Blocked"},
		{"Cloudflare", dns.RcodeSuccess, dns.ExtendedErrorCodeFiltered, "0.0.0.0", "filtered: Filtered"},
		{"by law", dns.RcodeNameError, dns.ExtendedErrorCodeCensored, "", "filtered: Censored"},
		{"a page", dns.RcodeSuccess, dns.ExtendedErrorCodeForgedAnswer, "192.0.2.8", "filtered: Forged Answer"},
		{"BIND's policy zone", dns.RcodeNameError, dns.ExtendedErrorCodeProhibited, "", "filtered: Prohibited"},
		{"refused", dns.RcodeRefused, dns.ExtendedErrorCodeProhibited, "", "REFUSED"},
		{"stale at the server", dns.RcodeSuccess, dns.ExtendedErrorCodeStaleAnswer, "192.0.2.1", "192.0.2.1"},
		{"a synthesized denial", dns.RcodeNameError, 29, "", "NXDOMAIN"},
		{"no code", dns.RcodeSuccess, none, "192.0.2.80", "192.0.2.80"},
		{"no code, NODATA", dns.RcodeSuccess, none, "", "NODATA"},
	} {
		q := question{"mx.example.org.", dns.TypeA}
		m := response(t, q.query(true), test.rcode)
		if test.answer != "" {
			m.Answer = response(t, m, 0, "mx.example.org. A "+test.answer).Answer
		}
		if m.SetEdns0(ednsSize, false); test.code != none {
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{}, &dns.EDNS0_EDE{InfoCode: test.code}}
		}
		if result, _ := read(m, q); texts(result)[0] != test.want {
			t.Errorf("%s: got %s, want %s", test.story, texts(result)[0], test.want)
		}
	}
}

// Quad9 blocks with an NXDOMAIN that has neither RA nor an SOA record. A name server that has the zone has no
// RA either.
func TestFiltersByNXDOMAIN(t *testing.T) {
	q := question{"mx.example.org.", dns.TypeA}
	soa := response(t, q.query(true), 0, "example.org. SOA . . 1 1 1 1 1").Answer
	for _, test := range []struct {
		recursion, authoritative bool
		authority                []dns.RR
		want                     string
	}{
		{false, false, nil, "filtered: NXDOMAIN without recursion"},
		{true, false, nil, "NXDOMAIN"},
		{false, true, nil, "NXDOMAIN"},
		{false, false, soa, "NXDOMAIN"},
		{true, false, soa, "NXDOMAIN"},
	} {
		m := response(t, q.query(true), dns.RcodeNameError)
		m.RecursionAvailable, m.Authoritative, m.Ns = test.recursion, test.authoritative, test.authority
		if result, _ := read(m, q); texts(result)[0] != test.want {
			t.Errorf("%+v: got %s", test, texts(result)[0])
		}
	}
}

// A server that blocks a name leaves it to the next one. Where there is none, the lookup fails, but the DNS
// does not.
func TestFilteredIsNoFault(t *testing.T) {
	exchange := func(_ context.Context, _, server string, query *dns.Msg) (*dns.Msg, error) {
		if server == "honest:53" {
			return response(t, query, dns.RcodeSuccess, query.Question[0].Name+" A 192.0.2.1"), nil
		}
		return new(dns.Msg).SetRcode(query, dns.RcodeNameError), nil
	}
	for _, test := range []struct {
		servers []string
		want    string
		told    int
	}{
		{[]string{"blocks:53", "honest:53"}, "192.0.2.1", 0},
		{[]string{"blocks:53"}, "filtered: NXDOMAIN without recursion, temporary", 2 * minQuestions},
	} {
		synctest.Test(t, func(t *testing.T) {
			told := 0
			r := newResolver(t, Config{
				Servers: test.servers, Exchange: exchange, OnFiltered: func(string, string) { told++ },
			})
			for i := range 2 * minQuestions {
				if got := resolve(t.Context(), r, fmt.Sprintf("A mx.d%d.example", i)); got != test.want {
					t.Fatalf("%v: got %s, want %s", test.servers, got, test.want)
				}
			}
			if r.Degraded() || told != test.told {
				t.Errorf("%v: degraded %t, told %d times, want %d", test.servers, r.Degraded(), told, test.told)
			}
		})
	}
}
