// Package dnstest is a DNS server for tests. It answers as a recursive server would from one zone
// text, and misbehaves on request.
//
//	dns := dnstest.Start(t, `
//	mx.example.org.            A     192.0.2.1
//	1.2.0.192.in-addr.arpa.    PTR   mx.example.org.
//	slow.example.org.          A     192.0.2.2
//	2.2.0.192.in-addr.arpa.    TXT   "dnstest" "servfail"
//	mx.example.org.            TXT   "dnstest" "drop" "AAAA"
//	`)
//	resolver, err := dnscache.New(dnscache.Config{Servers: []string{dns.Addr()}})
//
// The text is a zone file (RFC 1035 §5) with a default TTL of 300 s for all names there are: no
// delegation, no NS records needed. CNAMEs are followed. A name that is not there gets NXDOMAIN, a
// type that is not there NODATA, both with the text's SOA record above the name, or else with one for the
// root, of 300 s.
//
// # Misbehaviour
//
// A name misbehaves if one of its labels is a word of this list, or if it has a TXT record "dnstest"
// "WORD", where a third string limits that to one type. Such a record is in no answer. Except as said,
// the name does so on UDP and TCP.
//
//	servfail         SERVFAIL
//	refused          REFUSED
//	notimp           NOTIMP
//	formerr          FORMERR to a query with EDNS, else as usual
//	badvers          BADVERS to a query with EDNS, else as usual
//	header-only      REFUSED, and the reply lacks the question
//	lame             an empty answer, neither authoritative nor from a recursive server
//	no-soa           as usual, but without SOA record
//	cname-loop       a CNAME to itself
//	drop             no answer
//	drop-first       no answer to the first query for the name and type, then as usual
//	slow             as usual, 600 ms later
//	truncate         over UDP an empty answer with the TC bit, over TCP as usual
//	truncate-dead    over UDP an empty answer with the TC bit, over TCP the connection is closed
//	garbage          a reply that cannot be decoded
//	garbage-first    the same, then as usual
//	short            the header promises a record that is not there
//	wrong-id         a false answer with another ID, then as usual
//	wrong-question   a false answer to another question with the right ID, then as usual
//	wrong-case       over UDP all names in lower case, whatever was asked, over TCP as usual
//	flood            over UDP ten false answers with another ID, then as usual; over TCP as usual
//	wrong-flood      over UDP ten false answers with another ID, over TCP as usual
//	garbage-flood    over UDP ten replies that cannot be decoded, over TCP as usual
//	foreign-owner    a false record of another owner before those asked for
//
// False answers carry 203.0.113.66, 2001:db8::bad and false.example.
package dnstest

import (
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a running DNS server.
type Server struct {
	addr    string
	zone    Zone
	closing chan struct{}

	mu      sync.Mutex
	queries map[dns.Question]int
}

// Start serves zone on a loopback port, over UDP and TCP, until the test ends. A zone text with an
// error in it fails the test.
func Start(t testing.TB, zone string) *Server {
	t.Helper()
	s := newServer(t, zone)
	udp, tcp := listen(t)
	s.addr = udp.LocalAddr().String()
	s.serveUntilEnd(t, &dns.Server{PacketConn: udp}, &dns.Server{Listener: tcp})
	return s
}

func newServer(t testing.TB, zone string) *Server {
	t.Helper()
	return &Server{
		zone:    Parse(t, zone),
		closing: make(chan struct{}),
		queries: map[dns.Question]int{},
	}
}

// serveUntilEnd starts servers, and stops them when the test ends.
func (s *Server) serveUntilEnd(t testing.TB, servers ...*dns.Server) {
	for _, server := range servers {
		t.Cleanup(s.serve(server))
	}
	t.Cleanup(func() { close(s.closing) }) // before they wait for those that are slow
}

// Addr returns HOST:PORT of the server, the same for UDP and TCP, without a scheme for TLS.
func (s *Server) Addr() string {
	return s.addr
}

// Queries returns how many queries for a name and type have come in so far, over UDP and TCP
// together. The name may lack the final dot.
func (s *Server) Queries(name string, qtype uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[dns.Question{Name: dns.CanonicalName(name), Qtype: qtype, Qclass: dns.ClassINET}]
}

// listen finds a port that is free for both UDP and TCP.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var err error
	for range 10 {
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			break
		}
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, tcp
		}
		udp.Close()
	}
	t.Fatal(err)
	return nil, nil
}

// serve starts server and returns what stops it and waits for its end.
func (s *Server) serve(server *dns.Server) (stop func()) {
	server.Handler = s
	started, ended := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	select {
	case <-started:
	case <-ended:
	}
	return func() {
		server.Shutdown()
		<-ended
	}
}

// ServeDNS answers one query.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	asked := query.Question[0]
	asked.Name = dns.CanonicalName(asked.Name)
	s.mu.Lock()
	s.queries[asked]++
	first := s.queries[asked] == 1
	s.mu.Unlock()

	reply := s.zone.Reply(query)
	c := conversation{s, w, query, reply, first}
	if misbehave, ok := behaviours[s.zone.behaviour(asked)]; ok {
		misbehave(c)
		return
	}
	c.send(reply)
}
