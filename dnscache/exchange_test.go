package dnscache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"helo-milter/dnscache/dnstest"
)

// The answer is right although the server is not, or a third party injects replies. All names are asked in
// random case, and the server has shown that it copes.
func TestHostileReplies(t *testing.T) {
	r, server := resolverOf(t, `
mx.example.org.               A   192.0.2.1
copes.random-case.example.org. A  192.0.2.1
formerr.example.org.          A   192.0.2.2
truncate.example.org.         A   192.0.2.3
garbage-first.example.org.    A   192.0.2.4
wrong-id.example.org.         A   192.0.2.5
wrong-question.example.org.   A   192.0.2.6
lowercase.example.org.        A   192.0.2.7
flood.example.org.            A   192.0.2.8
wrong-flood.example.org.      A   192.0.2.9
garbage-flood.example.org.    A   192.0.2.10
lowercase.formerr.example.    A   192.0.2.11
alias.example.org.            CNAME mx.example.org.
header-only.example.org.      A   192.0.2.12
9.2.0.192.in-addr.arpa.       PTR wrong-flood.example.org.
9.2.0.192.in-addr.arpa.       TXT "dnstest" "wrong-flood"
`, Config{CaseRandomization: CaseOn})
	resolve(t.Context(), r, "A copes.random-case.example.org")
	for _, test := range []struct{ lookup, want string }{
		{"A mx.example.org", "192.0.2.1 udp 1"},
		{"A alias.example.org", "192.0.2.1 udp 1"},                // the chain starts in random case
		{"A none.example.org", "NXDOMAIN, not found udp 1"},       //
		{"A formerr.example.org", "192.0.2.2 udp 2"},              //
		{"A truncate.example.org", "192.0.2.3 tcp 2"},             //
		{"A garbage-first.example.org", "192.0.2.4 udp 1"},        // one is skipped
		{"A wrong-id.example.org", "192.0.2.5 udp 1"},             //
		{"A wrong-question.example.org", "192.0.2.6 udp 1"},       //
		{"A lowercase.example.org", "192.0.2.7 tcp 2"},            // old software, or a very good guess
		{"A flood.example.org", "192.0.2.8 tcp 2"},                // the eleventh datagram is not read
		{"A wrong-flood.example.org", "192.0.2.9 tcp 2"},          //
		{"A garbage-flood.example.org", "192.0.2.10 tcp 2"},       //
		{"A lowercase.formerr.example", "192.0.2.11 tcp 2"},       //
		{"A header-only.example.org", "REFUSED, temporary udp 1"}, // which has no name to compare
		{"PTR 192.0.2.9", "wrong-flood.example.org. tcp 2"},       //
		{"A cname-loop.example", "CNAME chain too long, temporary udp 1"},
	} {
		t.Run(test.lookup, func(t *testing.T) {
			t.Parallel()
			var got Trace
			result := resolve(WithTrace(t.Context(), func(trace Trace) { got = trace }), r, test.lookup)
			queries := server.Queries(got.Name, dns.StringToType[got.Type])
			if result := fmt.Sprintf("%s %s %d", result, got.Transport, queries); result != test.want {
				t.Errorf("got %s, want %s", result, test.want)
			}
		})
	}
}

// datagrams starts a UDP server that answers one query by script, which gets the right reply, and returns its
// address.
func datagrams(t *testing.T, script func(m *dns.Msg, send func(*dns.Msg), client net.Addr)) string {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	zone := dnstest.Parse(t, "mx.example.org. A 192.0.2.1")
	done := make(chan struct{})
	t.Cleanup(func() { socket.Close(); <-done })
	go func() {
		defer close(done)
		packet := make([]byte, 512)
		n, client, err := socket.ReadFrom(packet)
		query := new(dns.Msg)
		if err != nil || query.Unpack(packet[:n]) != nil {
			return
		}
		script(zone.Reply(query), func(m *dns.Msg) { sendTo(socket, client, m) }, client)
	}()
	return socket.LocalAddr().String()
}

// sendTo sends m, or an empty datagram for nil.
func sendTo(socket net.PacketConn, client net.Addr, m *dns.Msg) {
	var packet []byte
	if m != nil {
		packet, _ = m.Pack()
	}
	socket.WriteTo(packet, client)
}

// Fewer than maxWrong datagrams are skipped before the right one.
func TestWrongAnswers(t *testing.T) {
	for _, test := range []struct {
		story string
		wrong int
		spoil func(*dns.Msg) *dns.Msg
		want  error
	}{
		{"none", 0, nil, nil},
		{"fewer than maxWrong", 4, otherID, nil},
		{"maxWrong", 5, otherID, errSuspect},
		{"empty ones, fewer than maxWrong", 4, func(*dns.Msg) *dns.Msg { return nil }, nil},
		{"empty ones, maxWrong", 5, func(*dns.Msg) *dns.Msg { return nil }, errSuspect},
		{"one in another case", 1, func(m *dns.Msg) *dns.Msg {
			m.Question[0].Name = swapCase(m.Question[0].Name)
			return m
		}, errCase},
		{"one in another case to another query", 1, func(m *dns.Msg) *dns.Msg {
			m.Question[0].Name = swapCase(m.Question[0].Name)
			return otherID(m)
		}, nil},
	} {
		t.Run(test.story, func(t *testing.T) {
			server := datagrams(t, func(m *dns.Msg, send func(*dns.Msg), _ net.Addr) {
				for range test.wrong {
					send(test.spoil(m.Copy()))
				}
				send(m)
			})
			query := question{"mX.eXAmple.oRg.", dns.TypeA}.query(true)
			m, err := newWire(Config{}).exchange(t.Context(), "udp", server, query)
			if err != test.want || (m == nil) == (err == nil) {
				t.Errorf("got %v, %v, want %v", m, err, test.want)
			}
			if m != nil && m.Question[0].Name != "mx.example.org." {
				t.Errorf("the case is still random: %s", m.Question[0].Name)
			}
		})
	}
}

func otherID(m *dns.Msg) *dns.Msg {
	m.Id++
	return m
}

func swapCase(name string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c|0x20 && c|0x20 <= 'z' {
			return c ^ 0x20
		}
		return c
	}, name)
}

// What another socket sends is not received, even the right reply.
func TestOtherSourceIgnored(t *testing.T) {
	stranger, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	server := datagrams(t, func(m *dns.Msg, _ func(*dns.Msg), client net.Addr) {
		for range maxWrong + 1 {
			sendTo(stranger, client, m)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	query := question{"mx.example.org.", dns.TypeA}.query(true)
	m, err := newWire(Config{}).exchange(ctx, "udp", server, query)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, %v, want a timeout", m, err)
	}
}

// Each query has an ID and a port of its own.
func TestRandomIDAndPort(t *testing.T) {
	const queries = 20
	ids, ports := map[uint16]bool{}, map[uint16]bool{}
	for range queries {
		id, port := make(chan uint16, 1), make(chan uint16, 1)
		server := datagrams(t, func(m *dns.Msg, send func(*dns.Msg), client net.Addr) {
			id <- m.Id
			port <- netip.MustParseAddrPort(client.String()).Port()
			send(m)
		})
		query := question{"mx.example.org.", dns.TypeA}.query(true)
		if _, err := newWire(Config{}).exchange(t.Context(), "udp", server, query); err != nil {
			t.Fatal(err)
		}
		ids[<-id], ports[<-port] = true, true
	}
	if len(ids) < queries-2 || len(ports) < queries-2 { // some repeat by chance
		t.Errorf("%d IDs and %d ports of %d queries", len(ids), len(ports), queries)
	}
}

// BenchmarkExchange measures one query on loopback, including the server, over each transport.
func BenchmarkExchange(b *testing.B) {
	const zone = "mx.example.org. A 192.0.2.1"
	plain := dnstest.Start(b, zone)
	encrypted, pool := dnstest.StartTLS(b, zone, "127.0.0.1")
	query := question{"mx.example.org.", dns.TypeA}.query(true)
	for _, way := range []struct{ name, network, server string }{
		{"udp", "udp", plain.Addr()},
		{"tcp", "tcp", plain.Addr()},
		{"tls", "tls", tlsScheme + encrypted.Addr()},
	} {
		wire := newWire(Config{RootCAs: pool})
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := wire.exchange(b.Context(), way.network, way.server, query); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
