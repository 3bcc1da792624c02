package dnscache

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"helo-milter/dnscache/dnstest"
)

func TestParseServer(t *testing.T) {
	const plain = "is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53"
	const overTLS = "is not tls://HOST:PORT#NAME, such as tls://192.0.2.53:853#dns.example.net"
	for _, test := range []struct{ text, want string }{
		{"192.0.2.53:53", "udp 192.0.2.53:53 "},
		{"[fe80::1%eth0]:53", "udp [fe80::1%eth0]:53 "},
		{"unbound:53", "udp unbound:53 "},
		{"tls://192.0.2.53:853#dns.example.net", "tls 192.0.2.53:853 dns.example.net"},
		{"tls://192.0.2.53:853", "tls 192.0.2.53:853 192.0.2.53"},
		{"tls://[2001:db8::53]:853", "tls [2001:db8::53]:853 2001:db8::53"},
		{"tls://[fe80::1%eth0]:853", "tls [fe80::1%eth0]:853 fe80::1"}, // a certificate has no zone
		{"tls://[fe80::1%eth0]:853#dns.example.net", "tls [fe80::1%eth0]:853 dns.example.net"},
		{"tls://dns.example.net:853", "tls dns.example.net:853 dns.example.net"},
		{"tls://192.0.2.53", overTLS},
		{"tls://192.0.2.53#dns.example.net", overTLS},
		{"tls://:853", overTLS},
		{"tls://", overTLS},
		{"tls://192.0.2.53:853#", ": no name after #"},
		{"tls://192.0.2.53:domain", ": the port is not a number from 1 to 65535"},
		{"192.0.2.53:53#dns.example.net", ": the port is not a number from 1 to 65535"},
		{"TLS://192.0.2.53:853", plain},
		{"https://192.0.2.53:443", plain},
		{"192.0.2.53", plain},
	} {
		s, err := parseServer(test.text)
		got := fmt.Sprintf("%s %s %s", s.network, s.address, s.name)
		if err != nil {
			got = strings.TrimSpace(strings.TrimPrefix(err.Error(), fmt.Sprintf("%q", test.text)))
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.text, got, test.want)
		}
		if err == nil && s.String() != test.text {
			t.Errorf("%s became %s", test.text, s)
		}
		if (CheckServer(test.text) == nil) != (err == nil) {
			t.Errorf("%s: CheckServer says %v, parseServer %v", test.text, CheckServer(test.text), err)
		}
	}
	if s, _ := parseServer("tls://192.0.2.53:853#192.0.2.53"); s.String() != "tls://192.0.2.53:853" {
		t.Errorf("a redundant name: got %s", s)
	}
}

func TestTLS(t *testing.T) {
	const zone = `
mx.example.org.        A 192.0.2.1
formerr.example.org.   A 192.0.2.2
flood.example.org.     A 192.0.2.3
wrong-id.example.org.  A 192.0.2.4
`
	server, pool := dnstest.StartTLS(t, zone, "dns.example.net", "127.0.0.1")
	named, namedPool := dnstest.StartTLS(t, zone, "dns.example.net")
	for _, test := range []struct {
		story, server string
		pool          *x509.CertPool
		lookup, want  string
	}{
		{"by name", server.Addr() + "#dns.example.net", pool, "A mx.example.org", "192.0.2.1 tls"},
		{"by address", server.Addr(), pool, "A mx.example.org", "192.0.2.1 tls"},
		{"without EDNS", server.Addr(), pool, "A formerr.example.org", "192.0.2.2 tls"},
		{"as TCP", server.Addr(), pool, "A flood.example.org", "192.0.2.3 tls"},
		{"a wrong answer first", server.Addr(), pool, "A wrong-id.example.org", "192.0.2.4 tls"},
		{"no such name", server.Addr(), pool, "A none.example.org", "NXDOMAIN, not found tls"},
		{"another name", server.Addr() + "#other.example.net", pool, "A mx.example.org", "tls: x509: " +
			"certificate is valid for dns.example.net, not other.example.net, temporary tls"},
		{"not for its address", named.Addr(), namedPool, "A mx.example.org", "tls: x509: cannot validate " +
			"certificate for 127.0.0.1 because it doesn't contain any IP SANs, temporary tls"},
		{"unknown to the system", server.Addr(), nil, "A mx.example.org", "tls: x509: " +
			"certificate signed by unknown authority, temporary tls"},
		{"another signature", server.Addr(), namedPool, "A mx.example.org", "tls: x509: " +
			"certificate signed by unknown authority, temporary tls"},
	} {
		t.Run(test.story, func(t *testing.T) {
			t.Parallel()
			r := newResolver(t, Config{Servers: []string{tlsScheme + test.server}, RootCAs: test.pool})
			var trace Trace
			got := resolve(WithTrace(t.Context(), func(got Trace) { trace = got }), r, test.lookup)
			if got += " " + trace.Transport; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// A server that is written with tls:// but does not support TLS is never asked in plain text.
func TestNeverInPlainText(t *testing.T) {
	server := dnstest.Start(t, "mx.example.org. A 192.0.2.1")
	r := newResolver(t, Config{Servers: []string{tlsScheme + server.Addr()}, Timeout: 50 * time.Millisecond})
	if got, want := resolve(t.Context(), r, "A mx.example.org"), "timeout, temporary, timeout"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	query := question{"mx.example.org.", dns.TypeA}.query(true)
	for _, network := range []string{"udp", "tcp"} { // even if the caller asked for it
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if m, err := newWire(Config{}).exchange(ctx, network, tlsScheme+server.Addr(), query); err == nil {
			t.Errorf("%s: got %v", network, m)
		}
	}
	if n := server.Queries("mx.example.org", dns.TypeA); n != 0 {
		t.Errorf("asked %d times in plain text", n)
	}
}

func TestServers(t *testing.T) {
	for _, test := range []struct{ servers, want string }{
		{"127.0.0.1:53", "127.0.0.1:53"},
		{"127.0.0.1:53 [2001:db8::1]:53 127.0.0.1:53", "127.0.0.1:53 [2001:db8::1]:53"}, // each once
		{"[fe80::1%eth0]:53", "[fe80::1%eth0]:53"},
		{"unbound:53", "unbound:53"},
		{"127.0.0.1", `"127.0.0.1" is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53`},
		{"2001:db8::1", `"2001:db8::1" is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53`},
		{":53", `":53" is not HOST:PORT, such as 192.0.2.53:53 or [2001:db8::53]:53`},
		{"127.0.0.1:dns", `"127.0.0.1:dns": the port is not a number from 1 to 65535`},
		{"127.0.0.1:0", `"127.0.0.1:0": the port is not a number from 1 to 65535`},
	} {
		r, err := New(Config{Servers: strings.Fields(test.servers)})
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = strings.Join(r.Servers(), " ")
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.servers, got, test.want)
		}
	}
}
