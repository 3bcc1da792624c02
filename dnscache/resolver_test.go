package dnscache

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const zone = `
example.org.                    SOA   ns.example.org. root.example.org. 1 300 300 300 60
mx.example.org.                 A     192.0.2.1
mx.example.org.                 AAAA  2001:db8::1
mapped.example.org.             AAAA  ::ffff:192.0.2.1
two.example.org.                A     192.0.2.2
two.example.org.                A     192.0.2.3
example.org.                    MX    20 backup.example.org.
example.org.                    MX    10 mx.example.org.
null.example.org.               MX    0 .
alias.example.org.              CNAME alias2.example.net.
alias2.example.net.             CNAME mx.example.org.
dangling.example.org.           CNAME nowhere.example.net.
typeless.example.org.           CNAME null.example.org.
circle1.example.org.            CNAME circle2.example.org.
circle2.example.org.            CNAME circle1.example.org.
l1.example.org.                 CNAME l2.example.org.
l2.example.org.                 CNAME l3.example.org.
l3.example.org.                 CNAME l4.example.org.
l4.example.org.                 CNAME l5.example.org.
l5.example.org.                 CNAME l6.example.org.
l6.example.org.                 CNAME l7.example.org.
l7.example.org.                 CNAME l8.example.org.
l8.example.org.                 CNAME l9.example.org.
l9.example.org.                 A     192.0.2.9
a.b.deep.example.org.           A     192.0.2.4
x_y.example.org.                A     192.0.2.5
a\ b.example.org.               A     192.0.2.6
1.2.0.192.in-addr.arpa.         PTR   MX.example.org.
2.2.0.192.in-addr.arpa.         PTR   two.example.org.
2.2.0.192.in-addr.arpa.         PTR   not\032a\032host.example.
2.2.0.192.in-addr.arpa.         PTR   -.
3.2.0.192.in-addr.arpa.         CNAME 3.0-31.2.0.192.in-addr.arpa.
3.0-31.2.0.192.in-addr.arpa.    PTR   two.example.org.
4.2.0.192.in-addr.arpa.         TXT   "dnstest" "refused"
half.example.org.               A     192.0.2.7
half.example.org.               TXT   "dnstest" "servfail" "AAAA"
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mx.example.org.
`

func TestLookup(t *testing.T) {
	r, _ := resolverOf(t, zone, Config{})
	long := strings.Repeat("a234567.", 31)
	for _, test := range []struct{ lookup, want string }{
		{"A mx.example.org", "192.0.2.1"},
		{"A mx.example.org.", "192.0.2.1"},              // absolute already
		{"A MX.Example.ORG", "192.0.2.1"},               // names have no case
		{"AAAA mx.example.org", "2001:db8::1"},          //
		{"AAAA mapped.example.org", "::ffff:192.0.2.1"}, // as the record has it
		{"A two.example.org", "192.0.2.2 192.0.2.3"},    //
		{"A x_y.example.org", "192.0.2.5"},              // underscores are valid in the DNS
		{"A a b.example.org", "192.0.2.6"},              // so are blanks
		{`A a\032b.example.org`, "192.0.2.6"},           // the same name, escaped
		{"A mx", "NXDOMAIN, not found"},                 // no search list
		{"A localhost", "NXDOMAIN, not found"},          // no hosts file
		{"AAAA two.example.org", "NODATA, not found"},   //
		{"A deep.example.org", "NODATA, not found"},     // an empty non-terminal
		{"A .", "NODATA, not found"},                    // the root has no address
		{"MX example.org", "10:mx.example.org. 20:backup.example.org."},
		{"MX null.example.org", "0:."},                                 // RFC 7505
		{"PTR 192.0.2.1", "MX.example.org."},                           // case as in the record
		{"PTR ::ffff:192.0.2.1", "MX.example.org."},                    // v4-mapped
		{"PTR 2001:db8::1%eth0", "mx.example.org."},                    // the IPv6 zone is ignored
		{"PTR 192.0.2.2", `two.example.org. not\ a\ host.example. -.`}, // all, including invalid host names
		{"PTR 192.0.2.3", "two.example.org."},                          // RFC 2317
		{"PTR 192.0.2.4", "REFUSED, temporary"},                        //
		{"PTR 192.0.2.99", "NXDOMAIN, not found"},                      //
		{"A half.example.org", "192.0.2.7"},                            // one family answers
		{"AAAA half.example.org", "SERVFAIL, temporary"},               // and the other fails
		{"A alias.example.org", "192.0.2.1"},                           // through a chain
		{"A dangling.example.org", "NXDOMAIN, not found"},              // the end of the chain does not exist
		{"A typeless.example.org", "NODATA, not found"},                // or has another type
		{"A l2.example.org", "192.0.2.9"},                              // 7 links
		{"A l1.example.org", "192.0.2.9"},                              // 8 links
		{"A circle1.example.org", "CNAME chain too long, temporary"},

		{"A ", "not a DNS name, not found"},
		{"A a..example.org", "not a DNS name, not found"},
		{"A .example.org", "not a DNS name, not found"},
		{`A a\`, "not a DNS name, not found"},
		{"A " + strings.Repeat("a", 63) + ".example.org", "NXDOMAIN, not found"},
		{"A " + strings.Repeat("a", 64) + ".example.org", "not a DNS name, not found"},
		{"A " + long + "a2345", "NXDOMAIN, not found"},        // 255 octets on the wire
		{"A " + long + "a23456", "not a DNS name, not found"}, // 256
		{"PTR 192.0.2", "not a DNS name, not found"},
		{"PTR mx.example.org", "not a DNS name, not found"},

		{"A servfail.example.org", "SERVFAIL, temporary"},
		{"A refused.example.org", "REFUSED, temporary"},
		{"A notimp.example.org", "NOTIMP, temporary"},
		{"A header-only.example.org", "REFUSED, temporary"},
		{"A lame.example.org", "lame, temporary"},
		{"A cname-loop.example.org", "CNAME chain too long, temporary"},
	} {
		t.Run(test.lookup, func(t *testing.T) {
			for _, when := range []string{"asked", "cached"} {
				if got := resolve(t.Context(), r, test.lookup); got != test.want {
					t.Errorf("%s: got %s, want %s", when, got, test.want)
				}
			}
		})
	}
}

// The answer is right although the server misbehaves.
func TestDifficultServer(t *testing.T) {
	r, server := resolverOf(t, `
formerr.example.org.         A 192.0.2.1
badvers.example.org.         A 192.0.2.2
drop-first.example.org.      A 192.0.2.3
slow.example.org.            A 192.0.2.4
truncate.example.org.        A 192.0.2.5
garbage-first.example.org.   A 192.0.2.6
wrong-id.example.org.        A 192.0.2.7
wrong-question.example.org.  A 192.0.2.8
foreign-owner.example.org.   A 192.0.2.9
no-soa.example.org.          AAAA 2001:db8::1
truncate-dead.example.org.   A 192.0.2.10
`, Config{})
	for _, test := range []struct {
		name, want string
		queries    int // 0: depends on timing
	}{
		{"formerr", "192.0.2.1", 2},        // with EDNS, then without
		{"badvers", "192.0.2.2", 2},        //
		{"drop-first", "192.0.2.3", 2},     // a lost datagram
		{"slow", "192.0.2.4", 0},           // the first answer counts, whichever query it is to
		{"truncate", "192.0.2.5", 2},       // UDP, then TCP
		{"garbage-first", "192.0.2.6", 1},  // skipped
		{"wrong-id", "192.0.2.7", 1},       // as of a forger
		{"wrong-question", "192.0.2.8", 1}, //
		{"foreign-owner", "192.0.2.9", 1},  // data that was not asked for
		{"no-soa", "NODATA, not found", 1}, //
		{"truncate-dead", "tcp: EOF, temporary", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := test.name + ".example.org"
			if got := resolve(t.Context(), r, "A "+name); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if n := server.Queries(name, dns.TypeA); test.queries > 0 && n != test.queries {
				t.Errorf("%d queries, want %d", n, test.queries)
			}
		})
	}
}

// No usable answer comes before the timeout.
func TestSilentServer(t *testing.T) {
	r, server := resolverOf(t, "", Config{Timeout: 300 * time.Millisecond}) // before a second query
	for _, name := range []string{"drop", "garbage", "short"} {
		t.Run(name, func(t *testing.T) {
			name += ".example.org"
			for range 2 {
				if got, want := resolve(t.Context(), r, "A "+name), "timeout, temporary, timeout"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if n := server.Queries(name, dns.TypeA); n != 1 {
				t.Errorf("%d queries, want 1: failures are cached too", n)
			}
		})
	}
}

func TestLargeAnswer(t *testing.T) {
	var zone strings.Builder
	for i := range 200 {
		zone.WriteString("1.2.0.192.in-addr.arpa. PTR host-" + strings.Repeat("x", 20+i%20) + ".example.org.\n")
	}
	r, _ := resolverOf(t, zone.String(), Config{})
	names, err := r.LookupAddr(t.Context(), "192.0.2.1")
	if err != nil || len(names) != 200 {
		t.Errorf("%d names, %v; want all 200, over TCP", len(names), err)
	}
}

func TestRefusedConnection(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := socket.LocalAddr().String()
	socket.Close()
	r := newResolver(t, Config{Servers: []string{free}})
	got := resolve(t.Context(), r, "A mx.example.org")
	if want := "udp: connection refused, temporary"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestErrorHasName(t *testing.T) {
	r, server := resolverOf(t, zone, Config{})
	for _, when := range []string{"asked", "cached"} {
		_, err := r.LookupAddr(t.Context(), "192.0.2.4")
		if got, want := err.Error(), "lookup 192.0.2.4 on "+server.Addr()+": REFUSED"; got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
}

func TestUnknownNetwork(t *testing.T) {
	r, _ := resolverOf(t, zone, Config{})
	if _, err := r.LookupNetIP(t.Context(), "ip", "mx.example.org"); err == nil {
		t.Error("want an error for a network that is neither ip4 nor ip6")
	}
}

// Callers may modify what they get.
func TestValuesBelongToTheCaller(t *testing.T) {
	r, _ := resolverOf(t, zone, Config{})
	for range 2 {
		addrs, _ := r.LookupNetIP(t.Context(), "ip4", "two.example.org")
		mxs, _ := r.LookupMX(t.Context(), "example.org")
		names, _ := r.LookupAddr(t.Context(), "192.0.2.2")
		if addrs[0].String() != "192.0.2.2" || mxs[0].Pref != 10 || names[0] != "two.example.org." {
			t.Fatalf("changed by an earlier caller: %v %v %v", addrs, mxs[0], names)
		}
		slices.Reverse(addrs)
		slices.Reverse(names)
		mxs[0].Pref = 99
	}
}

func TestCallerDeadline(t *testing.T) {
	r, server := resolverOf(t, "slow.example.org. A 192.0.2.1", Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := r.LookupNetIP(ctx, "ip4", "slow.example.org")
	if !errors.Is(err, context.DeadlineExceeded) || describe(err) != "timeout, temporary, timeout" {
		t.Errorf("got %v", err)
	}
	if got, want := resolve(t.Context(), r, "A slow.example.org"), "192.0.2.1"; got != want {
		t.Errorf("the other caller got %s, want %s", got, want)
	}
	if n := server.Queries("slow.example.org", dns.TypeA); n > 2 {
		t.Errorf("%d queries, want those of one lookup", n)
	}
}

func TestNegativeNumbers(t *testing.T) {
	for _, cfg := range []Config{{Entries: -1}, {InFlight: -1}} {
		cfg.Servers = []string{"127.0.0.1:53"}
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v: want an error", cfg)
		}
	}
}
